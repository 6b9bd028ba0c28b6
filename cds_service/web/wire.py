"""JSON in and out: what every Flask surface of this service agrees on for bodies, errors and headers."""

from __future__ import annotations

import re
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from cds_service.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    ServiceError,
    TooLarge,
    UnsupportedMedia,
)
from cds_service.model import Json
from cds_service.settings import Settings
from cds_service.web.call import Call

JSON = "application/json"
SECURITY_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
HSTS = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")


def read_json(limit: int) -> object:
    """The body of a page's request as JSON; raises TooLarge, UnsupportedMedia or BadRequest (``Call.read_json``)."""
    return Call.of(request.environ, str).read_json(limit)


def answer_json(body: Json, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status=status, content_type=JSON)


_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call is answered with; ``extra`` are headers of this answer alone."""

    status: int
    body: bytes
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """Status and phrase."""
        return _LINES[self.status]

    def headers(self, call: Call, settings: Settings) -> list[tuple[str, str]]:
        """All headers of this answer to this call. A page of a listed origin may read it (CORS, R140)."""
        named = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(self.body))),
            ("X-Request-Id", call.request_id),
            ("Vary", "Origin"),  # always, or a cache could hand one page the answer for another
            *SECURITY_HEADERS,
            *self.extra.items(),
        ]
        if (origin := call.header("origin")) and origin in settings.cors_origins:
            named.append(("Access-Control-Allow-Origin", origin))
        if settings.base_url.startswith("https://"):
            named.append(HSTS)
        return named


def reply_json(body: Json) -> Reply:
    return Reply(200, orjson.dumps(body))


def reply_error(error: ServiceError) -> Reply:
    return Reply(error.status, orjson.dumps(operation_outcome(error)), error.headers)


def operation_outcome(error: ServiceError) -> dict[str, Any]:
    """The OperationOutcome of an error (R96): our own fixed words and member names, nothing of the caller's."""
    issue: dict[str, Any] = {
        "severity": "error",
        "code": error.issue_code,
        "diagnostics": error.message,
    }
    if error.expression:
        issue["expression"] = list(error.expression)
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def answer_error(error: ServiceError) -> Response:
    response = answer_json(operation_outcome(error), error.status)
    response.headers.update(error.headers)
    return response


def install(app: Flask, settings: Settings, log: Any) -> None:
    """Request ids, error answers, security headers and a line for what broke, for every page of ``app``."""
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.logger.disabled = True  # Flask would log the messages of exceptions
    app.before_request(_take_request_id)
    app.after_request(lambda response: _log_fault(response, log))
    app.register_error_handler(ServiceError, answer_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_fault)
    https = settings.base_url.startswith("https://")
    app.after_request(lambda response: _with_headers(response, https=https))


def _take_request_id() -> None:
    g.request_id = Call.of(request.environ, lambda: str(uuid.uuid4())).request_id


def _log_fault(response: Response, log: Any) -> Response:
    if fault := g.get("fault"):
        log.error("page-failed", request_id=g.get("request_id", ""), fault=fault)
    return response


def _answer_http_exception(error: HTTPException) -> Response:
    known: dict[int, ServiceError] = {
        404: NotFound("There is nothing at this address."),
        405: MethodNotAllowed("This method is not supported here."),
        413: TooLarge("The body is too large."),
        415: UnsupportedMedia("The body must be application/json."),
    }
    code = error.code or 500
    if code >= 500:
        return _answer_fault(getattr(error, "original_exception", None) or error)
    meant = known.get(code) or BadRequest("The request could not be read.")
    if isinstance(getattr(error, "valid_methods", None), list | tuple | set):
        meant.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return answer_error(meant)


def _answer_fault(error: Exception) -> Response:
    g.fault = name_fault(error)
    return answer_error(ServiceError("The service failed to answer. Nothing was checked."))


def name_fault(error: BaseException) -> str:
    """What broke and where in our code, without the message, which may quote a chart or a token."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where


def _with_headers(response: Response, *, https: bool) -> Response:
    headers = response.headers
    for name, value in SECURITY_HEADERS:
        headers.setdefault(name, value)
    headers.setdefault("X-Request-Id", g.get("request_id", ""))
    if request.path.startswith("/cds-services"):
        response.vary.add("Origin")  # always, or a cache could hand one page the answer for another
    if https:
        headers.setdefault(*HSTS)
    return response


class MergeSlashes:
    """WSGI middleware: ``//`` in a path is served like ``/`` without a redirect (N17: a redirect would re-post a chart)."""

    def __init__(self, application: Any):
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if "//" in path:
            environ["PATH_INFO"] = re.sub(r"/{2,}", "/", path)
        return self._application(environ, start_response)
