"""Ask a CDS Hooks service what the specification lets a client ask, and hold every answer against it.

``Ask`` is a function (method, path, body or bytes, headers) -> Answer: over HTTP in the command, in process in tests.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.conformance.answers import CARDS, DISCOVERY

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SHOULD = frozenset({"R13", "R53", "R96"})
TITLES = {
    "R01": "every answer is JSON and says so", "R02": "no null members", "R03": "no empty members",
    "R06": "an extension changes nothing", "R07": "unknown context members are ignored", "R10": "discovery answers 200",
    "R11": "discovery has services", "R12": "services have hook, description, id", "R13": "services have a title",
    "R14": "prefetch is an object of texts", "R19": "each service answers at its URL, others are 404",
    "R20": "prefetch tokens are legal", "R30": "a wrong method is 405, a wrong media type 4xx",
    "R31": "hook, hookInstance and context are required: 400", "R39": "every form of userId is read",
    "R43": "an order without medication is no error", "R52": "null in prefetch is no error",
    "R53": "an OperationOutcome in prefetch is no error", "R54": "an empty Bundle is no error",
    "R56": "an unknown prefetch key is no error", "R70": "an answer has cards", "R73": "summaries under 140 characters",
    "R74": "indicators are info, warning, critical", "R75": "sources are labelled", "R76": "source URLs are absolute",
    "R79": "card uuids are unique texts", "R80": "suggestions are labelled", "R81": "suggestions state selectionBehavior",
    "R83": "at most one is recommended", "R85": "actions have type and description", "R86": "create, update carry resources",
    "R87": "delete names its target once", "R89": "links are complete", "R90": "appContext on smart links only",
    "R92": "override reasons are coded", "R96": "errors carry an OperationOutcome", "R140": "browsers may call (CORS)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header names in lower case, the body as text."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None


Ask = Callable[[str, str, Any, Mapping[str, str]], Answer]


@dataclass(slots=True)
class Findings:
    """Requirement -> what was tried and what was wrong."""

    tried: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, requirement: str, complaints: Iterator[str] | list[str], where: str) -> None:
        self.tried[requirement] += 1
        self.faults[requirement] += [f"{where}: {complaint}" for complaint in complaints]

    def outcome(self, requirement: str) -> str:
        """passed | failed | warned | not tried."""
        if not self.tried.get(requirement):
            return "not tried"
        if not self.faults.get(requirement):
            return "passed"
        return "warned" if requirement in SHOULD else "failed"

    @property
    def failed(self) -> list[str]:
        return [requirement for requirement in TITLES if self.outcome(requirement) == "failed"]


def probe(
    ask: Ask, origin: str = "https://sandbox.cds-hooks.org", body: Mapping[str, Any] | None = None
) -> Findings:
    """Every probe against one service root; ``body`` is a call of the site's own that is expected to bring cards."""
    found = Findings()
    services = _discovery(ask, found)
    for service in services:
        path, hook = f"/cds-services/{service['id']}", service["hook"]
        if not _is_ours_to_call(hook):
            continue
        _calls(ask, found, path, hook, body)
        _errors(ask, found, path, hook)
        _preflight(ask, found, path, origin)
    unknown = ask("POST", "/cds-services/no-such-service-here", call("order-sign"), {})
    found.note(
        "R19", [] if unknown.status == 404 else [f"status {unknown.status}"], "an unknown service"
    )
    return found


def _is_ours_to_call(hook: str) -> bool:
    return hook in {
        "order-select",
        "order-sign",
        "medication-prescribe",
        "medication-refill",
        "patient-view",
    }


def _discovery(ask: Ask, found: Findings) -> list[dict[str, Any]]:
    answer = ask("GET", "/cds-services", None, {})
    found.note("R10", [] if answer.status == 200 else [f"status {answer.status}"], "discovery")
    _check_json(found, answer, "discovery")
    for requirement, check in DISCOVERY.items():
        found.note(requirement, list(check(answer.body)), "discovery")
    services = answer.body.get("services") if isinstance(answer.body, dict) else None
    return [
        s
        for s in services or ()
        if isinstance(s, dict) and isinstance(s.get("id"), str) and isinstance(s.get("hook"), str)
    ]


def _check_json(found: Findings, answer: Answer, where: str) -> None:
    wrong = (
        []
        if "json" in answer.headers.get("content-type", "")
        else [f"content type {answer.headers.get('content-type')}"]
    )
    found.note("R01", [*wrong, *(["no JSON"] if answer.body is None else [])], where)


def _calls(ask: Ask, found: Findings, path: str, hook: str, own: Mapping[str, Any] | None) -> None:
    plain = call(hook)
    base = _call(
        ask, found, path, own if own and own.get("hook") == hook else plain, "R19", "a plain call"
    )
    for requirement, where, changed in variations(plain):
        answer = _call(ask, found, path, changed, requirement, where)
        if (
            requirement in {"R06", "R07"}
            and base is not None
            and answer is not None
            and own is None
        ):
            same = _said(base.body) == _said(answer.body)
            found.note(requirement, [] if same else ["other cards than without it"], where)


def _call(
    ask: Ask, found: Findings, path: str, body: Mapping[str, Any], requirement: str, where: str
) -> Answer | None:
    answer = ask("POST", path, body, {})
    said = f"{path}, {where}"
    refused = (
        requirement in {"R52", "R53", "R54"} and answer.status == 412
    )  # data that it needs were not there
    found.note(
        requirement, [] if answer.status == 200 or refused else [f"status {answer.status}"], said
    )
    _check_json(found, answer, said)
    if answer.status != 200:
        return None
    for name, check in CARDS.items():
        found.note(name, list(check(answer.body)), said)
    return answer


