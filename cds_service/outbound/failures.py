"""What the errors of urllib3 and http.client mean, without keeping any: they hold URLs, headers and frames."""

from __future__ import annotations

import http.client
import ssl

from urllib3.exceptions import NewConnectionError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as TimedOut


class DeadConnectionError(Exception):
    """A kept connection had been closed by the server before it said anything."""


def name_failure(error: Exception, *, over: bool) -> str:
    """The stable word for a library's error."""
    if over:
        return "timeout"
    if isinstance(error, NewConnectionError):  # in urllib3 a kind of timeout
        return "unreachable"
    if isinstance(error, TimedOut | TimeoutError):
        return "timeout"
    return "tls" if isinstance(error, SSLError | ssl.SSLError) else "broken"


def heard_nothing(error: Exception) -> bool:
    """Does this error say that the server had hung up before it answered?"""
    cause = error.args[-1] if isinstance(error, ProtocolError | SSLError) and error.args else error
    return isinstance(
        cause,
        http.client.RemoteDisconnected
        | ConnectionResetError
        | BrokenPipeError
        | ssl.SSLEOFError
        | ssl.SSLZeroReturnError,
    )


def let_go(error: BaseException) -> None:
    """Part an error from its frames, which hold it in turn: a token would live until the garbage collector comes."""
    known: BaseException | None = error
    while known is not None:
        known.__traceback__ = None
        known = known.__context__
