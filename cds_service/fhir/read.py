"""Read what was sent into values, version-blind and tolerantly: orders, conditions, the patient, the encounter.

What differs between DSTU2, STU3, R4 and R5 is a handful of member names; each is tried in turn. Nothing is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, tzinfo
from decimal import Decimal
from typing import Any

from cds_service.fhir.bundle import Resolver
from cds_service.fhir.dosage import read_dosages
from cds_service.fhir.status import category_codes, encounter_classes, order_kind, standing_of
from cds_service.fhir.values import (
    as_code,
    as_decimal,
    as_dict,
    as_list,
    as_text,
    first_present,
    local_reference,
    read_concept,
    read_date,
    read_days,
    read_instant,
    read_quantity,
    read_reference,
    resource_id,
    resource_ref,
    target_ref,
)
from cds_service.model import Concept, Drug, IngredientLine, Json, Order, Release, Setting

_ACUTE = frozenset({"IMP", "ACUTE", "NONACUTE", "EMER", "OBSENC", "SS", "INPATIENT", "EMERGENCY"})
_OUTPATIENT = frozenset({"AMB", "HH", "VR", "OUTPATIENT", "AMBULATORY", "HOME", "VIRTUAL"})
_OVER = frozenset({"inactive", "remission", "resolved"})
_UNTRUE = frozenset({"refuted", "entered-in-error"})
_NOTHING = Drug()
_NO_ROUTE = Concept()


# --- the drug ---------------------------------------------------------------------------------------------------------

def names_medication(resource: Json) -> bool:
    """An order without any medication is no order (specification 2.1.3)."""
    return bool(first_present(resource, "medicationCodeableConcept", "medicationReference", "medication"))


def read_drug(resource: Json, resolver: Resolver) -> Drug:
    """The drug an order names: its concept, or the Medication it refers to, with form, route and compounding lines."""
    concept, reference, display = _medication_choice(resource)
    route = _route(resource)
    meant = resolver.resolve(reference, resource) if reference else None
    if meant is None:
        named = concept if concept.codings or concept.text else Concept(text=display)
        return Drug(named, route=route) if named.label or named.codings else _NOTHING
    return _with_medication(meant, concept, display, route, resolver)


def has_unread_reference(resource: Json, resolver: Resolver) -> str:
    """The ``Medication/id`` that an order refers to and that was not sent; "" where nothing is missing."""
    reference, _ = _medication_reference(resource)
    if not reference or resolver.resolve(reference, resource) is not None:
        return ""
    local = local_reference(reference)
    return local if local.startswith("Medication/") else ""


def _medication_choice(resource: Json) -> tuple[Concept, str, str]:
    """(concept, reference, reference display) of ``medication[x]`` in any release."""
    if "medicationReference" not in resource and "medication" not in resource:
        return read_concept(resource.get("medicationCodeableConcept")), "", ""
    either = as_dict(resource.get("medication"))
    concept = read_concept(first_present(resource, "medicationCodeableConcept") or either.get("concept")
                           or (either if "coding" in either or "text" in either else None)
                           or as_text(resource.get("medication")))
    return concept, *_medication_reference(resource)


def _medication_reference(resource: Json) -> tuple[str, str]:
    """(reference, display) of a drug that stands elsewhere; ("", "") where the order names it itself."""
    either = as_dict(resource.get("medication"))
    reference, display = read_reference(first_present(resource, "medicationReference")
                                        or (either if isinstance(either.get("reference"), str)
                                            else either.get("reference")))
    if not display and "display" in either:
        display = as_text(either.get("display"))
    return reference, display


def _with_medication(meant: Json, concept: Concept, display: str, route: Concept, resolver: Resolver) -> Drug:
    code = read_concept(first_present(meant, "code"))
    words = code.text or concept.text or display
    product = as_dict(meant.get("product"))
    lines = first_present(meant, "ingredient") or product.get("ingredient")
    return Drug(
        Concept((*code.codings, *concept.codings), words),
        tuple(_ingredient(as_dict(line), meant, resolver) for line in as_list(lines)),
        read_concept(first_present(meant, "form", "doseForm") or product.get("form")),
        route,
    )


def _ingredient(line: Json, within: Json, resolver: Resolver) -> IngredientLine:
    either = as_dict(line.get("item"))
    item = read_concept(first_present(line, "itemCodeableConcept") or either.get("concept"))
    pointer = either if isinstance(either.get("reference"), str) else either.get("reference")
    reference, display = read_reference(first_present(line, "itemReference") or pointer)
    meant = resolver.resolve(reference, within) if reference else None
    if meant is not None:
        item = read_concept(first_present(meant, "code"))
    if not item.codings and not item.text:
        item = Concept(text=display)
    ratio = as_dict(first_present(line, "strength", "strengthRatio", "amount"))
    strength = read_quantity(line.get("strengthQuantity"))
    return IngredientLine(item, strength or read_quantity(ratio.get("numerator")), read_quantity(ratio.get("denominator")))


def _route(resource: Json) -> Concept:
    for dosage in as_list(first_present(resource, "dosageInstruction", "dosage")):
        if written := as_dict(dosage).get("route"):      # most orders of a list state none
            route = read_concept(written)
            if route.codings or route.text:
                return route
    return _NO_ROUTE


# --- the order --------------------------------------------------------------------------------------------------------

def read_order(resource: Json, drug: Drug, source: str, release: Release, zone: tzinfo,
               resolver: Resolver) -> Order:
    """One order, statement, dispense or administration with all that dates and doses it."""
    kind = order_kind(resource)
    dosages = read_dosages(resource, zone)
    request = as_dict(resource.get("dispenseRequest"))
    start, end = _course(resource, dosages, zone)
    given = first_present(resource, "effectiveDateTime", "effectiveTimeDateTime", "occurenceDateTime",
                          "occurrenceDateTime") or _latest(_period(resource))
    return Order(
        ref=resource_ref(resource), kind=kind, release=release, source=source,
        standing=standing_of(resource, kind), status=as_code(resource.get("status")),
        drug=drug, label=_label(drug),
        dosages=dosages, reasons=tuple(_reasons(resource, resolver)), categories=category_codes(resource),
        authored=read_date(first_present(resource, "authoredOn", "dateWritten", "dateAsserted", "recorded"), zone),
        start=start, end=end,
        supply_days=_supply(resource) or _supply_of_linked_order(resource, resolver),
        refills=_refills(request),
        given_on=read_date(given, zone) if kind == "administration" else None,
        given_at=read_instant(given, zone) if kind == "administration" else None,
        handed_over=read_date(first_present(resource, "whenHandedOver", "whenPrepared", "recorded"), zone)
        if kind == "dispense" else None,
        based_on=tuple(_based_on(resource)),
        prior_prescription=bool(first_present(resource, "priorPrescription")),
        target=target_ref(resource),
        resource=resource,
    )


def notes(resource: Json) -> Iterator[str]:
    """Free text beside the dosage: annotations and instructions."""
    note = resource.get("note")
    yield from (as_text(as_dict(item).get("text")) for item in as_list(note))
    if isinstance(note, str):
        yield note
    for dosage in as_list(first_present(resource, "dosageInstruction", "dosage")):
        yield as_text(as_dict(dosage).get("patientInstruction"))


def _label(drug: Drug) -> str:
    lines = " / ".join(line.item.label for line in drug.ingredients if line.item.label)
    return drug.concept.label or lines or next((c.code for c in drug.concept.codings), "")


def _supply(resource: Json) -> Decimal | None:
    request = as_dict(resource.get("dispenseRequest"))
    return read_days(first_present(request, "expectedSupplyDuration") or resource.get("daysSupply"))


def _supply_of_linked_order(resource: Json, resolver: Resolver) -> Decimal | None:
    """A dispense without days of supply borrows those of its own order, whatever became of that order (2.4)."""
    if order_kind(resource) != "dispense":
        return None
    linked = (resolver.resolve(reference, resource) for reference in _based_on(resource))
    return next((days for order in linked if order is not None and (days := _supply(order))), None)


def _refills(request: Json) -> int:
    number = as_decimal(request.get("numberOfRepeatsAllowed"))
    return min(max(int(number), 0), 1000) if number is not None else 0


def _period(resource: Json) -> Json:
    return as_dict(first_present(resource, "effectivePeriod", "effectiveTimePeriod", "effectiveDosePeriod",
                                 "occurencePeriod", "occurrencePeriod"))


def _latest(period: Json) -> Any:
    return first_present(period, "end", "start")


def _course(resource: Json, dosages: tuple[Any, ...], zone: tzinfo) -> tuple[date | None, date | None]:
    """First and last day: bounds of the dosage, the effective period, DSTU2 ``dateEnded``."""
    period = _period(resource)
    starts = [d.bounds_start for d in dosages if d.bounds_start]
    ends = [d.bounds_end for d in dosages if d.bounds_end]
    start = min(starts) if starts else read_date(period.get("start") or resource.get("effectiveDateTime"), zone)
    end = max(ends) if ends else read_date(period.get("end") or resource.get("dateEnded"), zone)
    return start, end


def _based_on(resource: Json) -> Iterator[str]:
    for name in ("authorizingPrescription", "prescription", "request", "basedOn"):
        value = resource.get(name)
        for item in value if isinstance(value, list) else [value]:
            reference, _ = read_reference(item)
            if reference:
                yield local_reference(reference)


def _reasons(resource: Json, resolver: Resolver) -> Iterator[Concept]:
    """Reason codes first, then what reason references point to (a Condition's code, or the display)."""
    for name in ("reasonCode", "reasonCodeableConcept", "reasonForUseCodeableConcept"):
        for item in as_list(resource.get(name)):
            yield read_concept(item)
    for name in ("reasonReference", "reasonForUseReference", "reason"):
        for item in as_list(resource.get(name)):
            yield from _referenced_reason(as_dict(item), resource, resolver)


def _referenced_reason(item: Json, within: Json, resolver: Resolver) -> Iterator[Concept]:
    if "concept" in item or "coding" in item or "text" in item:
        yield read_concept(item.get("concept") or item)
        return
    reference, display = read_reference(item if isinstance(item.get("reference"), str) else item.get("reference"))
    meant = resolver.resolve(reference, within) if reference else None
    concept = read_concept(meant.get("code")) if meant is not None else Concept()
    if concept.codings or concept.text:
        yield concept
    elif display:
        yield Concept(text=display)


# --- the rest of the record -------------------------------------------------------------------------------------------

def belongs_to_other(resource: Json, patient_id: str) -> bool:
    """True only where the subject names a patient and it is another one."""
    reference, _ = read_reference(first_present(resource, "subject", "patient"))
    own = f"Patient/{patient_id}"
    if not patient_id or reference == own:
        return False
    local = local_reference(reference)
    return local.startswith("Patient/") and local != own


def condition_counts(resource: Json) -> bool:
    """False for a problem that is over, refuted or entered in error; a missing status counts."""
    return as_code(resource.get("clinicalStatus")) not in _OVER \
        and as_code(resource.get("verificationStatus")) not in _UNTRUE


def read_condition(resource: Json) -> Concept:
    return read_concept(resource.get("code"))


def read_age(patient: Json, today: date, zone: tzinfo) -> int | None:
    """Whole years on ``today``; None without a readable birth date or with one in the future."""
    born = read_date(patient.get("birthDate"), zone)
    if born is None or born > today:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def read_setting(encounters: list[Json], encounter_id: str) -> Setting:
    """The care setting of this call's encounter; unknown stays False on both sides."""
    meant = [e for e in encounters if not encounter_id or resource_id(e) in {"", encounter_id}]
    classes = frozenset(code for encounter in meant for code in encounter_classes(encounter))
    return Setting(acute=bool(classes & _ACUTE), outpatient=bool(classes & _OUTPATIENT))
