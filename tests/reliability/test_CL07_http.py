"""To send a call or a feedback again does no harm (L7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.calls import conflict, path_of, unnamed
from tests.conftest import Running
from tests.reliability.server import serving
from tests.security.ehr import exported, feedback_item

PATH = "/cds-services/naltrexone-order-sign/feedback"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    data = tmp_path_factory.mktemp("repeats")
    with serving(data, NALTREXONE_CDS_WORKERS="2") as service:
        yield service, data


def count(data: Path, item: dict[str, Any]) -> int:
    return sum(found["card"] == item["card"] for found in exported(data))


def test_CL07_a_call_sent_ten_times_is_answered_ten_times_alike(kept: tuple[Running, Path]) -> None:
    answers = [kept[0].post(path_of(conflict()), json=conflict()).json() for _ in range(10)]
    assert [unnamed(answers[0])] * 10 == [unnamed(each) for each in answers]
    assert 20 == len({card["uuid"] for answer in answers for card in answer["cards"]})


def test_CL07_feedback_sent_ten_times_is_kept_once(kept: tuple[Running, Path]) -> None:
    item = feedback_item()
    assert {200} == {kept[0].post(PATH, json={"feedback": [item]}).status_code for _ in range(10)}
    assert 1 == count(kept[1], item)


def test_CL07_feedback_sent_twenty_times_at_once_to_two_workers_is_kept_once(
    kept: tuple[Running, Path],
) -> None:
    item, together = feedback_item(), threading.Barrier(20)

    def send(_: int) -> int:
        together.wait(20)
        return kept[0].post(PATH, json={"feedback": [item]}).status_code

    with ThreadPoolExecutor(20) as pool:
        assert {200} == set(pool.map(send, range(20)))
    assert 1 == count(kept[1], item)
