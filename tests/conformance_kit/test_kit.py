"""The kit passes what is right and catches every requirement that it probes, broken one at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cds_service import settings
from cds_service.app import create_app
from cds_service.conformance.probes import SHOULD, TITLES, Answer, Ask, probe

ORIGIN = "https://sandbox.cds-hooks.org"
CARD = {
    "uuid": "u1", "summary": "s", "indicator": "critical", "source": {"label": "l", "url": "https://a.example"},
    "suggestions": [{"label": "l", "isRecommended": True, "actions": [
        {"type": "create", "description": "d", "resource": {"resourceType": "Task"}},
        {"type": "delete", "description": "d", "resourceId": "MedicationRequest/d1"}]}],
    "selectionBehavior": "at-most-one", "links": [{"label": "l", "url": "https://a.example", "type": "absolute"}],
    "overrideReasons": [{"code": "c", "system": "https://a.example/s", "display": "d"}],
}  # fmt: skip
SERVICES = {"services": [{"hook": "order-sign", "id": "one", "title": "t", "description": "d",
                          "prefetch": {"patient": "Patient/{{context.patientId}}"}}]}  # fmt: skip
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
JSON = {"content-type": "application/json"}


def answer(status: int, body: Any) -> Answer:
    return Answer(status, JSON, json.dumps(body))


def right(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
    """A small service that does everything right."""
    if method == "OPTIONS":
        return Answer(
            204,
            {
                "access-control-allow-origin": headers["Origin"],
                "access-control-allow-headers": "authorization, content-type",
            },
            "",
        )
    if path == "/cds-services":
        return answer(200, SERVICES)
    if path != "/cds-services/one":
        return answer(404, OUTCOME)
    if method != "POST":
        return answer(405, OUTCOME)
    if headers.get("Content-Type") == "text/plain":
        return answer(415, OUTCOME)
    if not isinstance(body, dict) or not all(
        body.get(n) for n in ("hook", "hookInstance", "context")
    ):
        return answer(400, OUTCOME)
    return answer(200, {"cards": [CARD]})


def rewrite(status: int, change: Callable[[Any], Any], path: str = "one") -> Ask:
    """The right service, with its answers of this status changed."""

    def ask(method: str, asked: str, body: Any, headers: Mapping[str, str]) -> Answer:
        said = right(method, asked, body, headers)
        if said.status != status or not asked.endswith(path) or method == "OPTIONS":
            return said
        return answer(status, change(copy.deepcopy(said.body)))

    return ask


def on_card(**changes: Any) -> Ask:
    return rewrite(200, lambda body: {"cards": [{**body["cards"][0], **changes}]})


def on_service(**changes: Any) -> Ask:
    return rewrite(
        200, lambda body: {"services": [{**body["services"][0], **changes}]}, "/cds-services"
    )


def failing(when: Callable[[str, Any, Mapping[str, str]], bool], status: int = 500) -> Ask:
    return lambda method, path, body, headers: (
        answer(status, OUTCOME) if when(method, body, headers) and path.endswith("one") else right(method, path, body, headers))  # fmt: skip


def in_prefetch(value: Any) -> Callable[[str, Any, Mapping[str, str]], bool]:
    return lambda _m, body, _h: (
        isinstance(body, dict) and (body.get("prefetch") or {}).get("patient", "") == value
    )


def suggestion(**changes: Any) -> Ask:
    return on_card(suggestions=[{**CARD["suggestions"][0], **changes}])  # type: ignore[index]


def action(**changes: Any) -> Ask:
    return suggestion(actions=[changes])


EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}
NOT_JSON: Ask = lambda *asked: Answer(right(*asked).status, {"content-type": "text/html"}, "<html>")  # noqa: E731
BROKEN: dict[str, Ask] = {
    "R01": NOT_JSON,
    "R02": on_card(detail=None),
    "R03": on_card(detail=""),
    "R06": failing(lambda _m, b, _h: isinstance(b, dict) and "extension" in b),
    "R07": failing(lambda _m, b, _h: isinstance(b, dict) and "orgExampleProbe" in (b.get("context") or {})),
    "R10": rewrite(200, lambda body: body, "never"),
    "R11": rewrite(200, lambda _: {"services": {}}, "/cds-services"),
    "R12": on_service(description=" "),
    "R13": on_service(title=""),
    "R14": on_service(prefetch={"a": 1}),
    "R19": lambda m, p, b, h: right(m, "/cds-services/one" if p.endswith("here") else p, b, h),
    "R20": on_service(prefetch={"a": "Patient/{{context.draftOrders}}"}),
    "R30": failing(lambda m, _b, _h: m == "GET", 200),
    "R31": failing(lambda _m, b, _h: isinstance(b, dict) and "hookInstance" not in b, 200),
    "R39": failing(lambda _m, b, _h: isinstance(b, dict) and "PractitionerRole" in str((b.get("context") or {}).get("userId"))),
    "R43": failing(lambda _m, b, _h: isinstance(b, dict) and bool(b.get("context")) and "medicationCode" not in str(b["context"])),
    "R52": failing(in_prefetch(None)),
    "R53": failing(lambda _m, b, _h: isinstance(b, dict) and "OperationOutcome" in str(b.get("prefetch"))),
    "R54": failing(in_prefetch(EMPTY)),
    "R56": failing(lambda _m, b, _h: isinstance(b, dict) and "orgExample" in (b.get("prefetch") or {})),
    "R70": rewrite(200, lambda _: {}),
    "R73": on_card(summary="x" * 140),
    "R74": on_card(indicator="hard-stop"),
    "R75": on_card(source={"url": "https://a.example"}),
    "R76": on_card(source={"label": "l", "url": "/relative"}),
    "R79": rewrite(200, lambda body: {"cards": body["cards"] * 2}),
    "R80": suggestion(label=""),
    "R81": on_card(selectionBehavior="all"),
    "R83": on_card(suggestions=CARD["suggestions"] * 2),  # type: ignore[operator]
    "R85": action(type="create", resource={"resourceType": "Task"}),
    "R86": action(type="update", description="d"),
    "R87": action(type="delete", description="d"),
    "R89": on_card(links=[{"label": "l", "url": "relative", "type": "absolute"}]),
    "R90": on_card(links=[{**CARD["links"][0], "appContext": "x"}]),  # type: ignore[index,dict-item]
    "R92": on_card(overrideReasons=[{"code": "c"}]),
    "R96": rewrite(400, lambda _: {"error": "x"}),
    "R140": lambda m, p, b, h: Answer(200, JSON, "{}") if m == "OPTIONS" else right(m, p, b, h),
}  # fmt: skip
BROKEN["R10"] = lambda m, p, b, h: (
    answer(500, OUTCOME) if p == "/cds-services" else right(m, p, b, h)
)


def test_a_service_that_is_right_passes_everything() -> None:
    found = probe(right, ORIGIN)
    assert {} == {r: faults for r, faults in found.faults.items() if faults}
    assert set(TITLES) == {r for r in TITLES if found.outcome(r) == "passed"}


def test_there_is_a_broken_service_for_every_requirement() -> None:
    assert set(TITLES) == set(BROKEN)


@pytest.mark.parametrize("requirement", TITLES)
def test_each_requirement_is_caught(requirement: str) -> None:
    found = probe(BROKEN[requirement], ORIGIN)
    assert found.outcome(requirement) == ("warned" if requirement in SHOULD else "failed"), (
        found.faults
    )


def test_our_own_service_passes(tmp_path: Path) -> None:
    client = create_app(settings.load(None, data_dir=str(tmp_path), audit="off")).test_client()

    def ask(method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {**({"Content-Type": "application/json"} if data is not None else {}), **headers}
        said = client.open(path, method=method, data=data, headers=sent)
        return Answer(said.status_code, {k.lower(): v for k, v in said.headers.items()}, said.text)

    found = probe(ask, ORIGIN)
    assert {} == {r: faults for r, faults in found.faults.items() if faults}
    assert {r for r in TITLES if found.outcome(r) != "passed"} == set()
