"""The medication list as the rules see it: what counts, what is asked about, and what could not be read (2.4, 2.11)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cds_service.hooks.prefetch import read_prefetch
from cds_service.hooks.request import decode
from cds_service.hooks.services import SERVICES
from cds_service.model import Role, Snapshot, State, UnknownDraft
from cds_service.pipeline import Engine
from cds_service.reading import Reading
from cds_service.snapshot import read_snapshot

AS_OF = datetime(2026, 11, 21, 12, tzinfo=UTC)
NALTREXONE = {
    "resourceType": "MedicationRequest",
    "id": "ntx",
    "status": "draft",
    "intent": "order",
    "medicationCodeableConcept": {"text": "naltrexone 50 mg tablet"},
}
UNKNOWN_CODE = {"coding": [{"system": "http://example.org/local", "code": "4711"}]}
ABSENT = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
KEYS = {
    "MedicationRequest": "medicationRequests",
    "MedicationStatement": "medicationStatements",
    "MedicationDispense": "medicationDispenses",
    "MedicationAdministration": "medicationAdministrations",
    "Procedure": "procedures",
    "Condition": "conditions",
}


def listed(
    text: str = "oxycodone 5 mg tablet", kind: str = "MedicationRequest", **members: Any
) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": text},
        **members,
    }


def read(
    engine: Engine, *resources: dict[str, Any], drafts: tuple[dict[str, Any], ...] = (NALTREXONE,)
) -> Snapshot:
    prefetch: dict[str, Any] = {
        key: {"resourceType": "Bundle", "entry": []} for key in KEYS.values()
    }
    for number, resource in enumerate(resources):
        prefetch[KEYS[resource["resourceType"]]]["entry"].append(
            {"resource": {"id": f"m{number}", **resource}}
        )
    body = {
        "hook": "order-sign",
        "hookInstance": "i",
        "prefetch": prefetch,
        "context": {
            "patientId": "pat-1",
            "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": d} for d in drafts]},
        },
    }
    request = decode(json.loads(json.dumps(body)), SERVICES["naltrexone-order-sign"])
    reading = Reading(request, read_prefetch(request.prefetch), engine.terminology)
    return read_snapshot(reading, engine.aids(AS_OF), AS_OF)


def gaps(snapshot: Snapshot) -> dict[str, int]:
    return {gap.why: gap.count for gap in snapshot.gaps if gap.about == "medicine"}


def test_entries_that_nothing_readable_names_are_counted_against_the_whole_list(
    engine: Engine,
) -> None:
    found = read(
        engine,
        listed("lisinopril 10 mg"),
        listed(medicationCodeableConcept=UNKNOWN_CODE),
        listed(medicationCodeableConcept=UNKNOWN_CODE, status="on-hold"),
    )
    assert (2, 3, ()) == (found.unreadable, found.listed_count, found.unknown_names)
    assert {"not-identified": 2} == gaps(found)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({}, True),
        ({"status": "on-hold"}, True),
        ({"status": ""}, True),
        ({"authoredOn": "2025-11-01"}, True),
        ({"status": "stopped", "authoredOn": "2026-11-01"}, True),
        ({"status": "completed"}, True),
        (
            {
                "status": "stopped",
                "authoredOn": "2026-05-01",
                "meta": {"lastUpdated": "2026-09-01"},
            },
            False,
        ),
        ({"authoredOn": "2024-01-01"}, False),
        ({"status": "cancelled"}, False),
        ({"status": "draft"}, False),
        ({"intent": "proposal"}, False),
    ],
)
@pytest.mark.parametrize("concept", [UNKNOWN_CODE, {"text": "Zelprava 20 mg tablet"}])
def test_only_what_may_be_current_is_asked_about(
    engine: Engine, said: dict[str, Any], asked: bool, concept: dict[str, Any]
) -> None:
    found = read(engine, listed(medicationCodeableConcept=concept, **said))
    assert asked is bool(found.unreadable or found.unknown_names)
    assert found.unreadable == (asked and "coding" in concept)


def test_unknown_names_are_said_once_as_they_are_written(engine: Engine) -> None:
    found = read(
        engine,
        *(listed("Zelprava 20 mg tablet") for _ in range(2)),
        listed("MS 15 mg tab"),
        listed("metformin 500 mg"),
    )
    assert ["MS", "Zelprava"] == sorted(name.split()[0] for name in found.unknown_names)
    assert (0, 4, {}) == (found.unreadable, found.listed_count, gaps(found))


def test_drafts_that_are_not_known_are_told_with_their_names(engine: Engine) -> None:
    drafts = (
        NALTREXONE,
        {**NALTREXONE, "id": "a", "medicationCodeableConcept": {"text": "Zelprava 20 mg"}},
        {**NALTREXONE, "id": "b", "medicationCodeableConcept": UNKNOWN_CODE},
    )
    found = read(engine, drafts=drafts)
    names = [draft.name for draft in found.unknown_drafts]
    assert "Zelprava" in names[0]
    assert UnknownDraft("") == found.unknown_drafts[1]
    assert (2, True, False) == (len(names), found.unidentified_draft, found.unidentifiable)


@pytest.mark.parametrize(
    ("concept", "nothing_sent"),
    [
        ({"medicationReference": {"reference": "Medication/gone"}}, True),
        ({"medicationReference": {"identifier": {"value": "1"}}}, True),
        ({"medicationCodeableConcept": UNKNOWN_CODE}, False),
        ({"medicationCodeableConcept": {"text": "プレドニゾロン"}}, False),
    ],
)
def test_only_a_call_of_references_that_were_not_sent_cannot_be_answered(
    engine: Engine, concept: dict[str, Any], nothing_sent: bool
) -> None:
    """A name or code that we cannot read is answered with 200 (section 8, line 6)."""
    draft = {"resourceType": "MedicationRequest", "id": "x", "status": "draft", **concept}
    assert nothing_sent is read(engine, drafts=(draft,)).unidentifiable


@pytest.mark.parametrize(
    ("code", "available"), [("no-known-medications", True), ("no-medication-info", False)]
)
def test_an_entry_that_says_there_is_nothing_is_no_medicine(
    engine: Engine, code: str, available: bool
) -> None:
    found = read(
        engine,
        listed(
            kind="MedicationStatement",
            medicationCodeableConcept={
                "coding": [{"system": ABSENT, "code": code}],
                "text": code.replace("-", " "),
            },
        ),
    )
    assert (available, 0, 0, ()) == (
        found.list_available,
        found.listed_count,
        found.unreadable,
        found.unknown_names,
    )
    assert ({} if available else {"not-known": 1}) == gaps(found)


def test_dates_that_cannot_be_read_are_a_gap_of_what_concerns_us(engine: Engine) -> None:
    found = read(
        engine,
        listed(authoredOn="03/04/2026"),
        listed("metformin", authoredOn="03/04/2026"),
        listed("Zelprava", authoredOn="soon"),
        listed(authoredOn="2026-11-20 08:00:00"),
    )
    assert {"date-unreadable": 2} == gaps(found)


@pytest.mark.parametrize(
    ("code", "role"), [("J2315", Role.NTX_XR), ("Q9991", Role.BUP_DEPOT), ("Q9992", Role.BUP_DEPOT)]
)
@pytest.mark.parametrize(
    ("when", "state"),
    [
        ({"performedDateTime": "2026-11-01"}, State.RECENT),
        ({"performedPeriod": {"end": "2026-11-01"}}, State.RECENT),
        ({"occurrenceDateTime": "2026-11-01T10:00:00Z"}, State.RECENT),
        ({}, State.HELD),
    ],
)
def test_a_depot_known_only_by_its_billing_code_counts_like_an_administration(
    engine: Engine, code: str, role: Role, when: dict[str, Any], state: State
) -> None:
    found = read(
        engine,
        {
            "resourceType": "Procedure",
            "status": "completed",
            **when,
            "code": {"coding": [{"system": HCPCS, "code": code, "display": "Injection"}]},
        },
    )
    met = found.exposures[0]
    assert (role, state, 20 if when else None) == (
        met.medication.recognition.components[0].role,
        met.state,
        met.last_dose_days,
    )


@pytest.mark.parametrize(
    "procedure",
    [
        {"status": "not-done", "code": {"coding": [{"code": "J2315"}]}},
        {"status": "entered-in-error", "code": {"coding": [{"code": "J2315"}]}},
        {"status": "completed", "code": {"coding": [{"code": "99213"}]}},
        {"status": "completed"},
        {
            "status": "completed",
            "code": {"coding": [{"code": "J2315"}]},
            "subject": {"reference": "Patient/other"},
        },
    ],
)
def test_a_procedure_that_gave_no_depot_to_this_patient_is_none(
    engine: Engine, procedure: dict[str, Any]
) -> None:
    assert (
        ()
        == read(
            engine, {"resourceType": "Procedure", "performedDateTime": "2026-11-01", **procedure}
        ).exposures
    )


def test_a_billing_code_alone_names_the_drug_of_an_administration(engine: Engine) -> None:
    found = read(
        engine,
        listed(
            kind="MedicationAdministration",
            status="completed",
            effectiveDateTime="2026-11-01",
            medicationCodeableConcept={"coding": [{"system": HCPCS, "code": "Q9991"}]},
        ),
    )
    assert ([Role.BUP_DEPOT], 28) == (
        [c.role for c in found.exposures[0].medication.recognition.components],
        found.exposures[0].interval_days,
    )


def test_a_last_change_counts_over_the_whole_list(engine: Engine) -> None:
    """Four of five entries were changed on one day: that says nothing about the one that is stopped."""
    touched = {"meta": {"lastUpdated": "2026-11-01T10:00:00Z"}}
    stopped = listed(status="stopped", authoredOn="2026-05-05", **touched)
    others = [listed(name, **touched) for name in ("lisinopril", "metformin", "omeprazole")]
    assert State.RECENT is read(engine, stopped).exposures[0].state
    assert State.HELD is read(engine, stopped, *others).exposures[0].state


def test_a_dispense_of_the_list_shows_a_fill_of_its_order(engine: Engine) -> None:
    order = listed(
        id="o",
        status="completed",
        authoredOn="2026-08-01",
        dispenseRequest={
            "expectedSupplyDuration": {"value": 30, "unit": "d"},
            "numberOfRepeatsAllowed": 3,
        },
    )
    fill = listed(
        kind="MedicationDispense",
        status="completed",
        whenHandedOver="2026-08-01",
        authorizingPrescription=[{"reference": "MedicationRequest/o"}],
    )
    later = {**fill, "id": "later", "whenHandedOver": "2026-09-01"}
    for fills, days in (((), 82), ((fill,), 82), ((fill, later), 52)):
        found = read(engine, order, *fills)
        assert [days] == [e.days for e in found.exposures if e.medication.order.kind == "request"]


def test_loperamide_is_read_with_its_dose(engine: Engine) -> None:
    found = read(
        engine,
        listed(
            "loperamide 2 mg capsule",
            dosageInstruction=[
                {
                    "timing": {"repeat": {"frequency": 4, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": {"value": 4, "unit": "mg"}}],
                }
            ],
        ),
    )
    assert 16 == found.exposures[0].medication.dose.daily_mg
