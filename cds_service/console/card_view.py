"""A card as an EHR draws it: its markdown as HTML in which nothing that was sent can be an element of its own.

Raw HTML is shown as text, links open only by http and https, images are not loaded: the page's policy would stop
them, and this does not rest on it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markupsafe import Markup

from cds_service.fhir.values import as_dict, as_list, as_text

INDICATORS = ("info", "warning", "critical")
_MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False}).disable(["image"])


def drawn(detail: object) -> Markup:
    """The detail of a card as HTML."""
    return Markup(_MARKDOWN.render(as_text(detail)))  # noqa: S704 - rendered with raw HTML off


def cards_of(answer: object) -> list[dict[str, Any]]:
    """The cards of an answer with what a template needs; whatever is no card is left out."""
    return [_view(card) for card in as_list(as_dict(answer).get("cards")) if isinstance(card, dict)]


def _view(card: dict[str, Any]) -> dict[str, Any]:
    said = as_text(card.get("indicator"))
    return {
        "uuid": as_text(card.get("uuid")),
        "indicator": said if said in INDICATORS else "info",
        "summary": as_text(card.get("summary")),
        "detail": drawn(card.get("detail")),
        "topic": as_text(as_dict(as_dict(card.get("source")).get("topic")).get("code")),
        "source": as_dict(card.get("source")),
        "source_url": opened(as_dict(card.get("source")).get("url")),
        "suggestions": [as_dict(s) for s in as_list(card.get("suggestions"))],
        "links": [
            {
                "label": as_text(k.get("label")),
                "url": opened(k.get("url")),
                "type": k.get("type"),
                "context": as_text(k.get("appContext")),
            }
            for k in map(as_dict, as_list(card.get("links")))
        ],
        "reasons": [as_dict(r) for r in as_list(card.get("overrideReasons"))],
    }


def opened(url: object) -> str:
    """An address that a page may link to, else ""."""
    text = as_text(url)
    try:
        return text if urlsplit(text).scheme in {"http", "https"} else ""
    except ValueError:
        return ""
