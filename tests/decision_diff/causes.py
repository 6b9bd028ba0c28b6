"""Why a decision changed: what the two versions' own traces (``explain --json``) say differently about the call.

A trace is read tolerantly: a member that one of the two does not have is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.vignettes.releases import Json

NO_TRACE = "no trace of both versions"
SAME_TRACE = "the traces agree: words, suggestions or settings"
_KNOWN = frozenset({"read", "drafts", "exposures", "rules", "gaps"})
_PASSING = frozenset(
    {"timings_ms", "versions", "departures_from_fhir", "cards", "as_of", "hook", "service"}
)


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """``kind`` groups calls; ``detail`` is what it was in this one."""

    kind: str
    detail: str


def causes(topic: str, old: Json | None, new: Json | None) -> tuple[Cause, ...]:
    """Every cause that the traces show, the nearest to the input first in meaning: a rule's own words come last."""
    if not old or not new:
        return (Cause(NO_TRACE, NO_TRACE),)
    found = [
        *recognitions(old, new),
        *exposures(old, new),
        *drafts(old, new),
        *gaps(old, new),
        *sections(old, new),
        *thresholds(topic, old, new),
    ]
    return tuple(dict.fromkeys(found or rule_words(topic, old, new))) or (
        Cause(SAME_TRACE, SAME_TRACE),
    )


def paired(section: str, old: Json, new: Json) -> Iterator[tuple[str, Json, Json]]:
    """(name, old record, new record) of one section; a record that is on one side only meets an empty one."""
    before, after = ({name_of(r): r for r in trace.get(section, ())} for trace in (old, new))
    for name in dict.fromkeys([*before, *after]):
        yield name, before.get(name, {}), after.get(name, {})


def name_of(record: Json) -> str:
    return f"{record.get('from', record.get('source', ''))} {record.get('resource', '')}".strip()


def differing(old: Json, new: Json, names: Iterable[str]) -> Iterator[tuple[str, Any, Any]]:
    for name in names:
        if name in old and name in new and old[name] != new[name]:
            yield name, old[name], new[name]


def recognitions(old: Json, new: Json) -> Iterator[Cause]:
    """A medicine taken for something else than before."""
    for name, before, after in paired("read", old, new):
        if (
            before
            and after
            and (taken := (taken_for(before), taken_for(after)))
            and taken[0] != taken[1]
        ):
            yield Cause(
                f"recognition: {taken[0]} -> {taken[1]}",
                f"{name} ({label_of(after)}): {taken[0]} -> {taken[1]}",
            )
        yield from (
            Cause(f"{member}: {was} -> {is_}", f"{name}: {member} {was} -> {is_}")
            for member, was, is_ in differing(before, after, ("standing",))
        )


def taken_for(record: Json) -> str:
    if not record.get("identified", True):
        return "unidentified"
    parts = [f"{c.get('ingredient')} ({c.get('role')})" for c in record.get("components", ())]
    conflict = " in conflict" if record.get("conflict") else ""
    return (" + ".join(parts) or str(record.get("class", "not ours"))) + conflict


def label_of(record: Json) -> str:
    return str(record.get("label") or record.get("text") or "; ".join(record.get("codings", ())))[
        :60
    ]


def exposures(old: Json, new: Json) -> Iterator[Cause]:
    """A listed medicine in another state, or with another count of days."""
    for name, before, after in paired("exposures", old, new):
        states = [state_of(record) for record in (before, after)]
        if states[0] != states[1]:
            why = after.get("because") or before.get("because") or ""
            words = [state.partition("(")[0] for state in states]
            kind = (
                f"exposure {words[0]} -> {words[1]}"
                if words[0] != words[1]
                else f"exposure days of {words[0]}"
            )
            yield Cause(
                kind,
                f"exposure of {name} ({label_of(after or before)}): "
                f"{states[0]} -> {states[1]}" + (f": {why}" if why else ""),
            )
        yield from (
            Cause(f"exposure {member}", f"exposure of {name}: {member} {was} -> {is_}")
            for member, was, is_ in differing(before, after, ("roles", "brief", "dose_lasts_days"))
        )


def state_of(record: Json) -> str:
    days = record.get("days_since_end")
    return (
        f"{record.get('state', 'absent')}({days})"
        if days is not None
        else str(record.get("state", "absent"))
    )


def drafts(old: Json, new: Json) -> Iterator[Cause]:
    for name, before, after in paired("drafts", old, new):
        if not (before and after):
            yield Cause(
                "draft taken up or left out", f"draft {name}: {'read' if after else 'not read'} now"
            )
        for member, was, is_ in differing(
            before, after, ("roles", "band", "renewal", "reasons", "says_ldn", "selected")
        ):
            yield Cause(f"draft {member}", f"draft {name}: {member} {was} -> {is_}")
        doses = [(record.get("dose") or {}).get("daily_mg") for record in (before, after)]
        if before and after and doses[0] != doses[1]:
            yield Cause("draft dose", f"draft {name}: {doses[0]} -> {doses[1]} mg/day")


def gaps(old: Json, new: Json) -> Iterator[Cause]:
    before, after = (
        {f"{g.get('about')}: {g.get('why')}" for g in trace.get("gaps", ())} for trace in (old, new)
    )
    yield from (Cause("gap no longer", f"gap no longer: {gap}") for gap in sorted(before - after))
    yield from (Cause("gap new", f"gap new: {gap}") for gap in sorted(after - before))


def sections(old: Json, new: Json) -> Iterator[Cause]:
    """Any other section that both traces have and that reads differently."""
    names = [name for name in old if name not in _KNOWN | _PASSING]
    for name, was, is_ in differing(old, new, names):
        yield Cause(name, f"{name}: {short(was)} -> {short(is_)}")


def thresholds(topic: str, old: Json, new: Json) -> Iterator[Cause]:
    before, after = (rule_of(topic, trace).get("thresholds", {}) for trace in (old, new))
    for name in before:
        if name in after and before[name].get("value") != after[name].get("value"):
            said = f"threshold {name}: {short(before[name].get('value'))} -> {short(after[name].get('value'))}"
            yield Cause(said, said)


def rule_words(topic: str, old: Json, new: Json) -> Iterator[Cause]:
    """The rule's own trace, where nothing that it reads has changed."""
    was, is_ = (rule_of(topic, trace) for trace in (old, new))
    lost = [line for line in was.get("because", ()) if line not in is_.get("because", ())]
    come = [line for line in is_.get("because", ()) if line not in was.get("because", ())]
    if lost or come or was.get("verdict") != is_.get("verdict"):
        yield Cause(
            f"rule: {was.get('verdict')} -> {is_.get('verdict')}",
            "; ".join(
                [*(f"no longer: {line}" for line in lost), *(f"now: {line}" for line in come)]
            )
            or "without a reason",
        )


def rule_of(topic: str, trace: Json) -> Json:
    return next((r for r in trace.get("rules", ()) if r.get("rule") == topic), {})


def short(value: Any) -> str:
    return text if len(text := str(value)) <= 120 else text[:117] + "..."
