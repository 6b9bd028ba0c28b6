"""An alert overridden at order-select comes again at order-sign in one line, where a client asks, and never as silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from cds_service import settings as configuration
from cds_service.app import create_app
from cds_service.hooks.repeats import bases_of
from cds_service.journal import overridden as journal
from cds_service.model import Finding, Role, Snapshot
from cds_service.rules import decide
from tests.conformance.calls import (
    OVERRIDE_SYSTEM,
    OXYCODONE_ER,
    T1,
    T2,
    call,
    ldn,
    listed,
)
from tests.conftest import AS_OF
from tests.unit.clinic import draft, exposure, medication, naltrexone, snapshot

SELECT, SIGN = "order-select", "order-sign"
ASKED = {
    SELECT: {"code": "cache-for-order-sign-filtering", "value": True},
    SIGN: {"code": "filter-out-repeated-alerts", "value": True},
}


class Site:
    """The application, its clock, and one clinician who orders low-dose naltrexone beside oxycodone."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.now = AS_OF
        made = configuration.load(None, {}, data_dir=str(folder), **settings)
        self.app: Flask = create_app(made, now=lambda: self.now)
        self.parts = self.app.extensions["naltrexone_cds"]
        self.web = self.app.test_client()

    def ask(self, hook: str, *, asks: bool = True, **changes: Any) -> dict[str, dict[str, Any]]:
        medicines = changes.pop("meds", (listed(),))
        user = changes.pop("user", "Practitioner/7")
        body = call(hook, changes.pop("draft", ldn()), meds=medicines, **changes)
        body["context"]["userId"] = user
        if asks:
            body["extension"] = {"configuration-items": [ASKED[hook]]}
        said = self.web.post(f"/cds-services/naltrexone-{hook}", json=body)
        assert 200 == said.status_code
        assert self.parts.audit.flush(10)
        return {card["source"]["topic"]["code"]: card for card in said.get_json()["cards"]}

    def answer(self, card: dict[str, Any], outcome: str = "overridden") -> None:
        reason = {"reason": {"system": OVERRIDE_SYSTEM, "code": "list-outdated"}}
        taken = {"acceptedSuggestions": [{"id": s["uuid"]} for s in card["suggestions"]]}
        item = {
            "card": card["uuid"],
            "outcome": outcome,
            "outcomeTimestamp": self.now.isoformat(),
            **({"overrideReason": reason} if outcome == "overridden" else taken),
        }
        said = self.web.post(
            "/cds-services/naltrexone-order-select/feedback", json={"feedback": [item]}
        )
        assert 200 == said.status_code


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.parts.audit.close(5)
    made.parts.store.close()


def test_an_override_at_select_is_one_line_at_sign(site: Site) -> None:
    first = site.ask(SELECT)
    site.answer(first[T1])
    site.now += timedelta(minutes=4)
    again = site.ask(SIGN)
    assert (
        "Overridden 12:00 (Medication list outdated; patient does not take it): naltrexone / oxycodone"
        == again[T1]["summary"]
    )
    assert {"uuid", "summary", "indicator", "source"} == set(again[T1])
    assert ("critical", "warning") == (first[T1]["indicator"], again[T1]["indicator"])
    assert first[T2]["detail"] == again[T2]["detail"]  # it was not overridden


def test_nothing_is_shortened_unless_both_hooks_are_asked_to(site: Site) -> None:
    site.answer(site.ask(SELECT, asks=False)[T1])
    assert "detail" in site.ask(SIGN)[T1]
    site.answer(site.ask(SELECT)[T1])
    assert "detail" in site.ask(SIGN, asks=False)[T1]


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "Practitioner/8"},
        {"user": ""},
        {"meds": (listed(OXYCODONE_ER),)},
        {"meds": (listed(status="on-hold"),)},
        {"meds": (listed(), listed("morphine 15 MG Oral Tablet", id="m-2"))},
        {
            "meds": (
                listed(),
                {"resourceType": "MedicationRequest", "id": "m-3", "status": "active"},
            )
        },
        {"draft": ldn(dose=None)},
    ],
    ids=["clinician", "nobody", "release", "state", "second opioid", "gap", "dose"],
)
def test_whatever_differs_is_said_in_full(site: Site, changes: dict[str, Any]) -> None:
    site.answer(site.ask(SELECT)[T1])
    assert "Overridden" not in site.ask(SIGN, **changes)[T1]["summary"]


