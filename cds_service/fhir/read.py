"""Read what was sent into values, version-blind and tolerantly: orders, conditions, the patient, the encounter.

What differs between DSTU2, STU3, R4 and R5 is a handful of member names; each is tried in turn. Nothing is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, tzinfo
from typing import NamedTuple

from cds_service.fhir import course
from cds_service.fhir.bundle import Resolver
from cds_service.fhir.dates import read_date, read_day, read_instant
from cds_service.fhir.dosage import read_dosages
from cds_service.fhir.status import (
    category_codes,
    encounter_classes,
    is_reported,
    order_kind,
    standing_of,
    status_word,
)
from cds_service.fhir.values import (
    MOST,
    as_code,
    as_dict,
    as_list,
    as_text,
    first_present,
    local_reference,
    read_concept,
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
_MEDICATIONS = frozenset({"Medication"})
_ORDERS = frozenset({"MedicationRequest", "MedicationOrder"})
_INGREDIENTS = frozenset({"Medication", "Substance"})
_OF_ENCOUNTER = frozenset({"encounter-diagnosis", "diagnosis"})
_NOT_DONE = frozenset({"not-done", "entered-in-error", "preparation", "aborted"})
_NOTHING = Drug()
_NO_ROUTE = Concept()
_LISTS = (
    "dosageInstruction",
    "dosage",
    "note",
    "reason",
    "reasonCode",
    "reasonReference",
    "reasonCodeableConcept",
)
LONGEST_SIG = 2_000  # characters of a text that are looked at
LONGEST_WORDS, _MOST_WORDS = (
    500,
    30,
)  # characters and strings of a concept that is worth remembering


# --- the drug ---------------------------------------------------------------------------------------------------------


def names_medication(resource: Json) -> bool:
    """An order without any medication is no order (specification 2.1.3)."""
    return bool(
        first_present(resource, "medicationCodeableConcept", "medicationReference", "medication")
    )


def read_drug(resource: Json, resolver: Resolver) -> Drug:
    """The drug an order names: its concept, or the Medication it refers to, with form, route and compounding lines."""
    concept, pointer = _medication_choice(resource)
    display = read_reference(pointer)[1] or as_text(
        as_dict(resource.get("medication")).get("display")
    )
    route = _route(resource)
    meant = resolver.resolve(pointer, resource, kinds=_MEDICATIONS) if pointer else None
    if meant is None:
        named = concept if concept.codings or concept.text else Concept(text=display)
        return Drug(named, route=route) if named.label or named.codings else _NOTHING
    return _with_medication(meant, resource, concept, display, route, resolver)


class DrugWords(NamedTuple):
    """An order's own drug and route, as raw strings: the text, then system, code and display of each coding."""

    concept: tuple[str, ...]
    route: tuple[str, ...]


def drug_words(resource: Json) -> DrugWords | None:
    """The words that alone decide what an order's drug is; None where it refers elsewhere, or is long or oddly shaped."""
    if "medicationReference" in resource or "medication" in resource:
        return None
    concept = _raw_concept(resource.get("medicationCodeableConcept"))
    dosages = resource.get("dosageInstruction") or resource.get("dosage") or ()
    if concept is None or not isinstance(dosages, list | tuple):
        return None
    for dosage in dosages:
        if isinstance(dosage, dict) and (written := dosage.get("route")):
            route = _raw_concept(written)
            return DrugWords(concept, route) if route and _says_something(route) else None
    return DrugWords(concept, ())


def drug_of(words: DrugWords) -> Drug:
    """The drug of these words: what ``read_drug`` makes of the order."""
    concept, route = _concept_of(words.concept), _concept_of(words.route)
    return Drug(concept, route=route) if concept.label or concept.codings else _NOTHING


def _raw_concept(value: object) -> tuple[str, ...] | None:
    if type(value) is not dict:
        return None
    codings = value.get("coding")
    if type(codings) is not list:
        if codings is not None or "code" in value:
            return None
        codings = ()
    raw = [value.get("text", "")]
    for coding in codings:
        if type(coding) is not dict:
            return None
        raw += (coding.get("system", ""), coding.get("code", ""), coding.get("display", ""))
    size = 0
    for part in raw:
        if type(part) is not str:
            return None
        size += len(part)
    return tuple(raw) if size <= LONGEST_WORDS and len(raw) <= _MOST_WORDS else None


def _says_something(raw: tuple[str, ...]) -> bool:
    return bool(raw[0] or any(raw[3::3]) or any(code.strip() for code in raw[2::3]))


def _concept_of(raw: tuple[str, ...]) -> Concept:
    if not raw:
        return _NO_ROUTE
    codings = [
        {"system": raw[i], "code": raw[i + 1], "display": raw[i + 2]} for i in range(1, len(raw), 3)
    ]
    return read_concept({"text": raw[0], "coding": codings})


