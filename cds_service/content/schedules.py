"""The titration numbers against each other: what is proposed can be drawn, and no limit goes beyond the maximum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from cds_service.content.contract import printable
from cds_service.content.loader import Content
from cds_service.titration import plan
from cds_service.titration.schedules import Schedule, Schedules, Span

_MAXIMUM = "ldn_usual_max_mg"


def complaints(content: Content) -> Iterator[str]:
    """One line for each citation that does not resolve and each number that no plan could keep to on some day."""
    for group, histories in content.titration_history.items():
        yield from (
            f"schedules.yaml: {group}/{name}: no source {source!r}"
            for name, history in histories.items()
            for entry in history
            for source in entry["sources"]
            if source not in content.sources
        )
    if _MAXIMUM not in printable(content):
        yield f"thresholds.yaml: {_MAXIMUM}: missing, no plan may go beyond it"
        return
    found = (fault for day in content.days for fault in _number_faults(content.thresholds(day)))
    yield from (f"schedules.yaml: {fault}" for fault in dict.fromkeys(found))


def _number_faults(numbers: Mapping[str, Any]) -> Iterator[str]:
    schedules = Schedules.of(numbers)
    limits = schedules.limits
    if limits.usual_max_mg > limits.with_reason_max_mg:
        yield "titration/with_reason_max_mg: below ldn_usual_max_mg"
    if limits.first_fill_days not in limits.fill_days:
        yield "titration/fill_days: the usual fill is not among the choices"
    if not limits.hold_days.admits(limits.hold_days.default):
        yield "titration/hold_days: the usual hold is outside its limits"
    for schedule in schedules.by_id.values():
        yield from (
            f"schedules/{schedule.id}: {fault}" for fault in _schedule_faults(schedules, schedule)
        )


def _schedule_faults(schedules: Schedules, schedule: Schedule) -> Iterator[str]:
    spans = {
        "start_mg": schedule.start,
        "step_mg": schedule.step,
        "step_days": schedule.interval,
        "max_mg": schedule.maximum,
    }
    misplaced = [name for name, span in spans.items() if not _is_ordered(span)]
    yield from (f"{name}: not within its limits" for name in misplaced)
    if schedule.maximum.high * schedule.times_per_day > schedules.limits.with_reason_max_mg:
        yield "max_mg: a day's dose may exceed with_reason_max_mg"
    if not misplaced:
        proposed = plan.complaints(schedules, plan.propose(schedules, schedule.id, date.max))
        yield from (f"what is proposed cannot be drawn ({c.about}: {c.why})" for c in proposed)


def _is_ordered(span: Span) -> bool:
    return span.low <= span.default <= span.high
