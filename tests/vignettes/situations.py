"""Short words for situations that no vignette holds, and for the card that one of them gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from tests.vignettes.builder import TODAY, request
from tests.vignettes.compare import Told, told
from tests.vignettes.releases import RELEASES, Json

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}

OXYCODONE = ("oxycodone hydrochloride 5 MG Oral Tablet", "1049621")
MORPHINE = ("morphine sulfate 15 MG Oral Tablet", "892582")
TRAMADOL = ("tramadol hydrochloride 50 MG Oral Tablet", "835603")
BUTORPHANOL = ("butorphanol tartrate 1 MG/ACTUAT Metered Dose Nasal Spray", "886634")
MORPHINE_ER = ("morphine sulfate 30 MG Extended Release Oral Tablet", "891888")
TRAMADOL_ER = ("24 HR tramadol hydrochloride 100 MG Extended Release Oral Tablet", "833709")
FENTANYL_PATCH = ("72 HR fentanyl 0.025 MG/HR Transdermal System", "245134")
LEVORPHANOL = ("levorphanol tartrate 2 MG Oral Tablet", "197873")
EMBEDA = (
    "Abuse-Deterrent morphine sulfate 50 MG / naltrexone hydrochloride 2 MG Extended Release Oral Capsule",
    "863852",
)
METHADONE = ("methadone hydrochloride 10 MG Oral Tablet", "864706")
BUPRENORPHINE = ("buprenorphine 8 MG / naloxone 2 MG Sublingual Film", "1010604")
SUBLOCADE = ("1.5 ML buprenorphine 200 MG/ML Prefilled Syringe", "1996192")
BRIXADI_WEEKLY = ("0.32 ML buprenorphine 50 MG/ML Prefilled Syringe", "2639029")
BRIXADI_MONTHLY = ("0.18 ML buprenorphine 356 MG/ML Prefilled Syringe", "2639036")
IMPLANT = ("buprenorphine 74.2 MG Drug Implant [Probuphine]", "1797655")
FENTANYL = ("Fentanyl 0.05 MG/ML Injectable Solution", None)
COUGH_SYRUP = ("codeine phosphate 2 MG/ML / guaifenesin 20 MG/ML Oral Solution", "995868")
LOPERAMIDE = ("Loperamide 2 MG Oral Capsule", None)
NALTREXONE = ("naltrexone hydrochloride 50 MG Oral Tablet", "1483744")
VIVITROL = ("naltrexone 380 MG Injection", "637213")
CONTRAVE = (
    "12 HR bupropion hydrochloride 90 MG / naltrexone hydrochloride 8 MG Extended Release Oral Tablet",
    "1551468",
)
BARE_NALTREXONE = ("Naltrexone", "7243")

ALCOHOL = {"code": "F10.20", "text": "Alcohol dependence, uncomplicated"}
FIBROMYALGIA = {"code": "M79.7", "text": "Fibromyalgia"}
OPIOID_DEPENDENCE = {"code": "F11.20", "text": "Opioid dependence, uncomplicated"}

Product = tuple[str, str | None]
Answered = Callable[[Json], list[Json]]
everywhere = pytest.mark.parametrize("release", RELEASES)


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def named(product: Product) -> Json:
    text, code = product
    return {
        "drug_text": text,
        "rxnorm": {"system": RXNORM, "code": code, "display": text} if code else None,
    }


def capsule(mg: float) -> Product:
    """A compounded capsule: words only, no code."""
    return f"Naltrexone {mg:g} mg oral capsule (compounded)", None


def daily(mg: float) -> list[Json]:
    return [{"timing": DAILY, "doseAndRate": [{"doseQuantity": {"value": mg, "unit": "mg"}}]}]


def naltrexone(mg: float = 1.5, product: Product | None = None, **facts: Any) -> Json:
    """A drafted naltrexone of ``mg`` once daily, by default as a compounded capsule of that strength."""
    return {
        "id": "ntx-1",
        "status": "draft",
        "intent": "order",
        "category": "community",
        **named(product or capsule(mg)),
        "dosage": daily(mg),
        "sig_text": f"Take {mg:g} mg by mouth once daily",
        "reason": [],
        **facts,
    }


def opioid(product: Product = OXYCODONE, **facts: Any) -> Json:
    """A drafted opioid, 1 tablet four times daily as needed."""
    return {
        "id": "op-1",
        "status": "draft",
        "intent": "order",
        "category": "community",
        **named(product),
        "dosage": [],
        "sig_text": "",
        "reason": [],
        **facts,
    }


def listed(product: Product, **facts: Any) -> Json:
    """A MedicationRequest on the list, active and authored 10 days ago with 30 days of supply unless said otherwise."""
    usual = {} if "status" in facts else {"authoredOn": ago(10), "supply_days": 30}
    return {
        "id": "m-1",
        "source": "MedicationRequest",
        "status": "active",
        "intent": "order",
        **named(product),
        **usual,
        **facts,
    }


def active(product: Product, authored: int, **facts: Any) -> Json:
    return listed(product, status="active", authoredOn=ago(authored), **facts)


def finished(product: Product, days: int, course: int = 100, **facts: Any) -> Json:
    """A course of ``course`` days that was stopped ``days`` ago."""
    return listed(product, status="stopped", authoredOn=ago(days + course), end=ago(days), **facts)


def injected(product: Product, days: int, status: str = "completed", **facts: Any) -> Json:
    """A depot ordered and given ``days`` ago."""
    return listed(product, status=status, authoredOn=ago(days), last_admin=ago(days), **facts)


def given(product: Product, **facts: Any) -> Json:
    """An administration alone: ``hours_ago`` or ``given_at``."""
    return {
        "id": "m-adm",
        "source": "MedicationAdministration",
        "status": "completed",
        **named(product),
        **facts,
    }


def dispensed(product: Product, days: int, **facts: Any) -> Json:
    return {
        "id": "m-disp",
        "source": "MedicationDispense",
        "status": "completed",
        "authoredOn": ago(days),
        **named(product),
        **facts,
    }


def oral(mg: float) -> Json:
    """The strength and dose of a listed naltrexone of ``mg`` once daily."""
    return {"dosage": daily(mg), "sig_text": f"{mg:g} mg daily"}


def situation(
    drafts: Iterable[Json], meds: Iterable[Json] = (), conditions: Iterable[Json] = (), **more: Any
) -> Json:
    return {
        "id": "situation",
        "draft_orders": list(drafts),
        "meds": list(meds),
        "conditions": list(conditions),
        **more,
    }


def card(
    answered: Answered, case: Json, topic: str, release: str = "R4", hook: str = "order-sign"
) -> Told | None:
    """The card of a topic that this situation gets, None without one."""
    body = request(case, release, hook)
    return next((c for c in told(answered(body), body) if c.topic == topic), None)


def indicator(
    answered: Answered, case: Json, topic: str, release: str = "R4", hook: str = "order-sign"
) -> str:
    found = card(answered, case, topic, release, hook)
    return found.indicator if found else "none"
