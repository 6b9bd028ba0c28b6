"""Certificates for tests: an authority of our own and servers that it vouches for, or does not."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_server_tls(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(a server's context with a certificate for ``name``, a client's context that trusts it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(name, key, name, key, is_authority=True)
    return _server(folder, key, certificate), ssl.create_default_context(
        cafile=str(folder / "cert.pem")
    )


def make_site_tls(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """(a server's context with a certificate for ``name``, the file of the site's authority that signed it)."""
    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    file = folder / "ca.pem"
    authority = _certificate("Site authority", root, "Site authority", root, is_authority=True)
    file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return _server(
        folder, key, _certificate(name, key, "Site authority", root, is_authority=False)
    ), file


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False
        )
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None),
            critical=True,
        )
        .sign(signer, hashes.SHA256())
    )


def _server(
    folder: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> ssl.SSLContext:
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server
