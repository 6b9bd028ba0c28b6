"""``/docs``: the documents of the repository, searchable, and ``/openapi.json``: every endpoint that is served here."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template, request

from cds_service.console.documents import documents, search
from cds_service.console.openapi import describe
from cds_service.console.pages import Desk, Page
from cds_service.errors import NotFound
from cds_service.web.wire import answer_json

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_LONGEST = 200


def add_docs(console: Blueprint, desk: Desk) -> None:
    """The list with its search, each document, and the description of the endpoints."""

    @console.get("/docs")
    def docs() -> Response:
        words = request.args.get("q", "")[:_LONGEST]
        found = documents()
        hits = [*search(words, list(found.values()))]
        return _page("console/docs.html", words=words, hits=hits, documents=found.values())

    @console.get("/docs/<path:name>")
    def document(name: str) -> Response:
        if (found := documents().get(name)) is None:
            raise NotFound("There is no such document; see /docs.")
        asked = request.args.get("part", "1")
        part = int(asked) if asked.isdecimal() and len(asked) < 4 else 1
        if not 1 <= part <= len(found.parts):
            raise NotFound("There is no such part of this document.")
        return _page("console/document.html", document=found, part=part)

    @console.get("/openapi.json")
    def openapi() -> Response:
        return answer_json(describe(current_app.url_map, desk.settings.base_url, desk.version))


def _page(template: str, **facts: object) -> Response:
    response = Response(render_template(template, **facts), mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


DOCS = Page("docs", "Docs", add_docs)
