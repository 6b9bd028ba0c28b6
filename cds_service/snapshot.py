"""Marry what was written with what it means: orders + terminology + dosing + timeline -> Snapshot, and every Gap.

Read from top to bottom this is the clinical reading of one call. Nothing here decides what is worth saying.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from typing import Any

from cds_service.dosing import structured as dosing
from cds_service.dosing.structured import BandEdges
from cds_service.exposure import ending, timeline
from cds_service.exposure.calendar import Clock
from cds_service.fhir import course, observations, read
from cds_service.fhir.bundle import Entry, might_be_order
from cds_service.fhir.releases import profile_of
from cds_service.fhir.status import order_kind, release_of, standing_of
from cds_service.fhir.values import as_code, resource_ref
from cds_service.hooks.prefetch import Record, missing
from cds_service.hooks.request import HookRequest
from cds_service.model import (
    Band,
    Condition,
    ConditionKind,
    Draft,
    Drug,
    Exposure,
    Gap,
    Identity,
    Json,
    LabResult,
    Medication,
    Order,
    Recognition,
    Role,
    Setting,
    Snapshot,
    Standing,
    State,
    UnknownDraft,
)
from cds_service.reading import Reading, billed_procedure
from cds_service.terminology import says_ldn
from cds_service.terminology.labs import LabTest

_STOPPED = frozenset({"stopped", "completed", "ended"})
MOST_DRAFTS = 60  # antagonists and opioids of one call that are all held against each other
_NEVER = frozenset({"cancelled", "entered-in-error"})
# The thresholds that the reading of a call rests on, whatever rule speaks afterwards.
THRESHOLDS = (
    "brief_course_days",
    "grace_days.at_least",
    "grace_days.at_most",
    "stale_authored_days",
    "dispense_without_supply_days.current",
    "dispense_without_supply_days.held",
    "as_needed_days",
    "expired_fill_days",
    "housekeeping_days",
    "completed_after_update_days",
    "order_life_days",
    "old_days.stale",
    "old_days.held",
    "bulk_update.entries",
    "bulk_update.share",
    "administration_hours",
    "depot_interval_days.weekly",
    "depot_interval_days.monthly",
    "depot_interval_days.implant",
    "dose_bands.micro_below",
    "dose_bands.ldn_from",
    "dose_bands.ldn_to",
    "dose_bands.labelled_from",
    "dose_bands.labelled_to",
)
_PRODUCT_BANDS = {
    Role.NTX_XR: Band.XR,
    Role.NTX_IMPLANT: Band.XR,
    Role.NTX_BUP: Band.BUPROPION,
    Role.NTX_TOPICAL: Band.TOPICAL,
}


@dataclass(frozen=True, slots=True)
class ReadingAids:
    """What turns a reading into meaning: the dated thresholds and the zone that days are counted in."""

    thresholds: Mapping[str, Any]
    zone: tzinfo


@dataclass(slots=True)
class _Context:
    """The orders of the call, sorted by what the specification makes of them (2.1.3)."""

    drafts: list[Draft] = field(default_factory=list)
    stopped: list[Medication] = field(default_factory=list)
    masked: dict[str, frozenset[str] | None] = field(default_factory=dict)
    seen: int = 0
    unidentified: int = 0
    unsent: int = 0  # ... because the drug is a reference to something that was not sent
    unknown: list[UnknownDraft] = field(default_factory=list)
    foreign_naltrexone: bool = False
    gaps: Counter[tuple[str, str]] = field(default_factory=Counter)

    def mask(self, resource: Json, recognition: Recognition | None = None) -> None:
        """This order stands for its copy on the list: one never given for whatever it names, others for the same drug."""
        if ref := resource_ref(resource):
            self.masked[ref] = None if recognition is None else _ingredients(recognition)


def read_snapshot(reading: Reading, aids: ReadingAids, now: datetime) -> Snapshot:
    """All that the rules may see of this call."""
    request, record = reading.request, reading.record
    clock = Clock(now, now.astimezone(aids.zone).date())
    entries = [entry for _, entry in record.entries]
    reader = _Reader(reading, aids)

    context = _read_context(request, reader)
    found = _read_listed(record.entries, request.patient_id, context.masked, reader)
    known = ending.gather(found.medications, found.updates, aids.thresholds)
    exposures = _expose([*found.medications, *context.stopped], context.stopped, known, clock, aids)
    asked = [m for m in found.nameless if _may_be_current(m, known, clock, aids)]
    conditions = _read_conditions(entries, request, reader)
    gaps = found.gaps + context.gaps
    return Snapshot(
        hook=request.hook,
        as_of=now.astimezone(aids.zone),
        today=clock.today,
        release=reading.release,
        drafts=tuple(_mark_renewals(context.drafts, exposures, request.hook)),
        exposures=exposures,
        conditions=conditions,
        conditions_read=_is_answered(record, "conditions", _is_condition, request.patient_id),
        list_available=not gaps["medicine", "not-known"]
        and _is_answered(
            record, profile_of(reading.release).order_key, order_kind, request.patient_id
        ),
        unidentified_draft=context.unidentified > 0,
        foreign_naltrexone=context.foreign_naltrexone,
        unidentifiable=context.seen > 0 and context.seen == context.unsent,
        age=_read_age(entries, request.patient_id, clock, aids),
        setting=read.read_setting(
            _of_type(entries, "Encounter", request.patient_id), request.encounter_id
        ),
        gaps=(
            *missing(record, reading.release, bool(request.encounter_id), reading.profile),
            *(Gap(about, why, n) for (about, why), n in sorted(gaps.items())),
        ),
        thresholds=aids.thresholds,
        orders_in_call=len(request.orders.entries),
        listed_count=found.count,
        unreadable=found.cut + sum(not m.recognition.readable for m in asked),
        unknown_names=tuple(
            dict.fromkeys(
                _name(m.order.drug, m.recognition) for m in asked if m.recognition.readable
            )
        ),
        unknown_drafts=tuple(context.unknown),
        labs=_read_labs(entries, request.patient_id, reader),
        supportive=frozenset(found.supportive),
    )


def read_orders_alone(reading: Reading, aids: ReadingAids, now: datetime) -> Snapshot:
    """What there is to see of a call whose orders are all surely other drugs: nothing but that they are there."""
    return Snapshot(
        hook=reading.request.hook,
        as_of=now.astimezone(aids.zone),
        today=now.astimezone(aids.zone).date(),
        release=reading.release,
        drafts=(),
        exposures=(),
        conditions=(),
        conditions_read=False,
        list_available=False,
        unidentified_draft=False,
        foreign_naltrexone=False,
        unidentifiable=False,
        age=None,
        setting=Setting(),
        gaps=(),
        thresholds=aids.thresholds,
        orders_in_call=len(reading.drafted),
    )


def _is_answered(
    record: Record, key: str, sought: Callable[[Json], object], patient_id: str
) -> bool:
    """True where this search was answered for this patient; an answer that is all another patient's was not."""
    if not record.answered(key):
        return False
    found = [entry.resource for entry in record.answers[key].entries if sought(entry.resource)]
    return not found or not all(read.belongs_to_other(resource, patient_id) for resource in found)