def _said(body: Any) -> list[tuple[str, str]]:
    cards = body.get("cards") if isinstance(body, dict) else None
    return sorted(
        (str(c.get("indicator")), str(c.get("summary"))) for c in cards or () if isinstance(c, dict)
    )


def variations(plain: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(requirement, what is tried, body): each of them a call that a client may make."""
    context = plain["context"]
    yield "R06", "an extension", {**plain, "extension": {"org.example.probe": {"a": 1}}}
    yield (
        "R07",
        "unknown context members",
        {**plain, "context": {**context, "orgExampleProbe": [{"a": 1}]}},
    )
    for user in ("Practitioner/p1", "PractitionerRole/r1", "Patient/p"):
        yield (
            "R39",
            f"userId {user.partition('/')[0]}",
            {**plain, "context": {**context, "userId": user}},
        )
    bare = {"resourceType": "MedicationRequest", "id": "d1", "status": "draft", "intent": "order"}
    yield "R43", "an order without medication", with_drafts(plain, [bare])
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "exception"}],
    }
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    for requirement, what, value in (
        ("R52", "null", None),
        ("R53", "an outcome", outcome),
        ("R54", "an empty Bundle", empty),
    ):
        yield (
            requirement,
            f"prefetch of {what}",
            {**plain, "prefetch": dict.fromkeys(plain["prefetch"], value)},
        )
    yield (
        "R56",
        "an unknown prefetch key",
        {**plain, "prefetch": {**plain["prefetch"], "orgExample": empty}},
    )


def with_drafts(plain: Mapping[str, Any], drafts: list[dict[str, Any]]) -> dict[str, Any]:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": d} for d in drafts],
    }
    context = {
        k: (bundle if k in {"draftOrders", "medications"} else v)
        for k, v in plain["context"].items()
    }
    return {**plain, "context": context}


def _errors(ask: Ask, found: Findings, path: str, hook: str) -> None:
    plain = call(hook)
    for name in ("hook", "hookInstance", "context"):
        for what, wrong in (
            ("without", {k: v for k, v in plain.items() if k != name}),
            ("null", {**plain, name: None}),
        ):
            _refusal(ask, found, "R31", ("POST", path, wrong, {}), {400, 422}, f"{what} {name}")
    _refusal(ask, found, "R31", ("POST", path, b'{"hook":', {}), {400, 422}, "broken JSON")
    _refusal(ask, found, "R31", ("POST", path, b"[]", {}), {400, 422}, "a list")
    _refusal(ask, found, "R30", ("GET", path, None, {}), {404, 405}, "GET")
    plain_text = {"Content-Type": "text/plain"}
    _refusal(
        ask,
        found,
        "R30",
        ("POST", path, json.dumps(plain).encode(), plain_text),
        {400, 406, 415, 422},
        "text/plain",
    )


def _refusal(
    ask: Ask, found: Findings, requirement: str, asked: tuple[str, str, Any, Mapping[str, str]],
    right: set[int], where: str,
) -> None:  # fmt: skip
    answer = ask(*asked)
    said = f"{asked[1]}, {where}"
    found.note(requirement, [] if answer.status in right else [f"status {answer.status}"], said)
    if answer.status >= 400 and asked[0] != "GET":
        _check_json(found, answer, said)
        is_outcome = (
            isinstance(answer.body, dict) and answer.body.get("resourceType") == "OperationOutcome"
        )
        found.note("R96", [] if is_outcome else ["no OperationOutcome"], said)


def _preflight(ask: Ask, found: Findings, path: str, origin: str) -> None:
    answer = ask("OPTIONS", path, None, {"Origin": origin, "Access-Control-Request-Method": "POST",
                                         "Access-Control-Request-Headers": "authorization,content-type"})  # fmt: skip
    allowed = answer.headers.get("access-control-allow-headers", "").lower()
    right = answer.status < 300 and answer.headers.get("access-control-allow-origin") in {
        origin,
        "*",
    }
    headers = "*" in allowed or {"authorization", "content-type"} <= {
        h.strip() for h in allowed.split(",")
    }
    found.note(
        "R140", [] if right and headers else [f"status {answer.status}, headers {allowed!r}"], path
    )


# --- the plain call ---------------------------------------------------------------------------------------------------


def call(hook: str) -> dict[str, Any]:
    """Naltrexone drafted for a patient who takes oxycodone: a call that few interaction services pass over."""
    drafts = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "resource": order(
                    "d1", "draft", "1483744", "naltrexone hydrochloride 50 MG Oral Tablet"
                )
            }
        ],
    }
    listed = order("m1", "active", "1049621", "oxycodone hydrochloride 5 MG Oral Tablet")
    context: dict[str, Any] = {"userId": "Practitioner/p1", "patientId": "p", "encounterId": "e"}
    if hook != "patient-view":
        context["medications" if hook.startswith("medication") else "draftOrders"] = drafts
    if hook == "order-select":
        context["selections"] = ["MedicationRequest/d1"]
    return {
        "hook": hook, "hookInstance": str(uuid.UUID(int=7, version=4)), "context": context,
        "prefetch": {"patient": {"resourceType": "Patient", "id": "p", "birthDate": "1974-03-14"},
                     "medicationRequests": {"resourceType": "Bundle", "type": "searchset", "total": 1,
                                            "entry": [{"resource": listed}]}},
    }  # fmt: skip


def order(ref: str, status: str, code: str, name: str) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", "id": ref, "status": status, "intent": "order",
            "subject": {"reference": "Patient/p"},
            "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": code, "display": name}], "text": name}}  # fmt: skip
