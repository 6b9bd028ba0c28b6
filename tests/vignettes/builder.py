"""A vignette as a whole CDS Hooks call, in any FHIR release and at any hook that can carry its facts.

``python -m tests.vignettes.builder`` writes the demonstration calls of ``fhir_fixtures/requests`` and the stories of
``fhir_fixtures/stories`` anew; give it a date
(2027-03-01) and every date in them moves by the same number of days.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from tests.vignettes import releases
from tests.vignettes.releases import Json

HERE = Path(__file__).parent
FIXTURES = HERE.parents[1] / "fhir_fixtures"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = NOW.date()
HOOKS = ("medication-prescribe", "order-select", "order-sign", "medication-refill")
INTERACTION, OFF_LABEL, DOSE, SAFETY, GAP = (
    "naltrexone-opioid-interaction",
    "naltrexone-off-label",
    "naltrexone-dose-check",
    "naltrexone-patient-safety",
    "naltrexone-data-gap",
)

FIRST_EDITION, SECOND_EDITION = "vignettes.jsonl", "vignettes-2.jsonl"
EDITION = SECOND_EDITION

CANNOT_SAY = {
    "DSTU2": frozenset(
        {
            "A28",
            "C19",
            "D29",
            "D30",
            "N16",
            "N20",
            "N23",
            "N28",
            "N36",
            "N40",
            "N48",
            "E38",
            "B08",
            "B23",
            "B26",
            "D39",
            "D40",
            "A53",
            "N56",
        }
    ),
    "STU3": frozenset({"N16", "N21", "N28", "N36", "N48", "D40", "A53", "N56"}),
    "R4": frozenset({"N20", "N21", "D40"}),
    "R5": frozenset({"N20", "N21", "N56"}),
}
SAYS = {
    "status_changed": {"R5"},
    "reported": {"R4", "R5"},
    "adherence": {"R4"},
}  # facts that some releases lack
ON_REFILL = frozenset({INTERACTION, SAFETY, GAP})
DEMONSTRATIONS = {
    "order-select": {
        "ldn-with-recent-oxycodone": "A01",
        "opioid-on-naltrexone": "B01",
        "ldn-alone": "E01",
    },
    "order-sign": {
        "ldn-and-oxycodone-together": "C01",
        "opioid-on-naltrexone": "B01",
        "ldn-with-recent-oxycodone": "A01",
    },
    "medication-prescribe": {
        "ldn-with-recent-oxycodone": "A01",
        "opioid-on-injected-naltrexone": "B03",
    },
    "medication-refill": {"ldn-with-recent-oxycodone": "A01"},
}
SPOKEN = {"medication-prescribe": "STU3"}  # release of the demonstration calls; R4 elsewhere


@cache
def vignettes(edition: str = EDITION) -> tuple[Json, ...]:
    """Every vignette of an edition of the clinical specification, in file order."""
    lines = (HERE / "data" / edition).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def vignette(wanted: str, edition: str = EDITION) -> Json:
    return next(v for v in vignettes(edition) if v["id"] == wanted)


def service_of(hook: str) -> str:
    return f"naltrexone-{hook}"


def unsaid(case: Json, release: str, hook: str) -> str:
    """Why this vignette does not exist in this release or at this hook (specification section 4); "" if it does."""
    if case["id"] in CANNOT_SAY[release]:
        return f"{release} cannot say it"
    lost = sorted(
        key
        for m in case["meds"]
        for key, said_in in SAYS.items()
        if key in m and release not in said_in
    )
    if lost:
        return f"{release} has no place for {lost[0]}"
    if case["id"] == "C02" and hook != "order-select":
        return "an unselected order exists on order-select only"
    if release == "DSTU2" and any(
        c.get("recommended_suggestion") == "DEL_OPI" for c in case["expected_cards"]
    ):
        return "DSTU2 has no order category, on which a recommended DEL_OPI rests"
    return ""


def expected(case: Json, hook: str, edition: str = EDITION) -> list[Json]:
    """The cards to compare at this hook: a refill counts as a renewal, so only T1, T4 and T5 are comparable there."""
    cards: list[Json] = case["expected_cards"]
    if hook != "medication-refill":
        return cards
    return [
        c
        for c in cards
        if c["topic"] in ON_REFILL and not (edition != FIRST_EDITION and never_on_refill(c, case))
    ]


def never_on_refill(card: Json, case: Json) -> bool:
    """Second edition, 2.11: the information of T4 but for a screen's, and T5 about a drafted opioid without a list."""
    if card["indicator"] != "info":
        return False
    if card["topic"] == SAFETY:
        return not case.get("labs")
    return card["topic"] == GAP and bool(case.get("prefetch_unavailable"))


