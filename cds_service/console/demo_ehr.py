"""The EHR of a story, in the demo profile only: so that the planner opens from a card with the story's patient.

A SMART authorization server that lets everybody in and a FHIR server that reads one invented record. It keeps nothing: a
code and a token are words that say which story is meant, and nothing can be written.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as Redirect

from cds_service.console.pages import Desk
from cds_service.console.stories import Story, all_stories
from cds_service.errors import BadRequest, NotFound
from cds_service.fhir.releases import profile_of
from cds_service.fhir.values import as_dict, as_list, as_text
from cds_service.model import Release

FHIR_JSON = "application/fhir+json"
_LONGEST = 1_000
_LOOPBACK = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?\Z")
_KINDS = (
    "MedicationRequest MedicationStatement MedicationDispense MedicationAdministration Condition"
)
_LIST = profile_of(Release.R4)
_SCOPE = " ".join(["launch", *(f"patient/{kind}.read" for kind in ("Patient", *_KINDS.split()))])


def serves(desk: Desk) -> bool:
    """Only where nobody is a patient and the planner takes launchers of this machine as they come."""
    settings = desk.settings
    at_home = _LOOPBACK.match(settings.base_url)
    return settings.is_demo and not settings.smart.issuers and at_home is not None


def launch_query(story: str, app_context: str, desk: Desk) -> str:
    """What an EHR adds to the address of a SMART link; "" where there is no EHR to launch from."""
    if not serves(desk) or story not in all_stories() or len(app_context) > _LONGEST:
        return ""
    word = base64.urlsafe_b64encode(app_context.encode()).decode().rstrip("=") or "none"
    return "?" + urlencode({"iss": _iss(story, desk), "launch": word})


def add_demo_ehr(console: Blueprint, desk: Desk) -> None:
    """Discovery, authorization, token and reading below ``/play/ehr/<story>``."""
    if not serves(desk):
        return
    root = "/play/ehr/<story_id>"

    @console.get(f"{root}/fhir/.well-known/smart-configuration")
    def demo_smart(story_id: str) -> Response:
        home = _iss(_story(story_id).id, desk).removesuffix("/fhir")
        return _json(
            {
                "authorization_endpoint": f"{home}/authorize",
                "token_endpoint": f"{home}/token",
                "code_challenge_methods_supported": ["S256"],
                "capabilities": ["launch-ehr", "permission-v1"],
            }
        )

    @console.get(f"{root}/fhir/metadata")
    def demo_metadata(story_id: str) -> Response:
        _story(story_id)
        return _json({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})

    @console.get(f"{root}/authorize")
    def demo_authorize(story_id: str) -> Redirect:
        _story(story_id)
        back, launch = f"{desk.settings.base_url}/smart/callback", request.args.get("launch", "")
        if request.args.get("redirect_uri") != back or len(launch) > 2 * _LONGEST:
            raise BadRequest("This EHR of a story sends nobody elsewhere.")
        said = {"code": launch or "none", "state": request.args.get("state", "")[:_LONGEST]}
        return redirect(f"{back}?{urlencode(said)}", 302)

    @console.post(f"{root}/token")
    def demo_token(story_id: str) -> Response:
        record = _record(story_id, desk)
        return _json(
            {
                "access_token": "an-invented-patient",
                "token_type": "Bearer",
                "expires_in": 3600,
                "scope": _SCOPE,
                "patient": as_text(as_dict(record.get("context")).get("patientId")),
                **_app_context(request.form.get("code", "")),
            }
        )

    @console.get(f"{root}/fhir/<kind>")
    @console.post(f"{root}/fhir/<kind>/_search")
    def demo_search(story_id: str, kind: str) -> Response:
        record = _record(story_id, desk)
        if kind == _LIST.order and _LIST.order_key not in record["prefetch"]:
            raise NotFound("The list of this story cannot be had.")
        found = [r for r in _resources(record) if r.get("resourceType") == kind]
        entries = [{"resource": resource} for resource in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        return _json({**bundle, "entry": entries} if entries else bundle)

    @console.get(f"{root}/fhir/<kind>/<name>")
    def demo_read(story_id: str, kind: str, name: str) -> Response:
        wanted = (kind, name)
        for resource in _resources(_record(story_id, desk)):
            if wanted == (resource.get("resourceType"), resource.get("id")):
                return _json(resource)
        raise NotFound("This record does not hold it.")


def _iss(story: str, desk: Desk) -> str:
    return f"{desk.settings.base_url}/play/ehr/{story}/fhir"


def _story(story_id: str) -> Story:
    if story_id not in all_stories():
        raise NotFound("There is no such story.")
    return all_stories()[story_id]


def _record(story_id: str, desk: Desk) -> dict[str, Any]:
    return _story(story_id).body("R4", "order-select", "2.0", desk.today)


def _resources(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for answer in map(as_dict, as_dict(record.get("prefetch")).values()):
        if answer.get("resourceType") == "Bundle":
            found += [as_dict(as_dict(e).get("resource")) for e in as_list(answer.get("entry"))]
        elif answer:
            found.append(answer)
    return found


def _app_context(code: str) -> dict[str, str]:
    """What the card handed to the app, as an EHR hands it on."""
    try:
        text = base64.urlsafe_b64decode(code[: 2 * _LONGEST] + "==").decode()
    except (binascii.Error, ValueError):
        return {}
    return {"appContext": text} if text.startswith("{") else {}


def _json(body: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(body), content_type=FHIR_JSON)
