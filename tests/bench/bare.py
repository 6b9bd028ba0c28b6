"""The floors: applications that parse the same body and answer one constant card, and nothing else.

``plain`` is Flask as its documentation shows it; ``fast`` is Flask that parses and writes with orjson, as the service
does; ``wsgi`` has no framework at all. None checks a token or writes anything down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from flask import Flask, Response, request

CARD: dict[str, object] = {
    "cards": [{"summary": "Constant card", "indicator": "info", "source": {"label": "Bench"}}]
}


def plain() -> Flask:
    app = Flask("bare")

    @app.post("/cds-services/naltrexone-order-select")
    def call() -> dict[str, object]:
        request.get_json()
        return CARD

    return app


def fast() -> Flask:
    app = Flask("bare")

    @app.post("/cds-services/naltrexone-order-select")
    def call() -> Response:
        orjson.loads(request.get_data(cache=False))
        return Response(orjson.dumps(CARD), content_type="application/json")

    return app


def wsgi() -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        if size:
            orjson.loads(environ["wsgi.input"].read(size))
        answer = orjson.dumps(CARD)
        start(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        )
        return [answer]

    return app
