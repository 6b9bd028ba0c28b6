"""Who looks at ``/use``: in production only whom the site's own proxy has logged in, and whom the settings list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from ipaddress import ip_address, ip_network
from typing import Any

from cds_service.errors import Forbidden, Unauthorized
from cds_service.settings import Settings


class Role(IntEnum):
    """What somebody may see: an analyst also single events and CSV."""

    VIEWER = 1
    ANALYST = 2


def role_of(settings: Settings, environ: Mapping[str, Any]) -> Role:
    """The role of whoever sent this request; Unauthorized without an identity, Forbidden without a role.

    The header is believed only from the proxy itself: the peer of the connection, whatever it says of others.
    """
    use = settings.use
    if not use.identity_header:
        if settings.is_demo:
            return Role.ANALYST
        raise Unauthorized("This page needs the identity of who looks at it.")
    name = str(environ.get(f"HTTP_{use.identity_header.upper().replace('-', '_')}", "")).strip()
    if not name or not _is_proxy(_peer(environ), use.proxies):
        raise Unauthorized("This page needs the identity of who looks at it.")
    if name in use.analysts:
        return Role.ANALYST
    if name in use.viewers:
        return Role.VIEWER
    raise Forbidden("This page is not for this person.")


def _peer(environ: Mapping[str, Any]) -> str:
    """The address of the connection, before any forwarded header was believed."""
    original = environ.get("werkzeug.proxy_fix.orig") or {}
    return str(original.get("REMOTE_ADDR") or environ.get("REMOTE_ADDR") or "")


def _is_proxy(peer: str, listed: tuple[str, ...]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in ip_network(place) for place in listed)