def _is_condition(resource: Json) -> bool:
    return resource.get("resourceType") == "Condition"


# --- one order, understood --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads single resources of this call."""

    reading: Reading
    aids: ReadingAids

    def understand(
        self, resource: Json, drug: Drug, recognition: Recognition, source: str, kind: str = ""
    ) -> Medication:
        release = release_of(resource) or self.reading.release
        order = read.read_order(
            resource, drug, source, release, self.aids.zone, self.reading.resolver, kind
        )
        self.reading.spend(d.text for d in (*order.dosages, *order.linked_dosages))
        return understand(order, recognition, self.aids)

    def draft(self, medication: Medication, selected: bool) -> Draft:
        order = medication.order
        kinds = frozenset[ConditionKind]().union(
            *map(self.reading.terminology.classify, order.reasons)
        )
        words = (
            *(d.text for d in order.dosages),
            *(r.label for r in order.reasons),
            *read.notes(order.resource),
        )
        return Draft(
            medication,
            selected,
            has_reason=any(r.codings or r.text for r in order.reasons),
            reason_kinds=kinds,
            says_ldn=medication.recognition.ldn_text or any(map(says_ldn, words)),
        )


def understand(order: Order, recognition: Recognition, aids: ReadingAids) -> Medication:
    """An order with the dose of what is judged by it: naltrexone with its band, loperamide by the day."""
    naltrexone = next((c for c in recognition.components if c.role.is_naltrexone), None)
    dosed = naltrexone or next((c for c in recognition.components if c.role is Role.PERIPH), None)
    if dosed is None:
        return Medication(order, recognition)
    dose = dosing.compute(order.dosages, dosed, "" if recognition.conflict else order.label)
    if naltrexone is None:
        return Medication(order, recognition, dose)
    band = _PRODUCT_BANDS.get(naltrexone.role) or dosing.band(
        dose.daily_mg, BandEdges.of(aids.thresholds["dose_bands"])
    )
    return Medication(order, recognition, dose, band)


