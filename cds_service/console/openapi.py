"""Every endpoint that is served here as OpenAPI 3.1: the hooks with the JSON Schemas that the service itself checks by."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from werkzeug.routing import Map, Rule

from cds_service.hooks.services import SERVICES

Json = dict[str, Any]

JSON, HTML, FORM = "application/json", "text/html", "application/x-www-form-urlencoded"
_SCHEMAS = {
    "Request": "request",
    "Response": "response",
    "Feedback": "feedback",
    "Discovery": "discovery",
    "OperationOutcome": "operation-outcome",
}
_PART = re.compile(r"<(?:[a-z]+(?:\([^)]*\))?:)?([a-z_]+)>")
# What each endpoint is for; one that is not listed is called by its name.
SUMMARIES: Mapping[str, str] = {
    "hooks.discover": "The services, their hooks and what they ask for as prefetch",
    "hooks.call": "Judge the orders of a call and answer with cards",
    "hooks.feedback": "Say what was done with cards; durable when it is answered",
    "ops.alive": "Does the process answer?",
    "ops.start_up": "Was everything loaded once?",
    "ops.ready": "May calls be sent here?",
    "ops.version": "The versions of program, content, tables and rules",
    "ops.scrape": "Prometheus metrics",
    "console.home": "What this is",
    "console.rules": "The rules",
    "console.rule": "The transparency sheet of a rule; with .json as data",
    "console.look": "The style sheet of the console",
    "console.static": "Scripts of the console",
    "console.play": "The playground",
    "console.send": "Send a story without script",
    "console.story_request": "A story as a whole hook call",
    "console.draw": "Cards as an EHR draws them",
    "console.edit": "An order with what was changed in the form",
    "console.pressed_suggestion": "An order with a suggestion applied",
    "console.drugs": "Names of medicines that begin alike",
    "console.demo_read": "A resource of an invented patient, for the planner of the demo",
    "console.demo_search": "Resources of an invented patient, for the planner of the demo",
    "console.why": "The timeline of a call",
    "console.ask": "The timeline of a call that was pasted",
    "console.live": "The timeline with a date that was dragged",
    "console.formulary": "What a name or code is taken for",
    "console.connect": "Settings, token and statement checked",
    "console.docs": "The documents, searched",
    "console.document": "One document",
    "console.openapi": "This description",
    "console.use": "How the service is used",
    "console.use_events": "Single events without a person",
    "console.use_csv": "Counts as CSV",
    "smart.static": "Scripts of the planner",
    "smart.look": "The style sheet of the planner",
    "smart.launch": "SMART launch",
    "smart.callback": "The EHR's authorization comes back",
    "smart.keys": "The planner's public keys",
    "smart.plan": "The plan of a session",
    "smart.update": "The plan with other answers",
    "smart.preview": "The plan with answers that are not kept",
    "smart.diary": "The diary of a course",
    "smart.change_course": "Hold, step back or stop a course",
    "smart.write": "Write drafts to the chart",
    "smart.result": "What was written",
    "smart.retry": "Write again what failed",
    "smart.cancel": "Cancel drafts that were written",
    "smart.handout": "The patient's handout",
    "smart.file": "The plan as FHIR",
    "smart.leave": "Ask whether to end the session",
    "smart.end": "End the session",
}


def describe(served: Map, base_url: str, version: str) -> Json:
    """The description of what this map of routes serves."""
    paths: dict[str, Json] = {}
    for rule in sorted(served.iter_rules(), key=lambda r: r.rule):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path = paths.setdefault(_PART.sub(r"{\1}", rule.rule), {})
            path[method.lower()] = _operation(rule, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Naltrexone safety",
            "version": version,
            "description": "CDS Hooks service for naltrexone safety. Pages are described by their addresses only.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "clientToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _operation(rule: Rule, method: str) -> Json:
    name, special = rule.endpoint, _SPECIAL.get(rule.endpoint)
    found: Json = {
        "operationId": f"{name}.{method.lower()}",
        "tags": [name.partition(".")[0]],
        "summary": SUMMARIES.get(name) or name.partition(".")[2].replace("_", " "),
        **({"parameters": params} if (params := list(_parameters(rule.rule))) else {}),
    }
    if special is not None:
        return {**found, **special()}
    body = {"requestBody": {"content": {FORM: {"schema": {"type": "object"}}}}}
    return {**found, **(body if method == "POST" else {}), "responses": _page_answers()}


def _parameters(path: str) -> Iterator[Json]:
    for name in _PART.findall(path):
        schema: Json = {"type": "string", "minLength": 1}
        if name == "service_id":
            schema["enum"] = sorted(SERVICES)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _page_answers() -> Json:
    any_kind: Json = {kind: {} for kind in (HTML, JSON, "text/css", "text/javascript", "text/csv")}
    return {
        "200": {"description": "A page, or what it is made of", "content": any_kind},
        "302": {"description": "Elsewhere on this service, or at the EHR"},
        "303": {"description": "Elsewhere on this service"},
        "4XX": {"description": "Refused", "content": {JSON: _outcome(), HTML: {}}},
        "503": {"description": "Not now", "content": {JSON: _outcome(), HTML: {}}},
    }


# --- JSON ---------------------------------------------------------------------------------------------------------------


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _outcome() -> Json:
    return {"schema": _ref("OperationOutcome")}


def _answers(schema: Json, refusals: Iterable[int], said: str = "Answered") -> Json:
    refused = {
        str(status): {"description": _REFUSALS[status], "content": {JSON: _outcome()}}
        for status in refusals
    }
    return {"200": {"description": said, "content": {JSON: {"schema": schema}}}, **refused}


_REFUSALS = {
    400: "The body breaks JSON or the CDS Hooks contract",
    401: "The token is missing or refused",
    404: "There is no such service",
    405: "Another method",
    412: "No order of the call can be identified",
    413: "The body is too large",
    415: "Not JSON, or compressed",
    429: "Too many calls in a minute",
    503: "Not now",
}
_OF_A_CALL = (400, 401, 404, 412, 413, 415, 429, 503)
_MAYBE_SIGNED: Json = {"security": [{}, {"clientToken": []}]}


def _discover() -> Json:
    return {**_MAYBE_SIGNED, "responses": _answers(_ref("Discovery"), (401, 429, 503))}


def _posted(body: str, answer: Json) -> Json:
    content = {JSON: {"schema": _ref(body)}}
    return {
        **_MAYBE_SIGNED,
        "requestBody": {"required": True, "content": content},
        "responses": _answers(answer, _OF_A_CALL),
    }


def _probe() -> Json:
    words = {"type": "object", "additionalProperties": {"type": "string"}}
    answer = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"type": "string"}, "checks": words},
    }
    busy = {"description": "Not now", "content": {JSON: {"schema": answer}}}
    return {"responses": {**_answers(answer, ()), "503": busy}}


def _words() -> Json:
    return {
        "responses": _answers({"type": "object", "additionalProperties": {"type": "string"}}, ())
    }


def _metrics() -> Json:
    return {"responses": {"200": {"description": "Metrics", "content": {"text/plain": {}}}}}


def _described() -> Json:
    return {"responses": _answers({"type": "object", "required": ["openapi", "paths"]}, ())}


_SPECIAL = {
    "hooks.discover": _discover,
    "hooks.call": lambda: _posted("Request", _ref("Response")),
    "hooks.feedback": lambda: _posted("Feedback", {"type": "object"}),
    "ops.alive": _probe,
    "ops.start_up": _probe,
    "ops.ready": _probe,
    "ops.version": _words,
    "ops.scrape": _metrics,
    "console.openapi": _described,
}


@cache
def _schemas() -> Json:
    """The service's own schemas, with references that hold inside one document."""
    folder = resources.files("cds_service.hooks").joinpath("schema")
    found = {
        name: json.loads(folder.joinpath(f"{file}.schema.json").read_text(encoding="utf-8"))
        for name, file in _SCHEMAS.items()
    }
    names = {schema.get("$id", ""): name for name, schema in found.items()}
    return {
        name: {
            key: _moved(value, name, names)
            for key, value in schema.items()
            if key not in {"$id", "$schema"}
        }
        for name, schema in found.items()
    }


def _moved(node: Any, own: str, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_moved(one, own, names) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _target(value, own, names) if key == "$ref" else _moved(value, own, names)
        for key, value in node.items()
    }


def _target(ref: str, own: str, names: Mapping[str, str]) -> str:
    place, _, inside = ref.partition("#")
    return f"#/components/schemas/{names.get(place, own) if place else own}{inside}"