def test_a_later_day_is_said_in_full(site: Site) -> None:
    site.answer(site.ask(SELECT)[T1])
    site.now += timedelta(days=1, minutes=1)
    assert "detail" in site.ask(SIGN)[T1]


def test_issuers_users_and_patients_never_meet(site: Site) -> None:
    who = [(i, u, p) for i in ("", "https://a.example") for u in ("u", "w") for p in ("1", "2")]
    assert len(who) == len({site.parts.pseudonyms.alert(*each, "basis") for each in who})
    assert "" == site.parts.pseudonyms.alert("", "", "1", "basis")
    assert "" == site.parts.pseudonyms.alert("", "u", "", "basis")


def judged() -> tuple[Snapshot, list[Finding]]:
    seen = snapshot(draft(naltrexone()), listed=(exposure(medication(Role.FULL_SA)),))
    return seen, [finding for verdict in decide(seen) for finding in verdict.findings]


def test_the_newest_answer_counts(site: Site) -> None:
    card = site.ask(SELECT)[T1]
    site.answer(card)
    site.now += timedelta(minutes=1)
    site.answer(card, "accepted")
    assert "detail" in site.ask(SIGN)[T1]


def test_a_store_that_cannot_tell_costs_nothing_but_length(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.answer(site.ask(SELECT)[T1])
    monkeypatch.setattr(journal, "PATIENCE", 0.0)
    with site.parts.store.write():  # holds the turn: the writer thread waits behind it
        body = call(SIGN, ldn(), meds=(listed(),))
        body["context"]["userId"] = "Practitioner/7"
        body["extension"] = {"configuration-items": [ASKED[SIGN]]}
        said = site.web.post("/cds-services/naltrexone-order-sign", json=body)
    cards = {card["source"]["topic"]["code"]: card for card in said.get_json()["cards"]}
    assert ("critical", True) == (cards[T1]["indicator"], "detail" in cards[T1])


def test_a_client_may_ask_by_its_settings_and_a_request_may_decline(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(
        'auth = "off"\n[[clients]]\nissuer = "https://ehr.example.org"\nbrief_repeats = true\n'
        'jwks_url = "https://ehr.example.org/k"\nfhir_bases = ["https://ehr.example.org/fhir"]\n'
    )
    made = configuration.load(str(file), {}, data_dir=str(tmp_path))
    site = Site.__new__(Site)
    site.now = AS_OF
    site.app = create_app(made, now=lambda: site.now)
    site.parts, site.web = site.app.extensions["naltrexone_cds"], site.app.test_client()
    site.answer(site.ask(SELECT, asks=False)[T1])
    assert site.ask(SIGN, asks=False)[T1]["summary"].startswith("Overridden 12:00")
    body = call(SIGN, ldn(), meds=(listed(),))
    body["context"]["userId"] = "Practitioner/7"
    body["extension"] = {"configuration-items": [{**ASKED[SIGN], "value": False}]}
    cards = site.web.post("/cds-services/naltrexone-order-sign", json=body).get_json()["cards"]
    assert all("detail" in card for card in cards)
    site.parts.audit.close(5)
    site.parts.store.close()


def test_discovery_announces_what_may_be_asked(site: Site) -> None:
    services = site.web.get("/cds-services").get_json()["services"]
    found = {
        service["hook"]: [item["code"] for item in service["extension"]["configuration-items"]]
        for service in services
        if "extension" in service
    }
    assert {hook: [item["code"]] for hook, item in ASKED.items()} == found


@pytest.mark.parametrize(
    "junk", [None, 1, "x", [], [1], [{}], [{"code": 1}], {"configuration-items": 3}]
)
def test_an_extension_that_is_none_is_read_as_absent(site: Site, junk: Any) -> None:
    body = call(SIGN, ldn(), meds=(listed(),), extension=junk)
    assert 200 == site.web.post("/cds-services/naltrexone-order-sign", json=body).status_code


def test_what_an_alert_rests_on_tells_every_part_of_it() -> None:
    call_, findings = judged()
    base = bases_of(findings, call_, "v")
    first = next(f for f in findings if f.topic == T1)
    changed = [
        replace(first, situation="x"),
        replace(first, lines=first.lines[1:]),
        replace(first, facts={**first.facts, "ago": "x"}),
        replace(first, quotes={"written": "x"}),
        replace(first, found=()),
        replace(first, about=()),
    ]
    texts = {bases_of([each], call_, "v")[T1] for each in changed}
    texts |= {bases_of([first], call_, "w")[T1], base[T1]}
    assert len(changed) + 2 == len(texts)
