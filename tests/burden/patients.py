"""Invented patients with a known truth: who really took an opioid until when, and how their record says it.

Pure and alone: nothing of the service is imported, the only input is a seed and a day. The parameters are those of the
measurement that this repeats: LDN starters with one oxycodone 5 mg order in the past year, written 1 to 365 days ago; 70 %
a 3 to 7 day course, 20 % 30 days, 10 % 30 days with 11 refills, of whom 60 % stopped within the last 120 days; 4 tablets a
day as needed, quantity = 4 x days; in danger is who took the last dose less than 10 days ago.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random
from typing import Any

Json = dict[str, Any]

STARTERS = 400
YEAR = 365
TABLETS_A_DAY = 4
SHORT_COURSES, MONTHS, REFILLED = (3, 4, 5, 6, 7), 30, 11
SHARES = (0.70, 0.20, 0.10)
STOPPED_SHARE, STOPPED_WITHIN = 0.60, 120
DANGER_DAYS = 10
BRIEF_COURSE, BRIEF_DANGER_DAYS = (
    3,
    7,
)  # specification 2.5 A: a course of at most 3 days is safe after 7 days

UCUM = "http://unitsofmeasure.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
OXYCODONE = {
    "coding": [
        {"system": RXNORM, "code": "1049621", "display": "oxycodone hydrochloride 5 MG Oral Tablet"}
    ],
    "text": "oxycodone hydrochloride 5 MG Oral Tablet",
}
LDN = {"text": "Naltrexone 4.5 mg oral capsule (compounded)"}
FIBROMYALGIA = {
    "coding": [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M79.7", "display": "Fibromyalgia"}
    ],
    "text": "Fibromyalgia",
}


class Style(StrEnum):
    """How a record tells one and the same truth."""

    TIDY = "supply, end, tidy status"
    SUPPLY_ACTIVE = "supply, left active"
    QUANTITY_ACTIVE = "quantity only, left active"
    QUANTITY_TIDY = "quantity only, tidy status, no end"


@dataclass(frozen=True, slots=True)
class Starter:
    """One patient about to start low-dose naltrexone, and the truth about the oxycodone: days are days ago."""

    number: int
    written: int
    days: int
    refills: int
    last_dose: int
    stopped: bool = False  # before the tablets ran out

    @property
    def endangered(self) -> bool:
        return self.last_dose < DANGER_DAYS

    @property
    def silent_by_rule(self) -> bool:
        """In danger by the measure, but past the 7 days that the specification asks for after a brief course."""
        return (
            self.endangered
            and self.days * (1 + self.refills) <= BRIEF_COURSE
            and self.last_dose >= BRIEF_DANGER_DAYS
        )

    @property
    def taking(self) -> bool:
        """Still on it: neither stopped nor out of tablets."""
        return not self.stopped and runs_out(self) < 0


@dataclass(frozen=True, slots=True)
class Record:
    """All that the order on the medication list says; two truths with equal records cannot be told apart."""

    written: int
    status: str
    refills: int
    supply_days: int | None = None
    quantity: int | None = None
    ended: int | None = None


def runs_out(starter: Starter) -> int:
    """The last day with tablets, in days ago: negative while it lies ahead."""
    return starter.written - starter.days * (1 + starter.refills) + 1


def starters(seed: int, count: int = STARTERS) -> tuple[Starter, ...]:
    """A cohort; the same seed gives the same patients."""
    chance = Random(seed)
    return tuple(_starter(number, chance) for number in range(1, count + 1))


def _starter(number: int, chance: Random) -> Starter:
    written = chance.randint(1, YEAR)
    course = chance.choices(("short", "month", "refilled"), SHARES)[0]
    if course == "short":
        return _until_empty(Starter(number, written, chance.choice(SHORT_COURSES), 0, 0))
    if course == "month":
        return _until_empty(Starter(number, written, MONTHS, 0, 0))
    user = _until_empty(Starter(number, written, MONTHS, REFILLED, 0))
    if chance.random() >= STOPPED_SHARE:
        return user
    return _stopped(user, chance.randint(1, min(STOPPED_WITHIN, written)))


def _until_empty(starter: Starter) -> Starter:
    """Every tablet taken, four a day, the last one today at the latest."""
    return Starter(
        starter.number, starter.written, starter.days, starter.refills, max(0, runs_out(starter))
    )


def _stopped(starter: Starter, ago: int) -> Starter:
    """The same patient who stopped that many days ago, unless the tablets had run out before."""
    if ago <= starter.last_dose:
        return starter
    return Starter(
        starter.number, starter.written, starter.days, starter.refills, ago, stopped=True
    )


def record(starter: Starter, style: Style) -> Record:
    """What a record of this style says of the truth."""
    tidy = "active" if starter.taking else "stopped" if starter.stopped else "completed"
    status = tidy if style in {Style.TIDY, Style.QUANTITY_TIDY} else "active"
    said = Record(starter.written, status, starter.refills)
    if style in {Style.TIDY, Style.SUPPLY_ACTIVE}:
        ended = starter.last_dose if style is Style.TIDY and not starter.taking else None
        return Record(
            said.written, said.status, said.refills, supply_days=starter.days, ended=ended
        )
    return Record(said.written, said.status, said.refills, quantity=TABLETS_A_DAY * starter.days)


def possible(starter: Starter) -> Iterator[Starter]:
    """Every truth that the parameters allow for an order of this day, length and number of refills."""
    user = _until_empty(starter)
    yield user
    if starter.refills:
        yield from (
            _stopped(user, ago) for ago in range(1, min(STOPPED_WITHIN, starter.written) + 1)
        )


def looks_like_a_user(starter: Starter, style: Style) -> bool:
    """Whether somebody in danger may have this very record: no reader of it could tell the two apart."""
    said = record(starter, style)
    return any(other.endangered and record(other, style) == said for other in possible(starter))


# --- FHIR -------------------------------------------------------------------------------------------------------------


def oxycodone(said: Record, today: date) -> Json:
    """The order as an R4 MedicationRequest."""
    timing: Json = {"repeat": {"frequency": TABLETS_A_DAY, "period": 1, "periodUnit": "d"}}
    if said.ended is not None:
        timing["repeat"]["boundsPeriod"] = {
            "start": day(today, said.written),
            "end": day(today, said.ended),
        }
    wanted: Json = {"numberOfRepeatsAllowed": said.refills}
    if said.supply_days is not None:
        wanted["expectedSupplyDuration"] = {
            "value": said.supply_days,
            "unit": "days",
            "system": UCUM,
            "code": "d",
        }
    if said.quantity is not None:
        wanted["quantity"] = tablets(said.quantity)
    return {
        **request("oxy", OXYCODONE, said.status, day(today, said.written)),
        "dosageInstruction": [
            {
                "text": "1 tablet by mouth four times daily as needed for pain",
                "timing": timing,
                "asNeededBoolean": True,
                "doseAndRate": [{"doseQuantity": tablets(1)}],
            }
        ],
        "dispenseRequest": wanted,
    }


def low_dose_naltrexone(today: date) -> Json:
    """The draft: 4.5 mg at bedtime for fibromyalgia."""
    return {
        **request("ntx", LDN, "draft", today.isoformat()),
        "reasonCode": [FIBROMYALGIA],
        "dosageInstruction": [
            {
                "text": "Take 4.5 mg by mouth at bedtime",
                "doseAndRate": [{"doseQuantity": milligrams(4.5)}],
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            }
        ],
    }


def request(name: str, drug: Json, status: str, written: str) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": status,
        "intent": "order",
        "authoredOn": written,
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/medicationrequest-category",
                        "code": "community",
                    }
                ]
            }
        ],
        "medicationCodeableConcept": drug,
        "subject": {"reference": "Patient/pat-1"},
    }


def day(today: date, ago: int) -> str:
    return (today - timedelta(days=ago)).isoformat()


def tablets(number: int) -> Json:
    return {"value": number, "unit": "tablet", "system": UCUM, "code": "{tbl}"}


def milligrams(number: float) -> Json:
    return {"value": number, "unit": "mg", "system": UCUM, "code": "mg"}


def hook_call(draft: Json, medicines: list[Json], problems: list[Json], name: str) -> Json:
    """An order-sign call in which every search was answered."""

    def found(kind: str) -> Json:
        entries = [{"resource": r} for r in (*medicines, *problems) if r["resourceType"] == kind]
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(entries),
            "entry": entries,
        }

    return {
        "hook": "order-sign",
        "hookInstance": name,
        "context": {
            "patientId": "pat-1",
            "userId": "Practitioner/prac-1",
            "draftOrders": {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": draft}],
            },
        },
        "prefetch": {
            "patient": {"resourceType": "Patient", "id": "pat-1", "birthDate": "1974-03-14"},
            "medicationRequests": found("MedicationRequest"),
            "medicationStatements": found("MedicationStatement"),
            "medicationDispenses": found("MedicationDispense"),
            "medicationAdministrations": found("MedicationAdministration"),
            "conditions": found("Condition"),
        },
    }


def starter_call(starter: Starter, style: Style, today: date) -> Json:
    """The call in which this patient's naltrexone is signed."""
    return hook_call(
        low_dose_naltrexone(today),
        [oxycodone(record(starter, style), today)],
        [],
        f"starter-{starter.number}-{style.name.lower()}",
    )
