"""The yardstick: a Flask view that parses the same body and answers one constant card, and nothing else.

``plain`` is Flask as its documentation shows it (``request.get_json`` and a returned dict); ``fast`` parses and writes
with orjson, as the service does.
"""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

CARD: dict[str, object] = {"cards": [{"summary": "Constant card", "indicator": "info", "source": {"label": "Bench"}}]}


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
