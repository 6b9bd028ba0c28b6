"""The drug tables and the severity of each pair as other tools can hold them: what each code is, what meets what.

Nothing is written by hand here: roles come from the terminology, severities from the rules themselves, asked about one
representative product of each role that is current on the list.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cds_service.hooks.prefetch import read_prefetch
from cds_service.hooks.request import decode
from cds_service.hooks.services import SERVICES
from cds_service.model import Coding, Concept, Drug, Json, Severity
from cds_service.pipeline import Engine, judge
from cds_service.reading import Reading
from cds_service.rules.interaction import TOPIC as INTERACTION
from cds_service.terminology import Terminology

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_SERVICE = SERVICES["naltrexone-order-sign"]
_DAY = timedelta(days=1)
_COURSE_DAYS = 60
_LONGEST = 500  # days; no table looks further back
GIVEN_ROLES = frozenset({"NTX_XR", "NTX_IMPLANT", "BUP_DEPOT"})
_USUAL_FIRST = ("SCD", "SBD", "GPCK", "BPCK", "IN", "MIN", "PIN", "BN", "SCDC")


@dataclass(frozen=True, slots=True)
class Product:
    """One RxNorm concept that an opioid or an antagonist is in."""

    rxcui: str
    tty: str
    name: str
    brand: str
    dose_form: str
    ingredients: tuple[str, ...]
    roles: tuple[str, ...]
    active: bool


def products(terminology: Terminology) -> tuple[Product, ...]:
    """Every concept of the tables that the service takes for relevant, by number."""
    found = []
    for code, product in terminology.tables.products.items():
        recognition = terminology.recognise(Drug(Concept((Coding(RXNORM, code, product.name),))))
        roles = tuple(sorted({str(c.role) for c in recognition.components}))
        if roles:
            found.append(
                Product(code, product.tty, product.name, product.brand, product.dose_form,
                        product.ingredients, roles, product.active)
            )  # fmt: skip
    return tuple(sorted(found, key=lambda p: int(p.rxcui)))


def representatives(found: tuple[Product, ...]) -> dict[str, Product]:
    """For each role a product of that role alone, a clinical drug where there is one."""
    alone = [p for p in found if len(p.roles) == 1]
    ordered = sorted(alone, key=lambda p: (not p.active, _rank(p.tty), int(p.rxcui)))
    return {
        role: next(p for p in ordered if p.roles == (role,))
        for role in sorted({p.roles[0] for p in alone})
    }


def _rank(tty: str) -> int:
    return _USUAL_FIRST.index(tty) if tty in _USUAL_FIRST else len(_USUAL_FIRST)


@dataclass(frozen=True, slots=True)
class Pair:
    """What the rules say where ``ordered`` is signed while ``listed`` is current.

    It is as loud for so many days after ``listed`` was stopped, and after it was given once (0: not at all).
    """

    ordered: str
    listed: str
    severity: str
    stopped_below: int
    given_below: int


def pairs(engine: Engine, found: tuple[Product, ...], now: datetime) -> Iterator[Pair]:
    """Every ordered pair of roles of which one side is an antagonist, as the rules judge it."""
    chosen = representatives(found)
    for ordered, listed in ((a, b) for a in chosen for b in chosen if a != b):
        if (pair := _pair(engine, chosen[ordered], chosen[listed], now)) is not None:
            yield Pair(ordered, listed, *pair)


def _pair(
    engine: Engine, ordered: Product, listed: Product, now: datetime
) -> tuple[str, int, int] | None:
    """(severity while current, days after it was stopped, days after it was given)."""
    draft, today = _order("d", ordered, "draft", now.date()), now.date()
    severity = _severity(engine, draft, _order("m", listed, "active", today - 3 * _DAY), now)
    if severity is Severity.NONE:
        return None

    def is_as_loud(past: Callable[[Product, date], Json], ago: int) -> bool:
        return _severity(engine, draft, past(listed, today - ago * _DAY), now) >= severity

    def days(past: Callable[[Product, date], Json]) -> int:
        return bisect_left(range(_LONGEST), True, key=lambda ago: not is_as_loud(past, ago))

    return severity.indicator, days(_stopped), days(_given)


def _severity(engine: Engine, draft: Json, listed: Json, now: datetime) -> Severity:
    of = {"MedicationRequest": "medicationRequests", "MedicationAdministration": "medicationAdministrations"}  # fmt: skip
    body = {
        "hook": _SERVICE.hook, "hookInstance": str(uuid.UUID(int=1)),
        "context": {"patientId": "p", "draftOrders": [draft]},
        "prefetch": {key: {"resourceType": "Bundle", "type": "searchset", "entry": [
            {"resource": listed}] if key == of[listed["resourceType"]] else []}
            for key, template in _SERVICE.prefetch.items() if "?" in template},
    }  # fmt: skip
    request = decode(body, _SERVICE)
    judged = judge(
        Reading(request, read_prefetch(request.prefetch), engine.terminology), engine, now
    )
    said = [f.severity for f in judged.findings if f.topic == INTERACTION]
    return max(said, default=Severity.NONE)


def _order(ref: str, product: Product, status: str, written: date) -> Json:
    supply = {"value": 30, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    return {"resourceType": "MedicationRequest", "id": ref, "status": status, "intent": "order",
            "authoredOn": written.isoformat(), "medicationCodeableConcept": _concept(product),
            "dispenseRequest": {"expectedSupplyDuration": supply}, "subject": {"reference": "Patient/p"}}  # fmt: skip


def _stopped(product: Product, on: date) -> Json:
    """A long course that ended on that day."""
    since = on - _COURSE_DAYS * _DAY
    period = {"start": since.isoformat(), "end": on.isoformat()}
    return {"resourceType": "MedicationRequest", "id": "m", "status": "stopped", "intent": "order",
            "authoredOn": since.isoformat(), "medicationCodeableConcept": _concept(product),
            "dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": period}}}],
            "subject": {"reference": "Patient/p"}}  # fmt: skip


def _given(product: Product, on: date) -> Json:
    return {"resourceType": "MedicationAdministration", "id": "m", "status": "completed",
            "effectiveDateTime": on.isoformat(), "medicationCodeableConcept": _concept(product),
            "subject": {"reference": "Patient/p"}}  # fmt: skip


def _concept(product: Product) -> Json:
    coding = {"system": RXNORM, "code": product.rxcui, "display": product.name}
    return {"coding": [coding], "text": product.name}
