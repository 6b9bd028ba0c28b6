"""The calls that two versions are compared on, made once by this tree and given to both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.vignettes import builder
from tests.vignettes.releases import RELEASES, Json
from tests.vignettes.situations import naltrexone, opioid, situation

REQUESTS = builder.FIXTURES / "requests"
FIELD = REQUESTS / "field"
FIELD_DAY = datetime.fromisoformat("2026-11-25T12:00:00+00:00")
LISTED_UNDER = {
    "MedicationRequest": "medicationRequests",
    "MedicationOrder": "medicationOrders",
    "MedicationStatement": "medicationStatements",
    "MedicationDispense": "medicationDispenses",
    "MedicationAdministration": "medicationAdministrations",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One hook call, the moment to judge it at, and a name that begins with where it comes from."""

    name: str
    body: Json
    as_of: datetime = builder.NOW

    @property
    def path(self) -> str:
        return f"/cds-services/{builder.service_of(self.body['hook'])}"

    def line(self) -> bytes:
        return json.dumps(
            {"path": self.path, "as_of": self.as_of.isoformat(), "body": self.body}
        ).encode()


def all_calls(folders: Iterable[tuple[Path, datetime]] = ()) -> Iterator[Call]:
    """Vignettes, listed resources, the request fixtures and captures, the field's bodies, and other folders."""
    yield from of_vignettes()
    yield from of_listed_resources()
    for path in sorted(REQUESTS.iterdir()):
        if path.is_dir():
            yield from of_folder(path, FIELD_DAY if path == FIELD else builder.NOW)
    for path, as_of in folders:
        yield from of_folder(path, as_of)


def of_vignettes() -> Iterator[Call]:
    """Every vignette in every release and at every hook that can say it."""
    for case in builder.vignettes(builder.SECOND_EDITION):  # holds the facts of the first as well
        for release in RELEASES:
            for hook in builder.HOOKS:
                if not builder.unsaid(case, release, hook):
                    yield Call(
                        f"vignettes/{case['id']}/{release}/{hook}",
                        builder.request(case, release, hook),
                    )


def of_listed_resources() -> Iterator[Call]:
    """Each listed medicine of the fixtures meets a drafted naltrexone and a drafted opioid."""
    for release in RELEASES:
        for path in sorted((builder.FIXTURES / release.lower()).glob("*.json")):
            resource = json.loads(path.read_text(encoding="utf-8"))
            for word, draft in (("naltrexone", naltrexone()), ("opioid", opioid())):
                body = builder.request(situation([draft]), release, "order-sign")
                body["prefetch"][LISTED_UNDER[resource["resourceType"]]] = {
                    "resourceType": "Bundle",
                    "type": "searchset",
                    "total": 1,
                    "entry": [{"resource": resource}],
                }
                yield Call(f"{release.lower()}/{path.stem}/{word}", body)


def of_folder(folder: Path, as_of: datetime) -> Iterator[Call]:
    """Every hook call in the JSON and NDJSON files of a folder; other JSON in it is passed over."""
    for path in sorted([*folder.rglob("*.json"), *folder.rglob("*.ndjson")]):
        name = f"{folder.name}/{path.relative_to(folder).with_suffix('')}"
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            bodies = [(name, json.loads(text))]
        else:
            bodies = [
                (f"{name}/{number}", json.loads(line))
                for number, line in enumerate(text.splitlines(), 1)
            ]
        yield from (Call(each, body, as_of) for each, body in bodies if is_ours(body))


def is_ours(body: Any) -> bool:
    """A call of one of our hooks; a feedback body has no hook."""
    return (
        isinstance(body, dict)
        and body.get("hook") in builder.HOOKS
        and isinstance(body.get("context"), dict)
    )
