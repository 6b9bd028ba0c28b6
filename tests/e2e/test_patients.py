"""A dozen patients in a real browser: what the first screen says of each record, and what may be written."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.oauth_server import Ehr
from tests.e2e.smart_site import PATIENT, Site, order
from tests.e2e.test_smart_browser import CLEAR, kinds, launch, pass_gate

pytestmark = pytest.mark.browser
Json = dict[str, Any]


def condition(name: str, code: str, text: str) -> Json:
    return {
        "resourceType": "Condition", "id": name, "subject": {"reference": "Patient/ldn-1"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}], "text": text}}


def ended(name: str, text: str, on: str) -> Json:
    bounds = {"timing": {"repeat": {"boundsPeriod": {"start": "2026-10-01", "end": on}}}}
    return order(name, text, status="completed", authored="2026-10-01", dosageInstruction=[bounds])


OXYCODONE = ended("o1", "Oxycodone 5 mg tablet", "2026-11-18")
METHADONE = order("o1", "Methadone 10 mg tablet", status="on-hold", authored="2026-11-18")
DEPOT = ended("o1", "Sublocade 300 mg/1.5 mL injection", "2026-10-02")
STALE = order("o1", "Oxycodone 5 mg tablet", authored="2026-05-10")
RUNNING = order("o1", "Naltrexone 50 mg tablet", authored="2026-11-10")

BLOCKED = {
    "recent short-acting": ([OXYCODONE], "Not before Sat 28 Nov 2026, because of Oxycodone 5 mg tablet (ended 3 days ago)."),
    "active opioid": ([order("o1", "Oxycodone 5 mg tablet")], "Not before Tue 1 Dec 2026 at the earliest"),
    "liver": ([condition("c2", "K72.00", "Acute liver failure")], "Not now: Acute hepatitis, liver failure"),
    "running naltrexone": ([RUNNING], "Not now: Naltrexone 50 mg tablet"),
    "methadone on hold": ([METHADONE], "Not before Sat 5 Dec 2026 at the earliest"),
}
OPEN = {
    "clean": ([], CLEAR),
    "depot buprenorphine": ([DEPOT], "because of Sublocade 300 mg/1.5 mL injection (ended 50 days ago)."),
    "unknown medicine": ([order("o1", "Zorbexil 7 mg")], "The record cannot tell what this is: Zorbexil 7 mg."),
    "stale order": ([STALE], "The record cannot tell: Oxycodone 5 mg tablet"),
    "pregnancy": ([condition("c2", "Z33.1", "Pregnant")], "The record asks for care: Pregnancy is on the problem list"),
    "age 16": ([{**PATIENT, "birthDate": "2010-03-01"}], "The record asks for care: 16 years"),
    "no birth date": ([{k: v for k, v in PATIENT.items() if k != "birthDate"}], "Unknown: no birth date"),
    "man": ([{**PATIENT, "gender": "male"}], CLEAR),
}


def opened(context: BrowserContext, site: Site, ehr: Ehr, record: list[Json]) -> Page:
    for resource in record:
        ehr.store[resource["resourceType"], resource["id"]] = resource
    page = context.new_page()
    launch(page, site, ehr)
    return page
