"""The one style sheet of all pages of this service, served below each surface that has pages."""

from __future__ import annotations

from importlib import resources

from flask import Blueprint, Response

STYLE_SHEET = "look.css"


def style_sheet() -> bytes:
    """The sheet itself, for a page that is one file."""
    return resources.files("cds_service.web").joinpath("static", STYLE_SHEET).read_bytes()


def add_look(blueprint: Blueprint) -> None:
    """Serve it as ``look.css`` of this blueprint: ``url_for("<blueprint>.look")`` is its address."""
    sheet = style_sheet()

    @blueprint.get(f"/{STYLE_SHEET}")
    def look() -> Response:
        response = Response(sheet, mimetype="text/css")
        response.add_etag()
        response.headers["Cache-Control"] = "no-cache"
        return response