def has_unread_reference(resource: Json, resolver: Resolver) -> str:
    """The ``Medication/id`` that an order refers to and that was not sent; "" where nothing is missing."""
    reference, _ = read_reference(pointer := _medication_pointer(resource))
    if not reference or resolver.resolve(pointer, resource, kinds=_MEDICATIONS) is not None:
        return ""
    local = local_reference(reference)
    if "/" not in local and not local.startswith(("#", "urn:")):
        local = f"Medication/{local}"
    return local if local.startswith("Medication/") else ""


def refers_to_nothing_sent(resource: Json, resolver: Resolver) -> bool:
    """True where the drug is a reference of any form to something that is not among what was sent."""
    pointer = _medication_pointer(resource)
    return bool(pointer) and resolver.resolve(pointer, resource, kinds=_MEDICATIONS) is None


def _medication_choice(resource: Json) -> tuple[Concept, object]:
    """(concept, Reference) of ``medication[x]`` in any release."""
    if "medicationReference" not in resource and "medication" not in resource:
        return read_concept(resource.get("medicationCodeableConcept")), None
    either = as_dict(resource.get("medication"))
    concept = read_concept(
        first_present(resource, "medicationCodeableConcept")
        or either.get("concept")
        or (either if "coding" in either or "text" in either else None)
        or as_text(resource.get("medication"))
    )
    return concept, _medication_pointer(resource)


def _medication_pointer(resource: Json) -> object:
    """The Reference to a drug that stands elsewhere, as written; None where the order names it itself."""
    if pointer := first_present(resource, "medicationReference"):
        return pointer
    either = as_dict(resource.get("medication"))
    if isinstance(either.get("reference"), dict):
        return either["reference"]
    return (
        either if "reference" in either or "identifier" in either or "display" in either else None
    )


def _with_medication(
    meant: Json, order: Json, concept: Concept, display: str, route: Concept, resolver: Resolver
) -> Drug:
    code = read_concept(first_present(meant, "code"))
    words = code.text or concept.text or display
    product = as_dict(meant.get("product"))
    lines = first_present(meant, "ingredient") or product.get("ingredient")
    return Drug(
        Concept((*code.codings, *concept.codings), words),
        tuple(_ingredient(as_dict(line), meant, order, resolver) for line in as_list(lines)),
        read_concept(first_present(meant, "form", "doseForm") or product.get("form")),
        route,
    )


def _ingredient(line: Json, medication: Json, order: Json, resolver: Resolver) -> IngredientLine:
    either = as_dict(line.get("item"))
    item = read_concept(first_present(line, "itemCodeableConcept") or either.get("concept"))
    pointer = first_present(line, "itemReference") or (
        either["reference"] if isinstance(either.get("reference"), dict) else either
    )
    _, display = read_reference(pointer)
    meant = resolver.resolve(pointer, medication, order, kinds=_INGREDIENTS) if pointer else None
    if meant is not None:
        item = read_concept(first_present(meant, "code"))
    if not item.codings and not item.text:
        item = Concept(text=display)
    ratio = as_dict(first_present(line, "strength", "strengthRatio", "amount"))
    strength = read_quantity(line.get("strengthQuantity"))
    return IngredientLine(
        item,
        strength or read_quantity(ratio.get("numerator")),
        read_quantity(ratio.get("denominator")),
    )


def _route(resource: Json) -> Concept:
    for dosage in as_list(first_present(resource, "dosageInstruction", "dosage")):
        if written := as_dict(dosage).get("route"):  # most orders of a list state none
            route = read_concept(written)
            if route.codings or route.text:
                return route
    return _NO_ROUTE


# --- the order --------------------------------------------------------------------------------------------------------


def read_order(
    resource: Json,
    drug: Drug,
    source: str,
    release: Release,
    zone: tzinfo,
    resolver: Resolver,
    kind: str = "",
) -> Order:
    """One order, statement, dispense or administration with all that dates and doses it.

    ``kind`` is what the resource stands for where its type does not say it (a Procedure that gave the drug).
    """
    kind = kind or order_kind(resource)
    given, linked = course.read_given(resource), _linked_order(resource, kind, resolver)
    return Order(
        ref=resource_ref(resource),
        kind=kind,
        release=release,
        source=source,
        standing=standing_of(resource, kind),
        status=status_word(resource, kind),
        drug=drug,
        label=_label(drug),
        dosages=read_dosages(resource, zone),
        reasons=tuple(_reasons(resource, resolver)),
        categories=category_codes(resource),
        authored=course.read_authored(resource, zone),
        asserted=course.read_asserted(resource, zone),
        ended=read_day(resource.get("dateEnded"), zone),
        status_changed=read_day(resource.get("statusChanged"), zone),
        updated=course.read_updated(resource, zone),
        given=read_day(given, zone) if kind == "administration" else None,
        given_at=read_instant(given, zone) if kind == "administration" else None,
        handed_over=course.read_handed_over(resource, zone) if kind == "dispense" else None,
        course=course.read_course(resource, zone),
        supply=course.read_supply(resource, zone),
        linked_supply=course.read_supply(linked, zone) if linked else None,
        linked_dosages=read_dosages(linked, zone) if linked else (),
        unread_dates=course.unread_dates(resource, zone),
        based_on=tuple(_based_on(resource, resolver)),
        prior_prescription=bool(first_present(resource, "priorPrescription")),
        reported=is_reported(resource),
        target=target_ref(resource),
        resource=resource,
    )


