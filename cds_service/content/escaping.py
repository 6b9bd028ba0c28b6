"""Make text from the EHR inert before it reaches a card: no markup, no links, no hidden characters (conformance T5, T8)."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 120
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_SPACES = re.compile(r"\s+")
_HIDDEN = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # control, bidi, zero width, surrogates, line separators


def plain(text: str, longest: int = LONGEST) -> str:
    """One line of visible characters, at most ``longest``; for labels and other places that are not markdown."""
    if len(text) <= longest and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    kept = "".join(
        " " if c in "\t\n\r\f\v" else c
        for c in text[: 4 * longest]
        if c in "\t\n\r\f\v" or unicodedata.category(c) not in _HIDDEN
    )
    folded = _SPACES.sub(" ", kept).strip()
    return folded if len(folded) <= longest else folded[: longest - 1].rstrip() + "\u2026"


def markdown(text: str, longest: int = LONGEST) -> str:
    """``plain`` text that no GitHub-flavoured renderer turns into an element: links broken, punctuation escaped last."""
    cut = plain(text, longest)
    unlinked = re.sub(r"(?i)(://|www\.|mailto:|xmpp:|@)", _break_link, cut)
    return _PUNCTUATION.sub(r"\\\1", unlinked)


def _break_link(match: re.Match[str]) -> str:
    found = match[0]
    return {"://": ": //", "@": " @ "}.get(found, found[:-1] + " " + found[-1])