# --- the orders of the call -------------------------------------------------------------------------------------------


def _read_context(request: HookRequest, reader: _Reader) -> _Context:
    context = _Context()
    if request.orders.unreadable:
        context.gaps["draft", "unreadable-entries"] += request.orders.unreadable
    chosen = {id(entry) for entry in _selected_entries(request)}
    for entry in request.orders.entries:
        _sort_order(entry, id(entry) in chosen, request, reader, context)
    if (left := len(context.drafts) - MOST_DRAFTS) > 0:
        context.gaps["draft", "too-many"] += left
    return context


def _sort_order(
    entry: Entry, selected: bool, request: HookRequest, reader: _Reader, context: _Context
) -> None:
    resource = entry.resource
    if not order_kind(resource):
        if might_be_order(resource):
            _note_unidentified(context, "resource-type")
        return
    status = as_code(resource.get("status"))
    foreign = read.belongs_to_other(resource, request.patient_id)
    if (status in _NEVER or resource.get("doNotPerform") is True) and not foreign:
        context.mask(resource)
        return
    if as_code(resource.get("intent")) == "option" or not read.names_medication(resource):
        return
    drug, recognition, *_ = reader.reading.name(resource)
    if foreign:
        context.gaps["draft", "other-patient"] += 1
        context.foreign_naltrexone |= any(c.role.is_naltrexone for c in recognition.components)
        return
    context.seen += 1
    if not recognition.readable:
        context.unsent += read.refers_to_nothing_sent(resource, reader.reading.resolver)
        context.unknown.append(UnknownDraft("", selected))
        context.gaps["draft", "too-many"] += reader.reading.is_exhausted
        _note_unidentified(context, "not-identified", counted=True)
        return
    context.mask(resource, recognition)
    context.gaps["draft", "too-many"] += read.is_cut(resource)
    if recognition.conflict:
        context.gaps["draft", "code-and-text-disagree"] += 1
    if recognition.kind is Identity.UNKNOWN:
        context.unknown.append(UnknownDraft(_name(drug, recognition), selected))
    if not recognition.components:
        return
    if reader.reading.is_exhausted and len(context.drafts) >= MOST_DRAFTS:
        context.gaps["draft", "too-many"] += 1
        context.unidentified += 1
        context.unknown.append(UnknownDraft("", selected))
        return
    medication = reader.understand(resource, drug, recognition, "context")
    if status in _STOPPED:
        context.stopped.append(medication)
    else:
        context.drafts.append(reader.draft(medication, selected))


def _note_unidentified(context: _Context, why: str, counted: bool = False) -> None:
    context.seen += not counted
    context.unidentified += 1
    context.gaps["draft", why] += 1


