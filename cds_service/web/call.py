"""One request to the CDS Hooks surface: what was sent, and what the steps of its walk found out about it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_content_length, get_input_stream

from cds_service.auth.client_auth import Caller
from cds_service.errors import BadRequest, TooLarge, UnsupportedMedia
from cds_service.hooks.services import Service
from cds_service.pipeline import Outcome
from cds_service.settings import Client

_JSON_TYPES = frozenset({"application/json", "application/fhir+json", "application/json+fhir"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,63}")


@dataclass(slots=True)
class Call:
    """Made for one request, filled in on the way, read by those who write it down, and then gone.

    ``client`` is whose settings hold, ``caller`` who showed a token; None = not known (yet). ``fault`` names what broke
    in our own code, ``limited`` = beyond its rate, ``cut`` = the body ended early, ``audited`` = its event is written.
    """

    environ: dict[str, Any] = field(repr=False)
    request_id: str
    started: float
    service: Service | None = None
    is_feedback: bool = False
    client: Client | None = None
    caller: Caller | None = None
    outcome: Outcome | None = None
    fault: str = ""
    limited: bool = False
    cut: bool = False
    audited: bool = False
    _body: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, environ: dict[str, Any], new_id: Callable[[], str]) -> Call:
        """The request of a WSGI environment; the caller's own request id is kept where it is a plain one."""
        given = environ.get("HTTP_X_REQUEST_ID", "")
        return cls(
            environ,
            given if _REQUEST_ID.fullmatch(given) else new_id(),
            time.perf_counter(),
        )

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    @property
    def elapsed(self) -> float:
        """Seconds since it was taken on."""
        return time.perf_counter() - self.started

    def header(self, name: str) -> str:
        """The value of a header by its name in lower case, "" if it was not sent."""
        return str(self.environ.get("HTTP_" + name.replace("-", "_").upper(), ""))

    def read_json(self, limit: int) -> object:
        """The body as JSON; TooLarge, UnsupportedMedia or BadRequest. Never inflates, never reads past ``limit``."""
        if (self.header("content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMedia("Compressed bodies are not accepted.")
        if self._media_type not in _JSON_TYPES:
            raise UnsupportedMedia("The body must be application/json.")
        data = self.read_body(limit)
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise BadRequest("The body is not valid JSON (RFC 8259, UTF-8).") from None

    @property
    def _media_type(self) -> str:
        return str(self.environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()

    def read_body(self, limit: int) -> bytes:
        """At most ``limit`` bytes, also where the length was not announced (chunked); TooLarge. Read once."""
        if self._body is None:
            self._body = self._read(limit)
        return self._body

    def _read(self, limit: int) -> bytes:
        too_large = TooLarge(f"The body must not be larger than {limit} bytes.")
        length = get_content_length(self.environ)
        if (length or 0) > limit:
            raise too_large
        if length is not None:
            data = bytes(
                self.environ["wsgi.input"].read(length)
            )  # in one piece, not 8 kB at a time
            self.cut = len(data) < length
            return data
        try:
            data = get_input_stream(self.environ, max_content_length=limit + 1).read()
        except HTTPException:
            raise too_large from None
        if len(data) > limit:
            raise too_large
        return data