def comparable(cards: Iterable[Json], hook: str) -> list[Json]:
    """The cards of an answer that ``expected`` speaks about."""
    return [
        c for c in cards if hook != "medication-refill" or c["source"]["topic"]["code"] in ON_REFILL
    ]


def request(case: Json, release: str, hook: str) -> Json:
    """The whole body of one hook call."""
    return {
        "hook": hook,
        "hookInstance": str(uuid5(NAMESPACE_URL, f"{case['id']}/{release}/{hook}")),
        "context": context(case, release, hook),
        "prefetch": prefetch(case, release),
    }


def context(case: Json, release: str, hook: str) -> Json:
    known = {m["id"]: m["authoredOn"] for m in case["meds"] if m.get("authoredOn")}
    drafts = [
        releases.order(d, release, known.get(d["id"], TODAY.isoformat()))
        for d in case["draft_orders"]
    ]
    said: Json = {"patientId": "pat-1", "userId": "Practitioner/prac-1"}
    if case.get("encounter_class"):
        said["encounterId"] = "enc-1"
    if hook == "order-select":
        said["selections"] = [f"{r['resourceType']}/{r['id']}" for r in selected(case, drafts)]
    orders: Json = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": r} for r in drafts],
    }
    if hook in {"medication-prescribe", "medication-refill"}:
        del orders["type"]  # as in the official examples of these hooks
        return {**said, "medications": orders}
    return {**said, "draftOrders": orders}


def selected(case: Json, drafts: list[Json]) -> list[Json]:
    """The orders in ``selections``: those the vignette selects, or every one where it selects none."""
    chosen = {d["id"] for d in case["draft_orders"] if d.get("selected")}
    return [r for r in drafts if not chosen or r["id"] in chosen]


def prefetch(case: Json, release: str) -> Json:
    listed = list(resources(case, release))
    found: Json = {"patient": person(case)}
    if case.get("encounter_class"):
        found["encounter"] = releases.encounter(case["encounter_class"], release)
    keys = {
        releases.order_type(release): "medicationOrders"
        if release == "DSTU2"
        else "medicationRequests",
        "MedicationStatement": "medicationStatements",
        "MedicationDispense": "medicationDispenses",
        "MedicationAdministration": "medicationAdministrations",
        "Condition": "conditions",
    }
    for kind, key in keys.items():
        found[key] = searchset(kind, [r for r in listed if r["resourceType"] == kind], release)
    for kind, key, part in (
        ("Observation", "observations", "labs"),
        ("Procedure", "procedures", "procedures"),
    ):
        if case.get(part):  # not in the default prefetch: sent where there is something to send
            found[key] = searchset(kind, [r for r in listed if r["resourceType"] == kind], release)
    if case.get("prefetch_unavailable"):
        del found[keys[releases.order_type(release)]]
    return found


def person(case: Json) -> Json:
    """An adult, unless the vignette says otherwise."""
    born = case.get("birth_date") or f"{TODAY.year - case.get('age', 52)}-03-14"
    return {
        "resourceType": "Patient",
        "id": "pat-1",
        "gender": "female",
        "birthDate": born,
        "name": [{"family": "Testpatient", "given": ["Nora"]}],
    }


