"""The documents of the repository as pages: rendered without any HTML of their own, cut where they are long, searched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

LONGEST_PART = 60_000  # characters of a page
_MOST_HITS, _AROUND = 30, 90
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, as plain text; ``part`` is the page of the document that it is on."""

    title: str
    anchor: str
    text: str
    part: int


@dataclass(frozen=True, slots=True)
class Document:
    """``name`` is its path below docs/ without the ending, ``parts`` its pages as HTML."""

    name: str
    title: str
    parts: tuple[Markup, ...]
    sections: tuple[Section, ...]

    @property
    def folder(self) -> str:
        """Where it lies below docs/, "" at the top."""
        return dirname(self.name)


@dataclass(frozen=True, slots=True)
class Hit:
    """A section that holds every word that was searched for."""

    document: Document
    section: Section
    excerpt: str


def folder() -> Path:
    """docs/ at the top of a checkout; installed it lies inside the package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "docs"
    return installed if installed.is_dir() else package.parent / "docs"


@cache
def documents() -> dict[str, Document]:
    """Every document by its name; none where they were not installed."""
    root = folder()
    names = {f.relative_to(root).with_suffix("").as_posix(): f for f in sorted(root.rglob("*.md"))}
    read = {name: _tokens(file.read_text(encoding="utf-8")) for name, file in names.items()}
    places = {
        (name, anchor): part
        for name, parts in read.items()
        for part, tokens in enumerate(parts)
        for _, anchor, _ in _headings(tokens)
    }
    return {name: _document(name, parts, places) for name, parts in read.items()}


def search(words: str, found: Sequence[Document]) -> Iterator[Hit]:
    """The sections that hold every word, those with it in the heading first."""
    wanted = words.lower().split()
    if not wanted:
        return
    hits = [
        (0 if all(w in section.title.lower() for w in wanted) else 1, document, section)
        for document in found
        for section in document.sections
        if all(w in f"{section.title} {section.text}".lower() for w in wanted)
    ]
    for _, document, section in sorted(hits, key=lambda hit: hit[0])[:_MOST_HITS]:
        yield Hit(document, section, _excerpt(section.text, wanted[0]))


def _excerpt(text: str, word: str) -> str:
    place = max(text.lower().find(word), 0)
    start = text.rfind(" ", 0, max(place - _AROUND, 0)) + 1
    end = text.find(" ", place + _AROUND)
    return f"{'… ' if start else ''}{text[start:end] if end > 0 else text[start:]}{' …' if end > 0 else ''}"


# --- Markdown -----------------------------------------------------------------------------------------------------------


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("table_open", _open_table)
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return markdown


def _open_table(_self: Any, tokens: Sequence[Token], place: int, *_: Any) -> str:
    """A table that scrolls in a place of its own, which the keyboard reaches."""
    number = tokens[place].meta["number"]
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Table {number}"><table>\n'


def _tokens(text: str) -> list[list[Token]]:
    """The tokens of a document, in parts that end before a heading."""
    parts: list[list[Token]] = [[]]
    size = 0
    for token in _markdown().parse(text):
        if token.type == "heading_open" and token.tag in {"h1", "h2"} and size > LONGEST_PART:
            parts.append([])
            size = 0
        parts[-1].append(token)
        size += len(token.content) + 10 * len(token.children or ())
    return parts


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[str, str, int]]:
    """Title, anchor (as GitHub makes it) and place of each heading."""
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            title = _plain(tokens[place + 1])
            yield title, re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-"), place


def _plain(token: Token) -> str:
    return "".join(
        child.content if child.type in {"text", "code_inline"} else " "
        for child in token.children or ()
        if child.type in {"text", "code_inline", "softbreak", "hardbreak"}
    )


def _document(
    name: str, parts: Sequence[list[Token]], places: dict[tuple[str, str], int]
) -> Document:
    sections = tuple(s for part, tokens in enumerate(parts) for s in _sections(tokens, part))
    for tokens in parts:
        _prepare(name, tokens, places)
    markdown = _markdown()
    html = tuple(
        Markup(markdown.renderer.render(tokens, markdown.options, {}))  # noqa: S704 - it escapes
        for tokens in parts
    )
    return Document(name, sections[0].title if sections else name, html, sections)


def _sections(tokens: list[Token], part: int) -> Iterator[Section]:
    starts = list(_headings(tokens))
    ends = [*(place for _, _, place in starts[1:]), len(tokens)]
    for (title, anchor, place), end in zip(starts, ends, strict=False):
        inside = (t for t in tokens[place + 3 : end] if t.type in {"inline", "fence"})
        text = " ".join(_plain(t) if t.type == "inline" else t.content for t in inside)
        yield Section(title, anchor, " ".join(text.split()), part)


def _prepare(name: str, tokens: list[Token], places: dict[tuple[str, str], int]) -> None:
    """Headings get their anchors; links lead to these pages, outside, or nowhere; pictures become their words."""
    for _, anchor, place in _headings(tokens):
        tokens[place].attrSet("id", anchor)
    tables = [token for token in tokens if token.type == "table_open"]
    for number, table in enumerate(tables, 1):
        table.meta["number"] = number
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                _point(child, name, places)
            elif child.type == "image":
                child.type, child.content = "text", f"[picture: {child.content}]"


def _point(link: Token, name: str, places: dict[tuple[str, str], int]) -> None:
    target = str(link.attrGet("href") or "")
    if _OUTSIDE.match(target):
        link.attrSet("rel", "noreferrer")
        return
    path, _, anchor = target.partition("#")
    other = normpath(join(dirname(name), path.removesuffix(".md"))) if path else name
    part = places.get((other, anchor), 0)
    if (path and not path.endswith(".md")) or not any(known == other for known, _ in places):
        link.attrs = {}  # a file of the repository that is no page here
        return
    query, fragment = f"?part={part + 1}" if part else "", f"#{anchor}" if anchor else ""
    link.attrSet("href", f"/docs/{other}{query}{fragment}")
