"""The order of a call in five fields: read from any release, and written back into the draft. Nothing here is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from typing import Any

from cds_service.fhir.releases import ASSUMED, ReleaseProfile, profile_of
from cds_service.fhir.status import release_of
from cds_service.fhir.values import as_decimal, as_dict, as_list, as_text, first_present
from cds_service.model import Json

LONGEST = 400
UNITS = ("mg", "mcg", "mL", "tablet", "capsule")
_UCUM = {"mg": "mg", "mcg": "ug", "mL": "mL"}
_ORDERS = ("draftOrders", "medications")


@dataclass(frozen=True, slots=True)
class OrderForm:
    """The order as a person fills it in; "" = not said. ``times`` is how often a day."""

    drug: str = ""
    dose: str = ""
    unit: str = ""
    times: str = ""
    sig: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> OrderForm:
        return cls(**{f.name: as_text(given.get(f.name)).strip()[:LONGEST] for f in fields(cls)})

    def changes(self, before: OrderForm) -> dict[str, str]:
        """What was filled in otherwise than it stood there; an empty field leaves what stands."""
        old = asdict(before)
        return {name: new for name, new in asdict(self).items() if new and new != old[name]}


def drafts(body: object) -> list[Json]:
    """The drafted orders of a call, wherever its hook keeps them."""
    context = as_dict(as_dict(body).get("context"))
    bundle = as_dict(first_present(context, *_ORDERS))
    return [as_dict(as_dict(entry).get("resource")) for entry in as_list(bundle.get("entry"))]


def subject(body: object) -> Json:
    """The order that the form speaks of: the first that is selected, else the first."""
    listed = drafts(body)
    chosen = as_list(as_dict(as_dict(body).get("context")).get("selections"))
    named = (d for d in listed if f"{d.get('resourceType')}/{d.get('id')}" in chosen)
    return next(named, listed[0] if listed else {})


def read_form(body: object) -> OrderForm:
    """The order as it stands in the call."""
    order = subject(body)
    dosage = as_dict(next(iter(as_list(order.get("dosageInstruction"))), {}))
    rate = as_dict(next(iter(as_list(dosage.get("doseAndRate"))), dosage))
    dose = as_dict(rate.get("doseQuantity") or dosage.get("doseQuantity"))
    value = as_decimal(dose.get("value"))
    repeat = as_dict(as_dict(dosage.get("timing")).get("repeat"))
    daily = as_decimal(repeat.get("period")) == 1 and "d" in (
        repeat.get("periodUnit"),
        repeat.get("periodUnits"),
    )
    times = as_decimal(repeat.get("frequency")) if daily else None
    return OrderForm(
        drug=label_of(order),
        dose=_number(value),
        unit=as_text(dose.get("unit")),
        times=_number(times),
        sig=as_text(dosage.get("text")),
    )


def write_form(body: Json, wanted: OrderForm) -> dict[str, Any]:
    """The call with the order changed as wanted. Words that a change contradicts go: the sig under a new dose, the
    structured dose under a new sig."""
    order, stands = subject(body), read_form(body)
    changed = wanted.changes(stands)
    if not order or not changed:
        return dict(body)
    return with_draft(body, order, _written(order, replace(stands, **changed), changed))


def with_draft(body: Json, old: Json, new: Json | None) -> dict[str, Any]:
    """The call with one draft put in the place of another; None = taken out. The body itself is not touched."""
    context = dict(as_dict(body.get("context")))
    name = next((name for name in _ORDERS if name in context), _ORDERS[0])
    bundle = dict(as_dict(context.get(name)))
    entries = [
        {**as_dict(entry), "resource": new if as_dict(entry).get("resource") is old else held}
        for entry in as_list(bundle.get("entry"))
        if (held := as_dict(entry).get("resource")) is not old or new is not None
    ]
    context[name] = {**bundle, "entry": entries}
    if new is None and "selections" in context:
        gone = f"{old.get('resourceType')}/{old.get('id')}"
        context["selections"] = [ref for ref in as_list(context["selections"]) if ref != gone]
    return {**body, "context": context}


def _written(order: Json, wanted: OrderForm, changed: Mapping[str, str]) -> dict[str, Any]:
    row = profile_of(release_of(order) or ASSUMED)
    new = dict(order)
    if "drug" in changed:
        new = {k: v for k, v in order.items() if not k.startswith("medication")}
        new[row.medication] = row.coded({"text": changed["drug"]})
    if changed.keys() & {"dose", "unit", "times"}:
        sig = {"text": changed["sig"]} if "sig" in changed else {}
        new["dosageInstruction"] = [{**sig, **_dose(wanted, row)}]
    elif "sig" in changed:
        new["dosageInstruction"] = [{"text": changed["sig"]}]
    return new


def _dose(wanted: OrderForm, row: ReleaseProfile) -> dict[str, Any]:
    times, value = as_decimal(wanted.times or "1"), as_decimal(wanted.dose)
    timing = {"repeat": {"frequency": _json(times), "period": 1, row.period_unit: "d"}}
    coded = _UCUM.get(wanted.unit)
    unit = {"system": "http://unitsofmeasure.org", "code": coded} if coded else {}
    said = {"unit": wanted.unit} if wanted.unit else {}
    quantity = {"value": _json(value), **said, **unit}
    return {
        **({"timing": timing} if times else {}),
        **(row.dose(quantity) if value is not None else {}),
    }


def label_of(order: Json) -> str:
    """The name of the medicine as it is written in the order itself; "" where it is named elsewhere."""
    concept = as_dict(first_present(order, "medicationCodeableConcept", "medication"))
    concept = as_dict(concept.get("concept")) or concept
    displays = (as_text(as_dict(c).get("display")) for c in as_list(concept.get("coding")))
    return as_text(concept.get("text")) or next((d for d in displays if d), "")


def _number(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _json(value: Decimal | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
