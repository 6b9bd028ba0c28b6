"""JSON in and out: what every Flask surface of this service agrees on for bodies, errors and headers."""

from __future__ import annotations

import re
import traceback
import uuid
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

JSON = "application/json"
_JSON_TYPES = frozenset({JSON, "application/fhir+json", "application/json+fhir"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,63}")


def read_json(limit: int) -> object:
    """The body as JSON; raises TooLarge, UnsupportedMedia or BadRequest. Never inflates, never reads past ``limit``."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Compressed bodies are not accepted.")
    if request.mimetype not in _JSON_TYPES:
        raise UnsupportedMedia("The body must be application/json.")
    data = read_body(limit)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not valid JSON (RFC 8259, UTF-8).") from None


def read_body(limit: int) -> bytes:
    """At most ``limit`` bytes, also where the length was not announced (chunked); raises TooLarge. Read once a request."""
    if "body" not in g:
        g.body = _read_body(limit)
    return bytes(g.body)


def _read_body(limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise TooLarge(f"The body must not be larger than {limit} bytes.")
    if request.content_length is not None:
        data = bytes(
            request.environ["wsgi.input"].read(request.content_length)
        )  # in one piece, not 8 kB at a time
        if len(data) < request.content_length:
            g.cut = True
        return data
    request.max_content_length = limit + 1
    try:
        data = request.get_data(cache=False)
    except HTTPException:
        raise TooLarge(f"The body must not be larger than {limit} bytes.") from None
    if len(data) > limit:
        raise TooLarge(f"The body must not be larger than {limit} bytes.")
    return data


def answer_json(body: Json, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status=status, content_type=JSON)


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


def install(app: Flask, settings: Settings) -> None:
    """Request ids, error answers and security headers for every route of ``app``."""
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.logger.disabled = True  # Flask would log the messages of exceptions
    app.before_request(_take_request_id)
    app.register_error_handler(ServiceError, answer_error)
    app.register_error_handler(HTTPException, _answer_http_exception)
    app.register_error_handler(Exception, _answer_fault)
    https = settings.base_url.startswith("https://")
    app.after_request(lambda response: _with_headers(response, https=https))


def _take_request_id() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


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
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers["X-Request-Id"] = g.get("request_id", "")
    if request.path.startswith("/cds-services"):
        response.vary.add("Origin")  # always, or a cache could hand one page the answer for another
    if https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
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
