"""One error tree; each class is one HTTP status and one OperationOutcome issue code.

    ServiceError
    |-- BadRequest            400  the body breaks JSON or the CDS Hooks contract
    |-- Unauthorized          401  whatever was wrong with the token, the answer is the same
    |-- Forbidden             403  known, and not allowed
    |-- NotFound              404
    |-- MethodNotAllowed      405
    |-- PreconditionFailed    412  no order in the call can be identified and the data to do so cannot be had
    |-- TooLarge              413
    |-- UnsupportedMedia      415
    |-- TooManyRequests       429
    `-- Unavailable           503  a store or the service itself cannot take this now

Messages are fixed sentences of ours. Nothing that a caller sent may stand in one; ``expression`` holds member names only.
"""

from __future__ import annotations


class ServiceError(Exception):
    """An answer that is no 200. ``message`` is shown to the caller, so it never quotes what the caller sent.

    ``reason`` is one stable word for our own log, where callers are told less.
    """

    status = 500
    issue_code = "exception"

    def __init__(
        self,
        message: str,
        *,
        expression: tuple[str, ...] = (),
        headers: dict[str, str] | None = None,
        reason: str = "",
    ):
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.expression = expression
        self.headers = headers or {}


class BadRequest(ServiceError):
    status, issue_code = 400, "invalid"


class Unauthorized(ServiceError):
    status, issue_code = 401, "login"


class Forbidden(ServiceError):
    status, issue_code = 403, "forbidden"


class NotFound(ServiceError):
    status, issue_code = 404, "not-found"


class MethodNotAllowed(ServiceError):
    status, issue_code = 405, "not-supported"


class PreconditionFailed(ServiceError):
    status, issue_code = 412, "incomplete"


class TooLarge(ServiceError):
    status, issue_code = 413, "too-long"


class UnsupportedMedia(ServiceError):
    status, issue_code = 415, "not-supported"


class TooManyRequests(ServiceError):
    status, issue_code = 429, "throttled"


class Unavailable(ServiceError):
    status, issue_code = 503, "transient"
