"""What the body meets, day by day: each exposure with its bounds, and what the draft would be told on any other day.

Every severity is the service's own: each day is read and judged anew, as if the order were drafted then. Nothing is
worked out a second time here. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import groupby, pairwise

from cds_service.console.tracks import Span, Track, start_and_evidence, track_of
from cds_service.hooks.request import HookRequest
from cds_service.model import Exposure, Severity, Snapshot
from cds_service.pipeline import Engine, Judgement, Outcome, judge
from cds_service.reading import Reading
from cds_service.rules.interaction import TOPIC
from cds_service.rules.pairs import find_pairs

BEHIND, BEFORE = (
    45,
    7,
)  # days that are shown before the newest evidence at most, and before the first
AHEAD, FARTHEST, AFTER = 30, 240, 7  # days to come: at least, at most, and after all is clear
STEP = 4  # days between two looks; where they differ, the days between are looked at as well
_MOST_READ = 4_000  # medicines read for one timeline: a very long list is looked at less closely
_MOST_TRACKS = 12


@dataclass(frozen=True, slots=True)
class Timeline:
    """The days from ``first`` to ``last`` around the ``draft``; ``spans`` are the answers of the interaction rule.

    They begin on ``known_from``, the day of the newest evidence: before it nobody could have had this record.
    """

    first: date
    last: date
    known_from: date
    draft: date
    tracks: tuple[Track, ...]
    spans: tuple[Span, ...]
    left_out: int = 0  # exposures that are not drawn

    @property
    def days(self) -> int:
        return (self.last - self.first).days

    def at(self, day: date) -> float:
        """Where a day lies, from 0 to 1."""
        return min(1.0, max(0.0, (day - self.first).days / max(1, self.days)))

    def after(self, day: date) -> float:
        """Where a day is over."""
        return self.at(day + timedelta(days=1))

    @property
    def ticks(self) -> tuple[date, ...]:
        """About six round days."""
        step = next(s for s in (7, 14, 28, 56, 112) if self.days / s <= 7)
        begins = self.first + timedelta(days=-self.first.toordinal() % 7)
        return tuple(begins + timedelta(days=n) for n in range(0, self.days - step // 3, step))

    @property
    def severity(self) -> str:
        """What the draft is told on its day."""
        return next((s.kind for s in self.spans if s.first <= self.draft <= s.last), "none")


@dataclass(frozen=True)
class Call:
    """A call that can be judged on any day, at the same time of day. A reading wears out, so each day has its own."""

    request: HookRequest
    outcome: Outcome
    engine: Engine
    now: datetime

    @cached_property
    def listed(self) -> int:
        return max(1, len(self.outcome.reading.entries))

    def on(self, day: date) -> Judgement:
        here = self.now.astimezone(self.engine.zone)
        moment = datetime.combine(day, here.timetz())
        reading = self.outcome.reading
        again = Reading(self.request, reading.record, self.engine.terminology, reading.profile)
        return judge(again, self.engine, moment)


def draw(call: Call, first: date | None = None, last: date | None = None) -> Timeline:
    """The timeline of a call around the day of its draft; ``first`` and ``last`` keep the frame of an earlier one."""
    snapshot = call.outcome.snapshot
    drawn, today = _foremost(snapshot), snapshot.today
    newest = _known_from(drawn, today)
    first, last = first or _first(drawn, newest), last or _last(drawn, today)
    known_from = min(max(first, newest), last)
    told = _look(call, known_from, last, today)
    return Timeline(
        first,
        last,
        known_from,
        today,
        tuple(track_of(e, today, _spans(told, last, _key(e))) for e in drawn),
        tuple(_runs({day: each.said for day, each in told.items()}, last)),
        len(snapshot.exposures) - len(drawn),
    )


# --- the frame --------------------------------------------------------------------------------------------------------


def _foremost(snapshot: Snapshot) -> tuple[Exposure, ...]:
    """The exposures that a draft of this call may be told of first, then the others; a dozen at most."""
    concerned = _by_resource(snapshot)
    ranked = sorted(snapshot.exposures, key=lambda e: -concerned.get(_key(e), Severity.NONE))
    return tuple(ranked[:_MOST_TRACKS])


def _first(drawn: Iterable[Exposure], known_from: date) -> date:
    starts = [start for e in drawn if (start := start_and_evidence(e)[0]) is not None]
    earliest = min(starts, default=known_from) - timedelta(days=BEFORE)
    return max(min(earliest, known_from), known_from - timedelta(days=BEHIND))


def _last(drawn: Iterable[Exposure], today: date) -> date:
    clear = [e.clear_on for e in drawn if e.clear_on is not None]
    wanted = max(clear, default=today) + timedelta(days=AFTER)
    return min(max(wanted, today + timedelta(days=AHEAD)), today + timedelta(days=FARTHEST))


def _known_from(drawn: Iterable[Exposure], today: date) -> date:
    """The day of the newest evidence that is not in the future."""
    ends = [e.ending.on for e in drawn if e.ending is not None]
    used = [today - timedelta(days=e.used_days) for e in drawn if e.used_days is not None]
    begun = [start for e in drawn if (start := start_and_evidence(e)[0]) is not None]
    return max((day for day in (*ends, *used, *begun) if day <= today), default=today)


# --- what is told on each day -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """What a draft of one day is told: by the interaction rule, and of each exposure that it meets."""

    said: Severity
    by_resource: Mapping[int, Severity]


def _look(call: Call, first: date, last: date, today: date) -> dict[date, _Told]:
    """The days in order, as many as are needed to find each on which the answer turns; the draft's own is among them."""
    left = max(8, _MOST_READ // call.listed)
    days = (last - first).days + 1
    step = max(STEP, -(-2 * days // left))
    coarse = {first + timedelta(days=n) for n in range(0, days, step)} | {last}
    told = {
        day: _tell(call.on(day)) for day in coarse | ({today} if first <= today <= last else set())
    }
    between = [*pairwise(sorted(told))]
    while between and len(told) < left:
        early, late = between.pop(0)
        if told[early] != told[late] and (late - early).days > 1:
            middle = early + (late - early) // 2
            told[middle] = _tell(call.on(middle))
            between += [(early, middle), (middle, late)]
    return dict(sorted(told.items()))


def _tell(judgement: Judgement) -> _Told:
    return _Told(_said(judgement), _by_resource(judgement.snapshot))


def _key(exposure: Exposure) -> int:
    """The record that an exposure was read from is the same object on every day."""
    return id(exposure.medication.order.resource)


def _by_resource(snapshot: Snapshot) -> dict[int, Severity]:
    found: dict[int, Severity] = {}
    for pair in find_pairs(snapshot):
        if pair.listed is not None:
            key = _key(pair.listed)
            found[key] = max(found.get(key, Severity.NONE), pair.severity)
    return found


def _said(judgement: Judgement) -> Severity:
    """What the interaction rule says, both drafts of one call included."""
    said = (f.severity for f in judgement.findings if f.topic == TOPIC)
    return max(said, default=Severity.NONE)


def _spans(told: Mapping[date, _Told], last: date, key: int) -> tuple[Span, ...]:
    each = {day: t.by_resource.get(key, Severity.NONE) for day, t in told.items()}
    return tuple(span for span in _runs(each, last) if span.kind != Severity.NONE.indicator)


def _runs(each: Mapping[date, Severity], last: date) -> Iterator[Span]:
    """Days in a row that are told the same, as one span; a day that was not looked at is like the one before."""
    runs = [
        (severity, [day for day, _ in days])
        for severity, days in groupby(each.items(), key=lambda item: item[1])
    ]
    for (severity, days), (_, later) in zip(runs, [*runs[1:], (None, [])], strict=True):
        until = later[0] - timedelta(days=1) if later else last
        yield Span(days[0], until, severity.indicator)