def _selected_entries(request: HookRequest) -> list[Entry]:
    """Entries that the clinician selected; all of them where nothing was selected or nothing selected can be found."""
    entries = request.orders.entries
    if request.selections is None:
        return entries
    chosen = [entry for entry in entries if request.selections & _handles(entry)]
    return chosen or entries


def _handles(entry: Entry) -> set[str]:
    """Every way in which clients name an order in ``selections`` (R41)."""
    ref = resource_ref(entry.resource)
    bare = ref.partition("/")[2]
    return {handle for handle in (ref, bare, bare and f"urn:uuid:{bare}", entry.full_url) if handle}


def _mark_renewals(
    drafts: Iterable[Draft], exposures: tuple[Exposure, ...], hook: str
) -> Iterable[Draft]:
    """A renewal is a refill, an order with a prior prescription, or the same product that is current (2.12)."""
    current = {e.medication.recognition.product_key for e in exposures if e.state is State.CURRENT}
    for draft in drafts:
        medication = draft.medication
        renewal = (
            hook == "medication-refill"
            or medication.order.prior_prescription
            or medication.recognition.product_key in current
        )
        yield replace(draft, renewal=renewal)


# --- the medication list ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _List:
    """The medication list as it was read: what concerns us, what nobody can name, and a count of all of it."""

    medications: list[Medication] = field(default_factory=list)
    nameless: list[Medication] = field(default_factory=list)
    updates: list[date] = field(default_factory=list)
    gaps: Counter[tuple[str, str]] = field(default_factory=Counter)
    supportive: set[str] = field(default_factory=set)
    count: int = 0
    cut: int = 0  # ... of which so many were not read, because the call used its steps up


def _read_listed(
    listed: Sequence[tuple[str, Entry]],
    patient_id: str,
    masked: Mapping[str, frozenset[str] | None],
    reader: _Reader,
) -> _List:
    """Naltrexone, opioids and the unknown on the list, in the order sent, and everything that could not be judged."""
    found = _List()
    for source, entry in listed:
        kind = order_kind(entry.resource) or (
            "administration" if billed_procedure(entry.resource) else ""
        )
        if kind:
            _read_medicine(entry.resource, kind, source, patient_id, masked, reader, found)
        elif might_be_order(entry.resource):
            found.gaps["medicine", "resource-type"] += 1
    return found


def _read_medicine(
    resource: Json,
    kind: str,
    source: str,
    patient_id: str,
    masked: Mapping[str, frozenset[str] | None],
    reader: _Reader,
    found: _List,
) -> None:
    if (updated := course.read_updated(resource, reader.aids.zone)) is not None:
        found.updates.append(updated.last)
    if standing_of(resource, kind) is Standing.EXCLUDED:
        return
    if read.belongs_to_other(resource, patient_id):
        found.gaps["medicine", "other-patient"] += 1
        return
    drug, recognition, absent, supportive = reader.reading.name(resource)
    if reader.reading.is_exhausted and recognition.kind is not Identity.OTHER:
        found.gaps["medicine", "too-many"] += 1
        found.count += 1
        found.cut += 1
        return
    if (ref := resource_ref(resource)) in masked and masked[ref] in {
        None,
        _ingredients(recognition),
    }:
        return
    if recognition.kind is not Identity.RELEVANT and absent:
        found.gaps["medicine", "not-known"] += absent == "unknown"
        return
    found.count += 1
    if not recognition.readable:
        found.gaps["medicine", "not-identified"] += 1
    if recognition.conflict:
        found.gaps["medicine", "code-and-text-disagree"] += 1
    if recognition.identified and not recognition.components:
        if supportive and as_code(resource.get("status")) in {"", "active"}:
            found.supportive |= supportive
        return
    found.gaps["medicine", "too-many"] += read.is_cut(resource)
    medication = reader.understand(resource, drug, recognition, source, kind)
    found.gaps["medicine", "date-unreadable"] += bool(medication.order.unread_dates)
    (found.medications if recognition.components else found.nameless).append(medication)


