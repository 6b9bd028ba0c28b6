"""A call is answered from its own body: no worker, host, order or neighbour changes a word (L6)."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import call, ldn, listed, naltrexone_50, opioid, path_of, unnamed
from tests.conftest import Running
from tests.reliability.server import serving

OPIOIDS = [
    "Oxycodone 5 MG Oral Tablet",
    "Morphine 10 MG Oral Tablet",
    "Hydrocodone 5 MG Oral Tablet",
    "Tramadol 50 MG Oral Tablet",
    "Codeine 30 MG Oral Tablet",
]


def patient(number: int) -> dict[str, Any]:
    """The call of one of many patients: every id holds its number, and four situations take turns."""
    name = f"canary-{number}-end"
    drug = OPIOIDS[number % len(OPIOIDS)]
    body = [
        lambda: call(
            "order-sign",
            ldn(id=f"n-{name}", patient=name),
            meds=(listed(drug, id=f"m-{name}", patient=name),),
        ),
        lambda: call("order-sign", naltrexone_50(id=f"n-{name}", patient=name)),
        lambda: call(
            "order-sign",
            opioid(drug, id=f"o-{name}", patient=name),
            meds=(listed("Naltrexone 50 MG Oral Tablet", id=f"m-{name}", patient=name),),
        ),
        lambda: call("order-sign", ldn(id=f"n-{name}", patient=name), meds=None),
    ][number % 4]()
    body["context"]["patientId"] = name
    body.get("prefetch", {}).get("patient", {})["id"] = name
    return body


def answers(services: list[Running], numbers: list[int], threads: int) -> dict[int, str]:
    """Each patient's answer without uuids, asked by many clients at once, spread over the services."""

    def ask(number: int) -> tuple[int, str]:
        body = patient(number)
        answer = services[number % len(services)].post(path_of(body), json=body)
        assert 200 == answer.status_code
        return number, json.dumps(unnamed(answer.json()), sort_keys=True)

    with ThreadPoolExecutor(threads) as pool:
        return dict(pool.map(ask, numbers))


def mixed_up(found: dict[int, str], patients: int) -> list[int]:
    """The patients whose answer names another patient."""
    names = {number: f"canary-{number}-end" for number in range(patients)}
    return [
        number
        for number, text in found.items()
        if any(f"canary-{other}-end" in text for other in names if other != number)
    ]


def check(service: Running, other: list[Running], patients: int, threads: int) -> None:
    numbers = list(range(patients))
    one_by_one = answers([service], numbers, 1)
    random.Random(6).shuffle(numbers)
    together = answers([service, *other], numbers, threads)
    assert one_by_one == together
    assert [] == mixed_up(together, patients)
    assert any("canary-0-end" in text for text in together.values())


@pytest.fixture
def two_workers(tmp_path: Path) -> Any:
    (tmp_path / "two").mkdir()
    with serving(tmp_path / "two", NALTREXONE_CDS_WORKERS="2") as found:
        yield found


def test_CL06_patients_at_once_on_several_workers_and_hosts_never_mix(
    two_workers: Running, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with serving(tmp_path / "other", NALTREXONE_CDS_PUBLIC_BASE_URL=two_workers.url) as other:
        check(two_workers, [other], 40, 8)


@pytest.mark.slow
def test_CL06_two_hundred_patients_and_thirty_two_clients_never_mix(two_workers: Running) -> None:
    check(two_workers, [], 200, 32)


def test_CL06_the_answer_before_leaves_no_trace(service: Running) -> None:
    """The same call, after others about the same patient, is answered as it was at first."""
    body = patient(1)
    first = service.post(path_of(body), json=body).json()
    for number in (0, 2, 3):
        other = patient(number)
        other["context"]["patientId"] = body["context"]["patientId"]
        service.post(path_of(other), json=other)
    assert unnamed(first) == unnamed(service.post(path_of(body), json=body).json())
