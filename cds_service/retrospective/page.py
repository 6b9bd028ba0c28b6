"""Pages that lie in a folder: one file each, with the look of the service in it, which ask nothing of anybody."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from cds_service.web.look import style_sheet


def render(name: str, script: str = "", **values: Any) -> str:
    """The template with style and script inside; its policy allows these two by their hashes and nothing else."""
    style = style_sheet().decode() + _beside("pages.css")
    code = _beside(script) if script else ""
    allowed = {"style": style, "script": code}
    policy = "; ".join([
        "default-src 'none'", "base-uri 'none'", "form-action 'none'",
        *(f"{what}-src 'sha256-{_hash(text)}'" for what, text in allowed.items() if text)])  # fmt: skip
    page = Environment(
        loader=PackageLoader("cds_service.retrospective", "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
    )
    page.filters |= {"n": number, "range": between}
    inside = {what: Markup(text) for what, text in allowed.items()}  # noqa: S704 - files of this package
    return page.get_template(name).render(policy=policy, **inside, **values)


def number(value: float | None, digits: int = 0) -> str:
    return "few" if value is None else f"{value:,.{digits}f}"


def between(pair: Sequence[float] | None, digits: int = 0) -> str:
    """Two bounds as a reader says them; one number where they are the same."""
    if pair is None:
        return "few"
    low, high = (f"{value:,.{digits}f}" for value in pair)
    return low if low == high else f"{low} to {high}"


def _beside(name: str) -> str:
    place = resources.files("cds_service.retrospective").joinpath("templates", name)
    return place.read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
