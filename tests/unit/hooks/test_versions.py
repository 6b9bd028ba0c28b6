"""Deletes in the form that the client reads: by its settings, else by evidence, else by the hook (conformance R87, D18)."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.hooks.services import SERVICES
from cds_service.hooks.versions import shows_version_2
from cds_service.pipeline import Engine, answer
from cds_service.settings import Client, SettingsError
from cds_service.settings import load as load_settings
from tests.conformance.calls import INSTANCE, actions, call, complaints, conflict, ldn, listed
from tests.conftest import AS_OF

PRESCRIBE = "medication-prescribe"
OLD = {"type": "delete", "resource": "ntx-1"}
NEW = {"type": "delete", "resourceId": "MedicationRequest/ntx-1"}
ACCESS = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "subject": "s"}


def deletes(engine: Engine, body: dict[str, Any], hook: str = "", **client: Any) -> list[Any]:
    """The deletes of the answer, which is valid, without their words."""
    made = Client(issuer="https://ehr.example", **client)
    service = SERVICES[f"naltrexone-{hook or body['hook']}"]
    response = answer(body, service, engine, AS_OF, client=made).response
    assert [] == complaints("response", response)
    found = [a for card in response["cards"] for a in actions(card) if a["type"] == "delete"]
    return [{name: a[name] for name in a if name != "description"} for a in found]


def with_access(hook: str = PRESCRIBE, **members: str) -> dict[str, Any]:
    return {**conflict(hook), "fhirAuthorization": {**ACCESS, "scope": "patient/*.read", **members}}


def moved(body: dict[str, Any]) -> dict[str, Any]:
    """The drafts of medication-prescribe where the hooks of 2.x keep them."""
    context = {**body["context"], "draftOrders": body["context"]["medications"]}
    context.pop("medications")
    return {**body, "context": context}


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (conflict(PRESCRIBE), OLD),
        (with_access(), OLD),
        (with_access(scope="patient/MedicationRequest.read user/*.* launch openid fhirUser"), OLD),
        (with_access(patient="pat-1"), NEW),
        (with_access(scope="launch patient/MedicationRequest.rs"), NEW),
        (with_access(scope="user/*.cruds"), NEW),
        (with_access(scope="patient/Observation.rs?category=laboratory"), NEW),
        (moved(conflict(PRESCRIBE)), NEW),
        (conflict("order-sign"), NEW),
        (conflict("order-select"), NEW),
        (conflict("medication-refill"), NEW),
    ],
)
def test_evidence_of_the_call_decides_and_else_the_hook(
    engine: Engine, body: dict[str, Any], form: dict[str, str]
) -> None:
    assert [form] == deletes(engine, body)


@pytest.mark.parametrize("version", ["1.0", "1.1", "2.0", "3.0"])
@pytest.mark.parametrize("hook", [PRESCRIBE, "order-sign"])
def test_what_the_settings_say_of_a_client_outweighs_all_evidence(
    engine: Engine, version: str, hook: str
) -> None:
    form = OLD if version.startswith("1.") else NEW
    for body in (conflict(hook), with_access(hook, patient="pat-1")):
        assert [form] == deletes(engine, body, cds_hooks_version=version)


def test_a_client_that_fills_tokens_of_3_reads_the_later_form(engine: Engine) -> None:
    assert [NEW] == deletes(engine, conflict(PRESCRIBE), prefetch_profile="dated")
    assert [OLD] == deletes(engine, conflict(PRESCRIBE), prefetch_profile="full")


def test_a_call_of_2_at_the_door_of_1_0_is_answered_as_its_hook_is(engine: Engine) -> None:
    assert [NEW] == deletes(engine, conflict("order-sign"), hook=PRESCRIBE)


@pytest.mark.parametrize("version", ["", "1.0", "2.0"])
def test_the_only_draft_of_medication_prescribe_needs_no_id_in_any_version(
    engine: Engine, version: str
) -> None:
    body = call(PRESCRIBE, ldn(id=None), meds=(listed(),))
    assert [{"type": "delete"}] == deletes(engine, body, cds_hooks_version=version)
    other = call("order-sign", ldn(id=None), meds=(listed(),))
    assert [] == deletes(engine, other, cds_hooks_version=version)


@pytest.mark.parametrize("version", ["", "1.0", "2.0"])
@pytest.mark.parametrize("release", ["DSTU2", "STU3", "R4", "R5"])
def test_a_typed_client_finds_no_text_where_it_reads_a_resource(
    engine: Engine, version: str, release: str
) -> None:
    """From 2.0 on ``resource`` is an object or absent in every action of every answer."""
    body = conflict(PRESCRIBE, release)
    for found in deletes(engine, body, cds_hooks_version=version):
        assert (version == "2.0") == ("resource" not in found) == ("resourceId" in found)


@pytest.mark.parametrize(
    "odd", [None, [], "x", 7, {"patient": 7, "scope": ["patient/*.rs"]}, {"scope": "patient/.rs"}]
)
def test_odd_members_are_no_evidence_and_no_fault(odd: object) -> None:
    assert not shows_version_2({"fhirAuthorization": odd, "context": odd, "hookInstance": INSTANCE})


def test_a_version_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="cds_hooks_version"):
        load_settings(None, {}, clients=(Client(issuer="i", cds_hooks_version="4"),))  # type: ignore[arg-type]