def notes(resource: Json) -> Iterator[str]:
    """Free text beside the dosage: annotations and instructions."""
    note = resource.get("note")
    yield from (as_text(as_dict(item).get("text"))[:LONGEST_SIG] for item in as_list(note)[:MOST])
    if isinstance(note, str):
        yield note[:LONGEST_SIG]
    for dosage in as_list(first_present(resource, "dosageInstruction", "dosage"))[:MOST]:
        yield as_text(as_dict(dosage).get("patientInstruction"))[:LONGEST_SIG]


def is_cut(resource: Json) -> bool:
    """Whether an order says more of one thing than is looked at (``MOST``). Its drug is always read whole."""
    lists = (resource.get(name) for name in _LISTS)
    return any(isinstance(each, list) and len(each) > MOST for each in lists)


def _label(drug: Drug) -> str:
    lines = " / ".join(line.item.label for line in drug.ingredients if line.item.label)
    return drug.concept.label or lines or next((c.code for c in drug.concept.codings), "")


def _linked_order(resource: Json, kind: str, resolver: Resolver) -> Json | None:
    """The order that a dispense was made for, whatever became of that order (2.4)."""
    if kind != "dispense":
        return None
    linked = (resolver.resolve(pointer, resource, kinds=_ORDERS) for pointer in _pointers(resource))
    return next((order for order in linked if order is not None), None)


def _based_on(resource: Json, resolver: Resolver) -> Iterator[str]:
    """``Type/id`` of every order that a dispense or administration belongs to."""
    for pointer in _pointers(resource):
        meant = resolver.resolve(pointer, resource, kinds=_ORDERS)
        reference = (
            resource_ref(meant)
            if meant is not None
            else local_reference(read_reference(pointer)[0])
        )
        if reference:
            yield reference


def _pointers(resource: Json) -> Iterator[object]:
    for name in ("authorizingPrescription", "prescription", "request", "basedOn"):
        value = resource.get(name)
        yield from (item for item in (value if isinstance(value, list) else [value]) if item)


def _reasons(resource: Json, resolver: Resolver) -> Iterator[Concept]:
    """Reason codes first, then what reason references point to (a Condition's code, or the display)."""
    for name in ("reasonCode", "reasonCodeableConcept", "reasonForUseCodeableConcept"):
        for item in as_list(resource.get(name))[:MOST]:
            yield read_concept(item)
    for name in ("reasonReference", "reasonForUseReference", "reason"):
        for item in as_list(resource.get(name))[:MOST]:
            yield from _referenced_reason(as_dict(item), resource, resolver)


def _referenced_reason(item: Json, within: Json, resolver: Resolver) -> Iterator[Concept]:
    if "concept" in item or "coding" in item or "text" in item:
        yield read_concept(item.get("concept") or item)
        return
    pointer = item["reference"] if isinstance(item.get("reference"), dict) else item
    _, display = read_reference(pointer)
    meant = resolver.resolve(pointer, within)
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
    return (
        as_code(resource.get("clinicalStatus")) not in _OVER
        and as_code(resource.get("verificationStatus")) not in _UNTRUE
    )


def read_condition(resource: Json) -> Concept:
    return read_concept(resource.get("code"))


def condition_day(resource: Json, zone: tzinfo) -> date | None:
    """The newest day on which a problem is known to have been there: recorded or begun; None = undated."""
    begun = first_present(resource, "onsetDateTime", "onsetDate") or as_dict(
        resource.get("onsetPeriod")
    ).get("start")
    recorded = first_present(
        resource, "recordedDate", "assertedDate", "dateRecorded", "dateAsserted"
    )
    return max(
        (day for stated in (begun, recorded) if (day := read_date(stated, zone))), default=None
    )


def is_diagnosis_of(resource: Json, encounter_id: str) -> bool:
    """Whether a problem is a diagnosis of this encounter; one that names no encounter counts by its category."""
    reference, _ = read_reference(first_present(resource, "encounter", "context"))
    if reference:
        return bool(encounter_id) and local_reference(reference) == f"Encounter/{encounter_id}"
    categories = as_list(resource.get("category"))
    return bool(encounter_id) and any(as_code(c) in _OF_ENCOUNTER for c in categories)


def procedure_counts(resource: Json) -> bool:
    """False for what was not done, aborted before it began or entered in error; a missing status counts."""
    return (
        as_code(resource.get("status")) not in _NOT_DONE
        and resource.get("notPerformed") is not True
        and resource.get("notDone") is not True
    )


def procedure_day(resource: Json, zone: tzinfo) -> date | None:
    """The last day of a procedure; None = undated."""
    period = as_dict(first_present(resource, "performedPeriod", "occurrencePeriod"))
    stated = first_present(resource, "performedDateTime", "occurrenceDateTime") or first_present(
        period, "end", "start"
    )
    return read_date(stated or resource.get("recorded"), zone)


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
