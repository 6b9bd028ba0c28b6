"""Marry what was written with what it means: orders + terminology + dosing + timeline -> Snapshot, and every Gap.

Read from top to bottom this is the clinical reading of one call. Nothing here decides what is worth saying.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from cds_service.dosing import structured as dosing
from cds_service.dosing.structured import BandEdges
from cds_service.exposure import timeline
from cds_service.fhir import read
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
    Json,
    Medication,
    Order,
    Recognition,
    Role,
    Snapshot,
    Standing,
    State,
)
from cds_service.reading import Reading
from cds_service.terminology import Terminology, says_ldn

_STOPPED = frozenset({"stopped", "completed", "ended"})
_NEVER = frozenset({"cancelled", "entered-in-error"})
# The thresholds that the reading of a call rests on, whatever rule speaks afterwards.
THRESHOLDS = (
    "brief_course_days", "stale_grace_days", "stale_authored_days", "dispense_without_supply_days.current",
    "dispense_without_supply_days.held", "depot_interval_days.weekly", "depot_interval_days.monthly",
    "depot_interval_days.implant", "dose_bands.micro_below", "dose_bands.ldn_from", "dose_bands.ldn_to",
    "dose_bands.labelled_from", "dose_bands.labelled_to")
_PRODUCT_BANDS = {Role.NTX_XR: Band.XR, Role.NTX_BUP: Band.BUPROPION, Role.NTX_TOPICAL: Band.TOPICAL}


@dataclass(frozen=True, slots=True)
class ReadingAids:
    """What gives what was read its meaning: the dated thresholds and the zone that days are counted in."""

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
    foreign_naltrexone: bool = False
    gaps: Counter[tuple[str, str]] = field(default_factory=Counter)

    def mask(self, resource: Json, recognition: Recognition | None = None) -> None:
        """This order stands for its copy on the list: one never given for whatever it names, others for the same drug."""
        if ref := resource_ref(resource):
            self.masked[ref] = None if recognition is None else _ingredients(recognition)


def read_snapshot(reading: Reading, aids: ReadingAids, now: datetime) -> Snapshot:
    """All that the rules may see of this call."""
    request, record = reading.request, reading.record
    clock = timeline.Clock(now, now.astimezone(aids.zone).date())
    entries = [entry for _, entry in record.entries]
    reader = _Reader(reading, aids)

    context = _read_context(request, reader)
    medications, gaps = _read_listed(record.entries, request.patient_id, context.masked, reader)
    exposures = _expose([*medications, *context.stopped], context.stopped, clock, aids)
    conditions = _read_conditions(entries, request.patient_id, reading.terminology)
    gaps.update(context.gaps)
    return Snapshot(
        hook=request.hook, as_of=now, today=clock.today, release=reading.release,
        drafts=tuple(_mark_renewals(context.drafts, exposures, request.hook)), exposures=exposures,
        conditions=conditions,
        conditions_read=_is_answered(record, "conditions", _is_condition, request.patient_id),
        list_available=_is_answered(record, profile_of(reading.release).order_key, order_kind, request.patient_id),
        unidentified_draft=context.unidentified > 0,
        foreign_naltrexone=context.foreign_naltrexone,
        unidentifiable=context.seen > 0 and context.seen == context.unidentified,
        age=_read_age(entries, request.patient_id, clock, aids),
        setting=read.read_setting(_of_type(entries, "Encounter", request.patient_id), request.encounter_id),
        gaps=(*missing(record, reading.release, bool(request.encounter_id)),
              *(Gap(about, why, n) for (about, why), n in sorted(gaps.items()))),
        thresholds=aids.thresholds, orders_in_call=len(request.orders.entries),
    )


def _is_answered(record: Record, key: str, sought: Callable[[Json], object], patient_id: str) -> bool:
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
    """Understands single resources of this call."""

    reading: Reading
    aids: ReadingAids

    def understand(self, resource: Json, drug: Drug, recognition: Recognition, source: str) -> Medication:
        release = release_of(resource) or self.reading.release
        order = read.read_order(resource, drug, source, release, self.aids.zone, self.reading.resolver)
        return understand(order, recognition, self.aids)

    def draft(self, medication: Medication, selected: bool) -> Draft:
        order = medication.order
        kinds = frozenset[ConditionKind]().union(*map(self.reading.terminology.classify, order.reasons))
        words = (*(d.text for d in order.dosages), *(r.label for r in order.reasons), *read.notes(order.resource))
        return Draft(medication, selected, has_reason=any(r.codings or r.text for r in order.reasons),
                     reason_kinds=kinds, says_ldn=medication.recognition.ldn_text or any(map(says_ldn, words)))


def understand(order: Order, recognition: Recognition, aids: ReadingAids) -> Medication:
    """An order with its dose and, where it holds naltrexone, its dose band."""
    naltrexone = next((c for c in recognition.components if c.role.is_naltrexone), None)
    if naltrexone is None:
        return Medication(order, recognition)
    dose = dosing.compute(order.dosages, naltrexone, order.label)
    band = _PRODUCT_BANDS.get(naltrexone.role) or dosing.band(dose.daily_mg, BandEdges.of(aids.thresholds["dose_bands"]))
    return Medication(order, recognition, dose, band)


# --- the orders of the call -------------------------------------------------------------------------------------------

def _read_context(request: HookRequest, reader: _Reader) -> _Context:
    context = _Context()
    if request.orders.unreadable:
        context.gaps["draft", "unreadable-entries"] += request.orders.unreadable
    chosen = _selected_entries(request)
    for entry in request.orders.entries:
        _sort_order(entry, entry in chosen, request, reader, context)
    return context


def _sort_order(entry: Entry, selected: bool, request: HookRequest, reader: _Reader, context: _Context) -> None:
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
    drug, recognition = reader.reading.name(resource)
    if foreign:
        context.gaps["draft", "other-patient"] += 1
        context.foreign_naltrexone |= any(c.role.is_naltrexone for c in recognition.components)
        return
    context.seen += 1
    if not recognition.identified:
        _note_unidentified(context, "not-identified", counted=True)
        return
    context.mask(resource, recognition)
    if recognition.conflict:
        context.gaps["draft", "code-and-text-disagree"] += 1
    if not recognition.components:
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


def _mark_renewals(drafts: Iterable[Draft], exposures: tuple[Exposure, ...], hook: str) -> Iterable[Draft]:
    """A renewal is a refill, an order with a prior prescription, or the same product that is current (2.12)."""
    current = {e.medication.recognition.product_key for e in exposures if e.state is State.CURRENT}
    for draft in drafts:
        medication = draft.medication
        renewal = hook == "medication-refill" or medication.order.prior_prescription \
            or medication.recognition.product_key in current
        yield replace(draft, renewal=renewal)


# --- the medication list ----------------------------------------------------------------------------------------------

def _read_listed(listed: Sequence[tuple[str, Entry]], patient_id: str, masked: Mapping[str, frozenset[str] | None],
                 reader: _Reader) -> tuple[list[Medication], Counter[tuple[str, str]]]:
    """Naltrexone and opioids on the list, in the order sent, and a count of everything that could not be judged."""
    found: list[Medication] = []
    gaps: Counter[tuple[str, str]] = Counter()
    for source, entry in listed:
        resource = entry.resource
        kind = order_kind(resource)
        if not kind:
            if might_be_order(resource):
                gaps["medicine", "resource-type"] += 1
            continue
        if standing_of(resource, kind) is Standing.EXCLUDED:
            continue
        if read.belongs_to_other(resource, patient_id):
            gaps["medicine", "other-patient"] += 1
            continue
        drug, recognition = reader.reading.name(resource)
        if (ref := resource_ref(resource)) in masked and masked[ref] in {None, _ingredients(recognition)}:
            continue
        if not recognition.identified:
            gaps["medicine", "not-identified"] += 1
        if recognition.conflict:
            gaps["medicine", "code-and-text-disagree"] += 1
        if recognition.components:
            found.append(reader.understand(resource, drug, recognition, source))
    return found, gaps


def _ingredients(recognition: Recognition) -> frozenset[str]:
    return frozenset(c.ingredient for c in recognition.components)


def _expose(medications: list[Medication], stopped: list[Medication], clock: timeline.Clock,
            aids: ReadingAids) -> tuple[Exposure, ...]:
    doses = timeline.gather_doses(medications)
    exposures = [
        timeline.stopped_today(m, clock, doses, aids.thresholds) if m in stopped
        else timeline.expose(m, clock, doses, aids.thresholds) for m in medications]
    return timeline.settle_brief(exposures)


# --- the rest of the record -------------------------------------------------------------------------------------------

def _read_conditions(entries: Sequence[Entry], patient_id: str, terminology: Terminology) -> tuple[Condition, ...]:
    found = []
    for resource in _of_type(entries, "Condition", patient_id):
        if read.condition_counts(resource):
            concept = read.read_condition(resource)
            found.append(Condition(concept, terminology.classify(concept)))
    return tuple(found)


def _read_age(entries: Sequence[Entry], patient_id: str, clock: timeline.Clock, aids: ReadingAids) -> int | None:
    ages = [read.read_age(p, clock.today, aids.zone) for p in _of_type(entries, "Patient", patient_id)
            if not patient_id or str(p.get("id", patient_id)) == patient_id]
    return min((age for age in ages if age is not None), default=None)


def _of_type(entries: Sequence[Entry], kind: str, patient_id: str) -> list[Json]:
    return [e.resource for e in entries if e.resource.get("resourceType") == kind
            and not read.belongs_to_other(e.resource, patient_id)]
