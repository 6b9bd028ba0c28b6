"""Open what ``serve`` opens before it listens, as ``check`` does: content, tables, keys, store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cryptography.fernet import Fernet
from sqlalchemy.exc import SQLAlchemyError

from cds_service import signing, terminology
from cds_service.auth.jwks import MAX_BYTES, KeysUnavailableError, read_keys
from cds_service.cli.options import stop
from cds_service.content.loader import Content, ContentError
from cds_service.journal.high_water import HighWater
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.planner.registration import read_secret, registrations
from cds_service.settings import Settings
from cds_service.store.conditions import Witness
from cds_service.store.database import StoreError, make_engine, make_reader, parse_url, revision
from cds_service.store.store import open_store


def refuse_what_cannot_be_opened(settings: Settings) -> None:
    """End the run with one line for the first thing that no waiting mends.

    The data folder and the store are made.
    """
    for fault in key_faults(settings):
        stop(fault)
    try:
        for fault in review_faults(settings, signing.in_force(settings).content):
            stop(fault)
        if (
            settings.terminology_dir
        ):  # a site's own; those of the package are checked before a release
            terminology.load(settings.terminology_dir)
        Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
        water = HighWater(settings.high_water)
        open_store(settings.database, witness=Witness(alarmed=water.alarm)).close()
    except ContentError as error:
        stop(f"content: {error.faults[0]}")
    except (StoreError, OSError, ValueError, KeyError) as error:
        said = str(error).splitlines()[0] if str(error) else ""
        stop(f"cannot start: {type(error).__name__}: {said}")


def review_faults(settings: Settings, content: Content) -> Iterator[str]:
    """Why production may not speak these words: nobody has signed them, and nobody answers for that."""
    if settings.is_demo or content.reviewed or settings.content_acknowledged_by:
        return
    yield (
        "content: not reviewed by a clinician (reviewed_by: null); production needs "
        "content_acknowledged_by = 'Name, role' of the person who answers for it"
    )


def key_faults(settings: Settings) -> Iterator[str]:
    """A line for every file of keys or secrets that holds none; its content is never quoted."""
    for client in settings.clients:
        if client.jwks_file:
            yield from _fault(
                f"clients[{client.name or client.issuer}]: jwks_file",
                "holds no public key that could verify a token",
                partial(_has_key, client.jwks_file),
            )
    if settings.audit_key_file:
        yield from _fault(
            "audit_key_file",
            "holds no key of at least 32 characters",
            lambda: not Pseudonyms(Path(settings.audit_key_file), make=False).fault,
        )
    if settings.smart.key_file and Path(settings.smart.key_file).exists():  # else it is made there
        yield from _fault(
            "smart.key_file",
            "holds no Fernet key",
            lambda: bool(Fernet(Path(settings.smart.key_file).read_bytes().strip())),
        )
    for iss, registration in registrations(settings).items():
        if registration.auth != "public":
            name, what = (
                ("key_file", "EC or RSA private key")
                if registration.auth == "private_key_jwt"
                else ("secret_file", "secret")
            )
            yield from _fault(
                f"smart.issuers[{iss}]: {name}",
                f"holds no {what}",
                partial(read_secret, registration),
            )


def store_faults(settings: Settings) -> Iterator[str]:
    """Why the store cannot be opened, if so. Nothing is made; one not made yet is fine."""
    try:
        url = parse_url(settings.database)
        file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if file is not None and not file.exists():
            return
        engine = make_reader(file) if file else make_engine(url)
    except StoreError as error:
        yield str(error)
        return
    try:
        with engine.connect() as connection:
            revision(connection)
    except SQLAlchemyError as error:
        yield f"database_url: the store cannot be opened ({type(error).__name__})"
    finally:
        engine.dispose()


def _has_key(jwks_file: str) -> bool:
    with Path(jwks_file).open("rb") as file:
        return any(not key.fault for key in read_keys(file.read(MAX_BYTES + 1)))


def _fault(who: str, what: str, holds: Callable[[], object]) -> Iterator[str]:
    try:
        if not holds():
            yield f"{who} {what}"
    except KeysUnavailableError:
        yield f"{who} {what}"
    except Exception as error:  # noqa: BLE001 - whatever a library says of a broken key
        yield f"{who} {what} ({type(error).__name__})"
