"""What was measured on this build: counted by ``python -m tests.sheet_figures`` and packed with the program, because a
running service has neither vignettes nor lists of names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

_NOTHING: Mapping[str, Any] = {
    "fires": 0,
    "silent": 0,
    "situations": {},
    "examples": {"fires": ["none measured"], "silent": ["none measured"]},
}


@dataclass(frozen=True, slots=True)
class BuildFigures:
    """The figures as they were written; a rule that was not measured has none and says so."""

    found: Mapping[str, Any]

    def of(self, rule: str) -> Mapping[str, Any]:
        """Where this rule spoke and where it was silent."""
        measured: Mapping[str, Any] = self.found["rules"].get(rule, _NOTHING)
        return measured

    def measured(self, rule: str) -> Mapping[str, Any]:
        """The figures of the build, with those of this rule."""
        whole = {name: value for name, value in self.found.items() if name != "rules"}
        return {**whole, "rule": {name: self.of(rule)[name] for name in ("fires", "silent")}}


@cache
def build_figures() -> BuildFigures:
    file = resources.files("cds_service.console").joinpath("figures.json")
    return BuildFigures(json.loads(file.read_text(encoding="utf-8")))
