"""A Containerfile as data: its stages and their steps, as far as ours uses the language; anything else is refused."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SAID = frozenset({"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "USER", "VOLUME", "WORKDIR"})
_KNOWN = _SAID | {"ARG", "COPY", "FROM", "RUN"}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its word and what follows, continued lines joined, build arguments filled in."""

    word: str
    rest: str

    def words(self) -> list[str]:
        """Of the exec form (a JSON list) or of the shell's."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)

    def pairs(self) -> dict[str, str]:
        """Of ENV and LABEL."""
        return dict(word.split("=", 1) for word in shlex.split(self.rest))


@dataclass(frozen=True, slots=True)
class Stage:
    """What is built on one base; ``name`` is what another stage copies from."""

    base: str
    name: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Config:
    """What an image tells whoever runs it."""

    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)

    def heed(self, step: Step) -> None:
        match step.word:
            case "ENV":
                self.env |= step.pairs()
            case "LABEL":
                self.labels |= step.pairs()
            case "WORKDIR":
                self.workdir = step.rest
            case "USER":
                self.user = step.rest
            case "VOLUME":
                self.volumes += step.words()
            case "ENTRYPOINT":
                self.entrypoint = step.words()
            case "CMD":
                self.cmd = step.words()


def read(text: str) -> tuple[Stage, ...]:
    """The stages in order; ValueError for what is not known here."""
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for step in _steps(text):
        if step.word not in _KNOWN:
            raise ValueError(f"{step.word}: not known here")
        if step.word == "ARG":
            name, _, value = step.rest.partition("=")
            arguments[name] = value
        elif step.word == "FROM":
            base, _, name = _filled(step.rest, arguments).partition(" AS ")
            stages.append(Stage(base, name, ()))
        else:
            last = stages[-1]
            stages[-1] = Stage(last.base, last.name, (*last.steps, step))
    return tuple(stages)


def _steps(text: str) -> Iterator[Step]:
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        yield Step(word, rest.strip())


def _filled(text: str, arguments: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], text)
