"""Which server a URL really names, whether a list has it, and which addresses may be called for it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

Resolver = Callable[..., Sequence[tuple[Any, ...]]]
"""Called as ``resolver(host, port, type=SOCK_STREAM)``; answers and fails like ``socket.getaddrinfo``."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
_ANY_PORT = re.compile(r"(https?://(?:localhost|127\.0\.0\.1)):\*(?=/|\Z)")
_VISIBLE = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,8192}")  # no backslash, space, control, non-ASCII
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")  # what inet_aton would read as an address
_ESCAPED = re.compile(r"(?:%[0-9a-f]{2})+", re.IGNORECASE)
_SEPARATORS = frozenset("/\\;.%?#")  # what a server behind might cut a path at, or decode again

_SITE_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (  # where clouds keep credentials
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """A parsed http(s) URL: lower-case host, explicit port, path segments, raw query; no trailing slash.

    ``host`` is a canonical IP address (IPv6 without brackets) or a DNS name. Port 0 is any port (lists only).
    """

    scheme: str
    host: str
    port: int
    segments: tuple[str, ...] = ()
    query: str = ""

    @property
    def authority(self) -> str:
        """``host[:port]`` as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL written anew from what was understood, so that no second parser can read it differently."""
        path = "".join(f"/{segment}" for segment in self.segments)
        return f"{self.scheme}://{self.authority}{path}{'?' if self.query else ''}{self.query}"

    @property
    def target(self) -> str:
        """Path and query as the request line has them."""
        path = "".join(f"/{segment}" for segment in self.segments) or "/"
        return f"{path}?{self.query}" if self.query else path

    def holds(self, other: Place) -> bool:
        """True if ``other`` has the same scheme, host and port and its path begins with all our segments.

        With a query of our own we hold nothing but ourselves.
        """
        if self.query:
            return self == other
        return (
            self.scheme == other.scheme
            and self.host == other.host
            and self.port in (0, other.port)
            and other.segments[: len(self.segments)] == self.segments
        )


def read_place(url: str) -> Place | None:
    """The place that an absolute http(s) URL names, or None for anything unusual.

    Unusual are userinfo, fragment, dot segments, empty segments, path parameters (``;``), escapes that hide
    a separator, a dot or another escape, forms of an IP address other than its usual one, and more than
    8192 characters.
    """
    if not _VISIBLE.fullmatch(url) or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
        host = _read_host(parts.hostname or "", bracketed="[" in parts.netloc)
    except ValueError:
        return None
    segments = _read_path(parts.path)
    if (
        not (host and port and segments is not None)
        or "@" in parts.netloc
        or parts.netloc.endswith(":")
    ):
        return None
    return (
        Place(parts.scheme, host, port, segments, parts.query) if parts.scheme in _PORTS else None
    )


def read_listed(url: str) -> Place | None:
    """One entry of an allow-list (``http://localhost:*`` is every port there); None where it cannot be read."""
    any_port = _ANY_PORT.match(url)
    place = read_place(any_port[1] + url[any_port.end() :] if any_port else url)
    return replace(place, port=0) if place is not None and any_port else place


def find_listed(place: Place, entries: Iterable[str]) -> str:
    """The entry of an allow-list that holds this place, or ""."""
    for entry in entries:
        listed = read_listed(entry)
        if listed is not None and listed.holds(place):
            return entry
    return ""


def find_base(place: Place, entries: Iterable[str]) -> str:
    """The entry of an allow-list that *is* this FHIR base, or "": what lies below an entry is another base.

    An any-port entry (``http://localhost:*``) is a place to experiment: it covers every path there.
    """
    for entry in entries:
        listed = read_listed(entry)
        if listed is not None and (listed.holds(place) if listed.port == 0 else listed == place):
            return entry
    return ""


def read_link(link: str, base: Place) -> Place | None:
    """The place on ``base`` that one of its links names, absolute or relative; None for every other link.

    Its path is judged as it is written: resolving a relative link takes dot segments away, and a last ``;``.
    """
    if not _VISIBLE.fullmatch(link):
        return None
    try:
        written = urlsplit(link).path
        place = read_place(urljoin(f"{base.url}/", link))
    except ValueError:
        return None
    if place is None or (written and _read_path(f"/{written.removeprefix('/')}") is None):
        return None
    return place if base.holds(place) else None


def is_address(host: str) -> bool:
    """Is this host of a Place an IP address and not a name?"""
    return _literal(host) is not None


def pin(place: Place, resolver: Resolver = socket.getaddrinfo) -> tuple[str, ...]:
    """The addresses to call for a *listed* place, IPv4 first, from one resolution; () where any is forbidden.

    A listed IP address stands for itself. A listed name may lead to public addresses and to site networks
    (private, CGNAT, ULA), never to loopback, link-local, metadata, multicast or reserved ones; "localhost"
    only to loopback. Raises OSError where the name has no address.
    """
    if _literal(place.host) is not None:
        return (place.host,)
    answers = resolver(place.host, place.port, type=socket.SOCK_STREAM)
    found = [ipaddress.ip_address(str(answer[4][0])) for answer in answers]
    if not found:
        raise OSError("the name has no address")
    if not all(_may_call(address, place.host) for address in found):
        return ()
    return tuple(dict.fromkeys(str(address) for address in sorted(found, key=lambda a: a.version)))


def _may_call(address: Address, host: str) -> bool:
    inner = _innermost(address)
    if host == "localhost":
        return inner.is_loopback
    if inner in _METADATA or inner.is_multicast or inner.is_reserved:
        return False
    return inner.is_global or any(inner in network for network in _SITE_NETWORKS)


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 address only wraps (mapped, NAT64, 6to4, Teredo), else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    )


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _read_host(host: str, *, bracketed: bool) -> str:
    """The host in canonical form; raises ValueError for an odd one."""
    if bracketed:
        return str(ipaddress.IPv6Address(host)) if "%" not in host else ""
    if _NUMERIC.fullmatch(host):
        return str(ipaddress.IPv4Address(host))
    return host if _NAME.fullmatch(host) else ""


def _read_path(path: str) -> tuple[str, ...] | None:
    trimmed = path.removesuffix("/")
    segments = tuple(trimmed.split("/")[1:]) if trimmed else ()
    return segments if all(map(_is_plain, segments)) else None


def _is_plain(segment: str) -> bool:
    """Can no server take this segment for two, for none, or for a step up?

    Escapes must be whole, UTF-8 (an overlong dot is none) and, in their compatibility form too, free of
    separators; an escaped ``%`` would be decoded again by the next server.
    """
    if not segment.strip(".") or ";" in segment or "%" in _ESCAPED.sub("", segment):
        return False
    try:
        hidden = [unquote_to_bytes(run).decode() for run in _ESCAPED.findall(segment)]
    except UnicodeDecodeError:
        return False
    return all(
        text.isprintable() and not _SEPARATORS & set(normalize("NFKC", text)) for text in hidden
    )
