"""Changed decisions, grouped by rule and cause: as text, Markdown and JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.decision_diff.causes import Cause

Group = tuple[str, str, str]  # topic, what changed, kinds of cause


@dataclass(frozen=True, slots=True)
class Changed:
    """One topic of one call that the two versions decide differently, and why."""

    call: str
    topic: str
    what: str
    causes: tuple[Cause, ...]

    @property
    def group(self) -> Group:
        return self.topic, self.what, " + ".join(dict.fromkeys(cause.kind for cause in self.causes))


@dataclass(frozen=True, slots=True)
class Report:
    old: str
    new: str
    calls: int
    changed: tuple[Changed, ...]

    @property
    def headline(self) -> str:
        touched = len({each.call for each in self.changed})
        return (
            f"{self.old} -> {self.new}: {self.calls} calls, {len(self.changed)} decisions changed "
            f"in {touched} calls"
        )

    def groups(self) -> list[tuple[Group, list[Changed]]]:
        """By topic, the largest group first."""
        found: dict[Group, list[Changed]] = defaultdict(list)
        for each in self.changed:
            found[each.group].append(each)
        return sorted(found.items(), key=lambda item: (item[0][0], -len(item[1]), item[0]))


def as_text(report: Report, examples: int) -> Iterator[str]:
    yield report.headline
    topic = ""
    for (of, what, kinds), members in report.groups():
        if of != topic:
            yield f"\n{(topic := of)}"
        yield f"  {what}  ({len(members)} calls)"
        yield f"    cause: {kinds}"
        yield from (f"      {line}" for line in sample(members, examples))


def as_markdown(report: Report, examples: int) -> Iterator[str]:
    yield f"# Decisions changed\n\n{report.headline}."
    topic = ""
    for (of, what, kinds), members in report.groups():
        if of != topic:
            yield f"\n## {(topic := of)}"
        yield f"\n**{what}** ({len(members)} calls); cause: {kinds}\n"
        yield from (
            f"- `{call}` {why}"
            for call, _, why in (line.partition("  ") for line in sample(members, examples))
        )


def sample(members: Sequence[Changed], examples: int) -> Iterator[str]:
    """A line for each case: the releases and hooks of one vignette are one case, told by its first call."""
    cases: dict[str, list[Changed]] = defaultdict(list)
    for member in members:
        cases["/".join(member.call.split("/")[:2])].append(member)
    for name, same in list(cases.items())[:examples]:
        count = f" and {len(same) - 1} more of {name}" if len(same) > 1 else ""
        yield f"{same[0].call}{count}  {'; '.join(cause.detail for cause in same[0].causes)}"
    if len(cases) > examples:
        yield (
            "and  "
            + ", ".join(list(cases)[examples : examples + 40])
            + (" ..." if len(cases) > examples + 40 else "")
        )


def as_json(report: Report) -> dict[str, Any]:
    return {
        "old": report.old,
        "new": report.new,
        "calls": report.calls,
        "changed": [
            {
                "call": c.call,
                "topic": c.topic,
                "what": c.what,
                "causes": [{"kind": cause.kind, "detail": cause.detail} for cause in c.causes],
            }
            for c in report.changed
        ],
    }


def lines(pieces: Iterable[str]) -> str:
    return "\n".join(pieces) + "\n"
