"""A hundred plausible naltrexone drafts: 65 for alcohol, 20 for pain, 15 for opioid use disorder.

Pure like ``patients``: a seed and a day in, drafts with their medication lists out. The opioids among the listed
medicines are the truth that the cards are meant to find; everything else is noise that they are not meant to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from random import Random

from tests.burden import medicines
from tests.burden.medicines import EVERYBODY, MESSY, Medicine
from tests.burden.patients import RXNORM, Json, day, hook_call, milligrams, request

MESSY_SHARE, CODED_SHARE, STATEMENT_SHARE = 0.01, 0.5, 0.2
SPELLING = (8, 4, 2, 1)  # how often the first, second ... spelling of a name is met


class Purpose(StrEnum):
    ALCOHOL = "alcohol"
    PAIN = "pain"
    OPIOID_USE = "opioid use disorder"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a purpose brings along: drafts (text, mg; None = injection), problems, its own medicines, opioids met."""

    count: int
    drafts: tuple[tuple[str, float | None], ...]
    problem: tuple[str, str]
    own: tuple[Medicine, ...]
    opioids: tuple[tuple[str, str], ...]
    opioid_share: float


KINDS = {
    Purpose.ALCOHOL: Kind(
        65,
        (
            ("naltrexone hydrochloride 50 MG Oral Tablet", 50),
            ("naltrexone 50 mg tablet", 50),
            ("NALTREXONE 50MG TABS", 50),
            ("naltrexone 380 MG Injection", None),
        ),
        ("F10.20", "Alcohol dependence, uncomplicated"),
        medicines.ALCOHOL,
        (
            ("oxycodone hydrochloride 5 MG Oral Tablet", "completed"),
            ("TRAMADOL HCL 50MG TABS", "active"),
            ("HYDROCODON-ACETAMINOPHN 5-325", "completed"),
        ),
        0.08,
    ),
    Purpose.PAIN: Kind(
        20,
        (
            ("Naltrexone 1.5 mg oral capsule (compounded)", 1.5),
            ("Naltrexone 4.5 mg oral capsule (compounded)", 4.5),
            ("LDN 3 mg capsule", 3),
        ),
        ("M79.7", "Fibromyalgia"),
        medicines.PAIN,
        (
            ("tramadol hydrochloride 50 MG Oral Tablet", "active"),
            ("Percocet 5-325 mg", "completed"),
            ("oxycodone hydrochloride 5 MG Oral Tablet", "active"),
        ),
        0.30,
    ),
    Purpose.OPIOID_USE: Kind(
        15,
        (("naltrexone 380 MG Injection", None), ("naltrexone hydrochloride 50 MG Oral Tablet", 50)),
        ("F11.20", "Opioid dependence, uncomplicated"),
        medicines.OPIOID_USE,
        (
            ("buprenorphine 8 MG / naloxone 2 MG Sublingual Film", "stopped"),
            ("methadone hydrochloride 10 MG Oral Tablet", "stopped"),
        ),
        0.40,
    ),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One medicine of a list: days are days ago; ``ended`` None = still active."""

    name: str
    rxnorm: str
    written: int
    ended: int | None = None
    status: str = "active"
    is_opioid: bool = False
    is_statement: bool = False


@dataclass(frozen=True, slots=True)
class Drafted:
    """One patient for whom naltrexone is drafted, with what else is on the list."""

    number: int
    purpose: Purpose
    name: str
    mg: float | None
    listed: tuple[Listed, ...]

    @property
    def meets_an_opioid(self) -> bool:
        return any(each.is_opioid for each in self.listed)


def drafted(seed: int) -> tuple[Drafted, ...]:
    """The hundred drafts; the same seed gives the same ones."""
    chance = Random(seed)
    purposes = [purpose for purpose, kind in KINDS.items() for _ in range(kind.count)]
    return tuple(_drafted(number, purpose, chance) for number, purpose in enumerate(purposes, 1))


def _drafted(number: int, purpose: Purpose, chance: Random) -> Drafted:
    kind = KINDS[purpose]
    name, mg = chance.choice(kind.drafts)
    taken = [
        *_some(kind.own, chance.randint(1, 4), chance),
        *_some(EVERYBODY, chance.randint(1, 5), chance),
    ]
    met = (
        [_opioid(*chance.choice(kind.opioids), chance)]
        if chance.random() < kind.opioid_share
        else []
    )
    return Drafted(number, purpose, name, mg, (*(_listed(each, chance) for each in taken), *met))


def _some(table: tuple[Medicine, ...], count: int, chance: Random) -> Iterator[Medicine]:
    """So many different medicines, the common ones more often."""
    left = list(table)
    for _ in range(min(count, len(left))):
        chosen = chance.choices(left, [each.weight for each in left])[0]
        left.remove(chosen)
        yield chosen


def _listed(medicine: Medicine, chance: Random) -> Listed:
    written = chance.randint(3, 80)
    if chance.random() < MESSY_SHARE:
        return Listed(chance.choice(MESSY), "", written, is_statement=True)
    name = chance.choices(medicine.names, SPELLING[: len(medicine.names)])[0]
    coded = medicine.rxnorm if chance.random() < CODED_SHARE else ""
    return Listed(name, coded, written, is_statement=chance.random() < STATEMENT_SHARE)


def _opioid(name: str, status: str, chance: Random) -> Listed:
    """An opioid of the last half year: still active, or finished on a day that the record says."""
    written = chance.randint(10, 180)
    ended = None if status == "active" else chance.randint(1, written - 5)
    return Listed(name, "", written, ended, status, is_opioid=True)


# --- FHIR -------------------------------------------------------------------------------------------------------------


def draft_call(who: Drafted, today: date) -> Json:
    """The call in which this naltrexone is signed."""
    code, text = KINDS[who.purpose].problem
    problem = {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code, "display": text}],
        "text": text,
    }
    listed = [_resource(each, f"m-{number}", today) for number, each in enumerate(who.listed, 1)]
    return hook_call(
        {**_draft(who, today), "reasonCode": [problem]},
        listed,
        [_condition(problem)],
        f"draft-{who.number}",
    )


def _draft(who: Drafted, today: date) -> Json:
    order = request("ntx", {"text": who.name}, "draft", today.isoformat())
    if who.mg is None:
        return {**order, "dosageInstruction": [{"text": "380 mg intramuscular every 4 weeks"}]}
    return {
        **order,
        "dosageInstruction": [
            {
                "text": f"Take {who.mg:g} mg by mouth daily",
                "doseAndRate": [{"doseQuantity": milligrams(who.mg)}],
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            }
        ],
    }


def _condition(problem: Json) -> Json:
    system = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "resourceType": "Condition",
        "id": "cond-1",
        "subject": {"reference": "Patient/pat-1"},
        "code": problem,
        "clinicalStatus": {"coding": [{"system": system + "clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": system + "ver-status", "code": "confirmed"}]},
    }


def _resource(listed: Listed, name: str, today: date) -> Json:
    coding = [{"system": RXNORM, "code": listed.rxnorm}] if listed.rxnorm else []
    drug = {**({"coding": coding} if coding else {}), "text": listed.name}
    if listed.is_statement:
        return {
            "resourceType": "MedicationStatement",
            "id": name,
            "status": listed.status,
            "medicationCodeableConcept": drug,
            "subject": {"reference": "Patient/pat-1"},
            "effectivePeriod": {"start": day(today, listed.written)},
            "dateAsserted": day(today, listed.written),
        }
    order = request(name, drug, listed.status, day(today, listed.written))
    if listed.ended is not None:
        order["dosageInstruction"] = [
            {
                "timing": {
                    "repeat": {
                        "boundsPeriod": {
                            "start": day(today, listed.written),
                            "end": day(today, listed.ended),
                        }
                    }
                }
            }
        ]
    supply = {"value": 90, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}
    return {
        **order,
        "dispenseRequest": {"numberOfRepeatsAllowed": 3, "expectedSupplyDuration": supply},
    }