def resources(case: Json, release: str) -> Iterator[Json]:
    """Everything listed about the patient; an order with ``last_admin`` brings its administration along."""
    orders = {
        m["drug_text"]: m["id"]
        for m in case["meds"]
        if m["source"] == "MedicationRequest" and m["drug_text"]
    }
    for item in case["meds"]:
        source, order_id = item["source"], item.get("order") or orders.get(item["drug_text"])
        if source == "MedicationRequest":
            yield releases.order(item, release, authored(item, release))
            if item.get("last_admin"):
                given = {**item, "id": f"{item['id']}-given", "status": "completed"}
                yield releases.administration(
                    given, release, administered(given, release), item["id"]
                )
        elif source == "MedicationStatement":
            yield releases.statement(item, release)
        elif source == "MedicationDispense":
            yield releases.dispense(item, release, order_id)
        else:
            yield releases.administration(item, release, administered(item, release), order_id)
    for number, problem in enumerate(case["conditions"], 1):
        yield releases.condition(number, problem, release)
    for number, lab in enumerate(case.get("labs", ()), 1):
        yield releases.laboratory(number, lab, release)
    for number, done in enumerate(case.get("procedures", ()), 1):
        yield releases.procedure(number, done, release)


def authored(item: Json, release: str) -> str | None:
    """The day an order was written; STU3 and R5 servers say the time as well."""
    clock = {"STU3": "T08:15:00+00:00", "R5": "T08:15:00.000Z"}.get(release, "")
    return f"{item['authoredOn']}{clock}" if item.get("authoredOn") else None


def administered(item: Json, release: str) -> str:
    """The moment of an administration; R5 writes it on another clock than UTC."""
    if item.get("given_at"):
        return str(item["given_at"])
    if item.get("hours_ago") is None:
        return f"{item['last_admin']}T09:00:00Z"
    moment = NOW - timedelta(hours=item["hours_ago"])
    if release == "R5":
        return (moment - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S-05:00")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def searchset(kind: str, found: list[Json], release: str) -> Json | None:
    """A search answer. Nothing found: ``null`` from 1.0 clients (DSTU2, STU3), an empty Bundle from later ones."""
    if not found and release in {"DSTU2", "STU3"}:
        return None
    base = f"https://fhir.example.org/{release.lower()}"
    bundle: Json = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": f"{base}/{kind}?patient=pat-1"}],
    }
    if found:
        bundle["entry"] = [
            {"fullUrl": f"{base}/{kind}/{r['id']}", "resource": r, "search": {"mode": "match"}}
            for r in found
        ]
    return bundle


def rolled(document: Json, to: date) -> Json:
    """The same document as if today were ``to``: every date but a birth date moves by the same number of days."""
    shift = to - TODAY

    def moved(match: re.Match[str]) -> str:
        return match[1] + (date.fromisoformat(match[2]) + shift).isoformat()

    text = re.sub(r'((?<!"birthDate": )")(\d{4}-\d{2}-\d{2})(?=["T])', moved, json.dumps(document))
    return json.loads(text)  # type: ignore[no-any-return]


def demonstrations(today: date) -> Iterator[tuple[Path, Json]]:
    """Path and body of each demonstration call."""
    for hook, cases in DEMONSTRATIONS.items():
        for name, wanted in cases.items():
            body = request(vignette(wanted), SPOKEN.get(hook, "R4"), hook)
            yield FIXTURES / "requests" / hook / f"{name}.json", rolled(body, today)


def stories(today: date) -> Iterator[tuple[Path, Json]]:
    """Path and body of each story of the playground that is a vignette, in every release that can say it."""
    folder = FIXTURES / "stories"
    for story in yaml.safe_load((folder / "stories.yaml").read_text(encoding="utf-8"))["stories"]:
        if "vignette" in story:
            case = vignette(story["vignette"])
            for release in releases.RELEASES:
                if not unsaid(case, release, "order-select"):
                    body = request(case, release, "order-select")
                    yield folder / f"{story['id']}.{release}.json", rolled(body, today)


def written(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    today = date.fromisoformat(sys.argv[1]) if len(sys.argv) > 1 else TODAY
    for path, body in (*demonstrations(today), *stories(today)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(body), encoding="utf-8")


if __name__ == "__main__":
    main()