def _name(drug: Drug, recognition: Recognition) -> str:
    """The name of an unknown drug as written."""
    return recognition.unknown_name or drug.concept.label


def _ingredients(recognition: Recognition) -> frozenset[str]:
    return frozenset(c.ingredient for c in recognition.components)


def _expose(
    medications: list[Medication],
    stopped: list[Medication],
    known: ending.Listed,
    clock: Clock,
    aids: ReadingAids,
) -> tuple[Exposure, ...]:
    exposures = [
        timeline.stopped_today(m, clock, known, aids.thresholds)
        if m in stopped
        else timeline.expose(m, clock, known, aids.thresholds)
        for m in medications
    ]
    return timeline.settle_brief(exposures)


def _may_be_current(
    medication: Medication, known: ending.Listed, clock: Clock, aids: ReadingAids
) -> bool:
    return timeline.may_be_current(timeline.expose(medication, clock, known, aids.thresholds))


# --- the rest of the record -------------------------------------------------------------------------------------------


def _read_conditions(
    entries: Sequence[Entry], request: HookRequest, reader: _Reader
) -> tuple[Condition, ...]:
    """The problems that count, and the procedures that mean something to a rule (a maintenance programme)."""
    found = []
    for resource in _of_type(entries, "Condition", request.patient_id):
        if read.condition_counts(resource):
            concept = read.read_condition(resource)
            found.append(
                Condition(
                    concept,
                    reader.reading.terminology.classify(concept),
                    read.condition_day(resource, reader.aids.zone),
                    read.is_diagnosis_of(resource, request.encounter_id),
                )
            )
    for resource in _of_type(entries, "Procedure", request.patient_id):
        concept = read.read_condition(resource)
        kinds = reader.reading.terminology.classify(concept) & {ConditionKind.OPIOID_TREATMENT}
        if kinds and read.procedure_counts(resource):
            found.append(Condition(concept, kinds, read.procedure_day(resource, reader.aids.zone)))
    return tuple(found)


def _read_labs(entries: Sequence[Entry], patient_id: str, reader: _Reader) -> tuple[LabResult, ...]:
    """The newest final result of each analyte that says something; on one day a positive one counts before a negative."""
    newest: dict[str, LabResult] = {}
    for resource in _of_type(entries, "Observation", patient_id):
        day = (
            observations.taken_on(resource, reader.aids.zone)
            if observations.is_final(resource)
            else None
        )
        if day is None:
            continue
        for concept, value in observations.results_in(resource):
            test = reader.reading.terminology.lab_test(concept)
            result = _lab_result(test, value, day) if test else None
            if result and ((known := newest.get(result.analyte)) is None or _later(result, known)):
                newest[result.analyte] = result
    return tuple(newest[analyte] for analyte in sorted(newest))


def _lab_result(test: LabTest, value: Json, day: date) -> LabResult | None:
    if test.group.is_transaminase:
        times = observations.times_upper_limit(value)
        return (
            LabResult(test.group, test.analyte, day, times_limit=times)
            if times is not None
            else None
        )
    positive = observations.is_positive(value)
    return (
        None
        if positive is None
        else LabResult(test.group, test.analyte, day, positive, test.confirmed)
    )


def _later(one: LabResult, other: LabResult) -> bool:
    return (one.day, one.positive, one.times_limit or 0) > (
        other.day,
        other.positive,
        other.times_limit or 0,
    )


def _read_age(
    entries: Sequence[Entry], patient_id: str, clock: Clock, aids: ReadingAids
) -> int | None:
    ages = [
        read.read_age(p, clock.today, aids.zone)
        for p in _of_type(entries, "Patient", patient_id)
        if not patient_id or str(p.get("id", patient_id)) == patient_id
    ]
    return min((age for age in ages if age is not None), default=None)


def _of_type(entries: Sequence[Entry], kind: str, patient_id: str) -> list[Json]:
    return [
        e.resource
        for e in entries
        if e.resource.get("resourceType") == kind
        and not read.belongs_to_other(e.resource, patient_id)
    ]
