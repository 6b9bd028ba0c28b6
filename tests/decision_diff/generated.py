"""Calls that nobody thought of: parts of the vignettes crossed with each other, aged, renamed and spoiled, from a seed.

They are for comparing two versions on the same bodies; what would be right for one of them nobody says.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from tests.decision_diff.calls import Call
from tests.vignettes import builder
from tests.vignettes.releases import RELEASES, Json

TABLES = Path(__file__).parents[2] / "cds_service/terminology"
DATES = (
    "authoredOn", "last_admin", "start", "end", "validity_end", "last_updated", "date_asserted", "status_changed",
)  # fmt: skip
STATUSES = (
    "active", "completed", "stopped", "on-hold", "cancelled", "unknown", "draft", "entered-in-error", "intended",
)  # fmt: skip
UNKNOWN = (
    "Zzyzxol 10 mg tablet",
    "tablet",
    "see chart",
    "Q",
    "methadon",
    "oxycodon 5mg",
    "Naltrexon 50 mg",
    "?" * 700,
)


def generated(number: int, seed: int) -> Iterator[Call]:
    """``number`` calls; the same for the same seed."""
    chance = random.Random(seed)
    for made in range(number):
        release, hook = chance.choice(RELEASES), chance.choice(builder.HOOKS)
        body = builder.request(_crossed(chance, made), release, hook)
        if chance.random() < 0.3:
            _spoil(chance, body)
        yield Call(f"generated/{seed}-{made}/{release}/{hook}", body)


def _crossed(chance: random.Random, number: int) -> Json:
    """The drafts of one or two vignettes, the medicines and problems of others, the patient of one more."""
    cases = [*builder.vignettes(builder.SECOND_EDITION)]
    case = _copy(chance.choice(cases))
    case["id"] = f"generated-{number}"
    drafts = _some(chance, cases, "draft_orders", chance.choice((1, 1, 1, 2, 3)))
    medicines = _some(chance, cases, "meds", chance.randrange(8))
    known = {d["id"] for d in drafts}
    for place, each in enumerate([*drafts, *medicines]):
        each["id"] = f"{'d' if place < len(drafts) else 'm'}-{place}"
        if each.get("order") in known or chance.random() < 0.8:
            each.pop("order", None)
    for each in (*drafts, *medicines):
        _change(chance, each)
    for each in medicines:
        if chance.random() < 0.3:
            each["status"] = chance.choice(STATUSES)
    case["draft_orders"], case["meds"] = drafts, medicines
    case["conditions"] = _some(chance, cases, "conditions", chance.randrange(4))
    case["age"] = chance.choice((3, 15, 17, 18, 40, 64, 65, 90))
    return case


def _some(chance: random.Random, cases: list[Json], part: str, number: int) -> list[Json]:
    pool = [each for case in cases for each in case[part]]
    return [_copy(chance.choice(pool)) for _ in range(number)]


def _change(chance: random.Random, item: Json) -> None:
    """Another name for a fifth of them, another age for half."""
    if chance.random() < 0.2:
        item["drug_text"] = chance.choice(chance.choice((names(), UNKNOWN)))
        if chance.random() < 0.7:
            item["rxnorm"] = None
            item.pop("codings", None)
    if chance.random() < 0.5:
        days = chance.choice((-1, 1, 3, 6, 7, 13, 14, 29, 60, 365, 1_000))
        for name in DATES:
            if item.get(name):
                item[name] = _moved(str(item[name]), days)


def _moved(written: str, days: int) -> str:
    try:
        return (date.fromisoformat(written[:10]) - timedelta(days=days)).isoformat() + written[10:]
    except ValueError:
        return written


@cache
def names() -> tuple[str, ...]:
    """Every name of every pack and table, relevant or not."""
    found = [
        row["name"]
        for path in sorted(TABLES.glob("**/*.csv"))
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        if row.get("name")
    ]
    return (*found, *(TABLES / "data/other-inn.txt").read_text(encoding="utf-8").splitlines())


def _spoil(chance: random.Random, body: Json) -> None:
    """One thing goes wrong on the way here."""
    chance.choice(_SPOILED)(chance, body)


def _lose_key(chance: random.Random, body: Json) -> None:
    body["prefetch"].pop(chance.choice([*body["prefetch"]]))


def _null_key(chance: random.Random, body: Json) -> None:
    body["prefetch"][chance.choice([*body["prefetch"]])] = None


def _failed_key(chance: random.Random, body: Json) -> None:
    issue = {"severity": chance.choice(("error", "warning")), "code": "processing"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    body["prefetch"][chance.choice([*body["prefetch"]])] = outcome


def _more_pages(chance: random.Random, body: Json) -> None:
    bundle = body["prefetch"][chance.choice([*body["prefetch"]])]
    if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle":
        bundle["link"] = [{"relation": "next", "url": "https://fhir.example.org/next"}]


def _lose_member(chance: random.Random, body: Json) -> None:
    for resource in _resources(body):
        if chance.random() < 0.2:
            resource.pop(chance.choice([*resource]))


def _null_member(chance: random.Random, body: Json) -> None:
    for resource in _resources(body):
        if chance.random() < 0.2:
            resource[chance.choice([*resource])] = chance.choice((None, "", [], {}, 7, "x"))


def _another_patient(chance: random.Random, body: Json) -> None:
    for resource in _resources(body):
        if chance.random() < 0.3 and "subject" in resource:
            resource["subject"] = {"reference": "Patient/another"}


def _resources(body: Json) -> Iterator[Json]:
    context, sent = body["context"], body["prefetch"].values()
    for bundle in (context.get("draftOrders"), context.get("medications"), *sent):
        for entry in (bundle or {}).get("entry", ()) if isinstance(bundle, dict) else ():
            yield entry["resource"]


_SPOILED: tuple[Callable[[random.Random, Json], None], ...] = (
    _lose_key, _null_key, _failed_key, _more_pages, _lose_member, _null_member, _another_patient,
)  # fmt: skip


def _copy(value: Json) -> Json:
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]
