"""Nothing in a card's detail becomes markup that the template did not write (conformance T8)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.conformance.calls import T1, cards, conflict, topics, words
from tests.security.payloads import PAYLOADS, autolinks, kinds, marked, tokens
from tests.security.test_CT05_card_content import FIELDS, filled

FORBIDDEN = (
    "html",
    "image",
    "heading",
    "table",
    "code",
    "fence",
    "hr",
    "blockquote",
    "list",
    "link",
)


def shapes(found: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """Token types per topic."""
    return {
        card["source"]["topic"]["code"]: Counter(kinds(card.get("detail", ""))) for card in found
    }


@pytest.mark.parametrize("payload", PAYLOADS)
def test_CT08_each_payload_is_live_where_nothing_escapes_it_or_harmless_by_nature(
    payload: str,
) -> None:
    """The reader can see markup: most payloads do something when they are not escaped."""
    harmless = {
        "&lt;script&gt;",
        "&#60;b&#62;",
        "\\<b\\>",
        "- [ ] task",
        "1. one",
        "//evil.test/x",
        "]]>",
        "https\u202e://evil.test",
        "https:\u200b//evil.test",
        "[^1]: note",
        "![][r]",
        "\u2028# H",
        "\n===\n",
        "[x](javascript:alert(1))",
        "xmpp:a@evil.test/x",
        "\\\\[x](https://evil.test)",
        "\n    indented code\n",
        "\u0000<b>",
    }
    live = [kind for kind in kinds(marked(payload)) if not kind.startswith("paragraph")]
    assert live or payload in harmless


@pytest.mark.parametrize("field", FIELDS)
def test_CT08_a_payload_in_any_field_adds_no_markup_to_any_card(service: Any, field: str) -> None:
    """Compared with the same call with a harmless word: same cards, same token types, same number of each."""
    plain = shapes(cards(service, filled(field, marked("word"))))
    for payload in PAYLOADS:
        found = cards(service, filled(field, marked(payload)))
        assert plain == shapes(found), payload
        assert "critical" == topics(found)[T1]


@pytest.mark.parametrize("field", FIELDS)
def test_CT08_no_detail_holds_html_images_headings_or_links_to_strangers(
    service: Any, field: str
) -> None:
    allowed = {link["url"] for card in cards(service, conflict()) for link in card.get("links", [])}
    for payload in PAYLOADS:
        for card in cards(service, filled(field, marked(payload))):
            found = tokens(card.get("detail", ""))
            assert [] == [
                t.type for t in found if t.type.startswith(("html", "image", "heading"))
            ], payload
            links = {str(t.attrGet("href")) for t in found if t.type == "link_open"}
            assert links <= allowed, payload
            assert [] == autolinks(card.get("detail", "")), payload


def test_CT08_the_text_itself_is_still_there_to_read(service: Any) -> None:
    """Escaping keeps the words: a prescriber sees what the record says."""
    found = cards(service, filled("drug text", "QQMARK <b>Oxycodone & aspirin</b> 5 mg"))
    text = next(words(card) for card in found if card["source"]["topic"]["code"] == T1)
    assert "oxycodone & aspirin" in text


def test_CT08_the_templates_themselves_use_no_html_no_images_and_no_links(service: Any) -> None:
    for card in cards(service, conflict()):
        assert [] == [
            k for k in kinds(card["detail"]) if k.startswith(("html", "image", "heading", "link"))
        ]


def test_CT08_an_escaped_address_is_still_an_address_to_some_renderers() -> None:
    """Backslashes alone do not break a link: the reader of these tests sees it."""
    escaped = r"QQMARK https\:\/\/evil\.test and www\.evil\.com and a\@evil\.com"
    assert ["https://e", "www.e", "a@evil.c"] == autolinks(escaped)
    assert [] == autolinks(
        r"QQMARK https\: \/\/evil\.test and www \.evil\.com and a \@ evil\.com, 5 mg\/mL"
    )


def test_CT08_the_list_of_forbidden_tokens_would_be_seen() -> None:
    seen = {
        prefix
        for payload in PAYLOADS
        for kind in kinds("\n\n" + payload)
        for prefix in FORBIDDEN
        if kind.startswith(prefix)
    }
    assert {
        "html",
        "image",
        "heading",
        "table",
        "code",
        "fence",
        "hr",
        "blockquote",
        "link",
    } <= seen | {"list"}
