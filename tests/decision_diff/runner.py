"""Answer hook calls with whatever version of the service this interpreter imports: NDJSON in, NDJSON out.

Sent to a version's own interpreter, so it imports nothing of this repository but ``cds_service`` and asks for as little
of it as it can: ``decide`` posts each body to the WSGI application that ``create_app`` makes, ``explain`` runs the
command of that name. What an older or newer version does not have is left out of the line, never guessed.

A line in: ``{"path": "/cds-services/...", "as_of": "2026-11-21T12:00:00+00:00", "body": {...}}``. A line out, in the same
order: ``{"status": 200, "answer": {...}, "situations": {topic: [situation]}}``, or ``{"trace": {...}}``; ``{"error": ...}``
where the version itself broke.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

Line = dict[str, Any]
PREFIX = "NALTREXONE_CDS_"
SETTINGS = "[limits]\nrequests_per_minute = 0\n"


def main(what: str, package: str) -> None:
    """Read calls from stdin, answer each on stdout; everything that the version prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    found = Path(str(importlib.import_module("cds_service").__file__)).resolve()
    if not found.is_relative_to(Path(package).resolve()):
        sys.exit(f"cds_service was imported from {found}, not from {package}")
    with tempfile.TemporaryDirectory() as data:
        isolate(Path(data))
        answer = decider() if what == "decide" else explainer()
        for line in sys.stdin:
            out.write(json.dumps(answered(answer, json.loads(line))) + "\n")
            out.flush()
        out.close()
        sys.stderr.flush()
        os._exit(0)  # a version's own threads are none of our business


def isolate(data: Path) -> None:
    """Settings of nobody else: no rate limit, no audit, a store that vanishes."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    (data / "settings.toml").write_text(SETTINGS)
    os.environ |= {
        PREFIX + "DATA_DIR": str(data),
        PREFIX + "AUDIT": "off",
        PREFIX + "SETTINGS": str(data / "settings.toml"),
        PREFIX + "LOG_LEVEL": "ERROR",
    }


def answered(answer: Callable[[Line], Line], call: Line) -> Line:
    try:
        return answer(call)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever breaks in a version is its answer
        return {"error": f"{type(error).__name__}: {error}"[:500]}


# --- decide -----------------------------------------------------------------------------------------------------------


def decider() -> Callable[[Line], Line]:
    """The whole service in this process, at the moment that each call names."""
    moment = [datetime.fromisoformat("2026-11-21T12:00:00+00:00")]
    judged = watched_pipeline()
    app = importlib.import_module("cds_service.app").create_app(settings(), now=lambda: moment[0])

    def decide(call: Line) -> Line:
        moment[0] = datetime.fromisoformat(call["as_of"])
        judged.clear()
        status, text = post(app, call["path"], json.dumps(call["body"]).encode())
        said = {"status": status, "answer": json.loads(text or b"null")}
        return {**said, "situations": judged[0]} if judged else said

    return decide


def settings() -> Any:
    module = importlib.import_module("cds_service.settings")
    try:
        return module.load_for_worker()
    except Exception:  # noqa: BLE001 - a version may know no such setting; then its own defaults must do
        del os.environ[PREFIX + "SETTINGS"]
        return module.load_for_worker()


def watched_pipeline() -> list[dict[str, list[str]]]:
    """A list that holds the situations of the latest outcome, where this version's pipeline shows them."""
    seen: list[dict[str, list[str]]] = []
    with suppress(ImportError, AttributeError):
        pipeline = importlib.import_module("cds_service.pipeline")
        original = pipeline.answer

        @functools.wraps(original)
        def answer(*words: Any, **options: Any) -> Any:
            outcome = original(*words, **options)
            with suppress(AttributeError, TypeError):
                seen[:] = [situations(outcome)]
            return outcome

        pipeline.answer = answer
    return seen


def situations(outcome: Any) -> dict[str, list[str]]:
    findings = [finding for verdict in outcome.verdicts for finding in verdict.findings]
    return {
        str(f.topic): sorted(str(g.situation) for g in findings if g.topic == f.topic)
        for f in findings
    }


def post(app: Any, path: str, body: bytes) -> tuple[int, bytes]:
    """One POST through WSGI: (status, body)."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "REMOTE_ADDR": "127.0.0.1",
    }
    setup_testing_defaults(environ)
    started: list[str] = []
    pieces = app(environ, lambda status, headers, exc_info=None: started.append(status))
    try:
        text = b"".join(pieces)
    finally:
        getattr(pieces, "close", lambda: None)()
    return int(started[0].split()[0]), text


# --- explain ----------------------------------------------------------------------------------------------------------


def explainer() -> Callable[[Line], Line]:
    """``explain --json`` of this version, in this process; its tables are loaded once where they can be."""
    try:
        command = importlib.import_module("cds_service.__main__").main
    except (ImportError, AttributeError, SystemExit):
        return lambda call: {}  # a version that cannot explain itself
    for name in ("terminology", "content"):
        with suppress(ImportError, AttributeError):
            module: Any = importlib.import_module(f"cds_service.{name}")
            module.load = functools.cache(module.load)

    def explain(call: Line) -> Line:
        words = [
            "explain",
            "-",
            "--as-of",
            call["as_of"],
            "--json",
            "--service",
            call["path"].rsplit("/", 1)[-1],
        ]
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        typed, sys.stdin = (
            sys.stdin,
            io.TextIOWrapper(io.BytesIO(json.dumps(call["body"]).encode())),
        )
        try:
            with redirect_stdout(printed):
                command(words, standalone_mode=False)
        finally:
            sys.stdin = typed
        printed.seek(0)
        return {"trace": json.loads(printed.read())}

    return explain


if __name__ == "__main__":
    main(*sys.argv[1:])
