"""Decode one hook call: what of the CDS Hooks envelope must hold, and where each client version puts things.

Only what makes an answer impossible is refused (400); every other oddity is read as absent (conformance R31-R45, N12, N19).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.errors import BadRequest
from cds_service.fhir.bundle import Unpacked, unpack
from cds_service.fhir.values import as_dict, as_list, as_text, texts
from cds_service.hooks.services import CONFIGURATION, SERVED_HOOKS, Service
from cds_service.hooks.versions import shows_version_2

_ID = re.compile(r"[A-Za-z0-9\-._]{1,64}")
_LONGEST_HOOK_INSTANCE = 128


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One call, decoded. ``orders`` is what the context drafts; ``selections`` is None where every order counts."""

    service: Service
    hook: str
    hook_instance: str
    patient_id: str
    encounter_id: str
    orders: Unpacked
    selections: frozenset[str] | None
    prefetch: Mapping[str, Any] = field(repr=False)
    fhir_server: str = ""
    fhir_authorization: Mapping[str, Any] = field(default_factory=dict, repr=False)
    configuration: Mapping[str, Any] = field(default_factory=dict)  # PDDI-CDS configuration items
    speaks_2: bool = False  # whether the call shows that the client speaks CDS Hooks 2.0 or later
    user_id: str = field(
        default="", repr=False
    )  # as sent; recorded as a keyed hash, and only where a site allows it


def decode(body: object, service: Service) -> HookRequest:
    """The call in ``body`` to ``service``; raises BadRequest naming the member that is missing or wrong."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    hook = _required_text(body, "hook")
    instance = _required_text(body, "hookInstance")
    if len(instance) > _LONGEST_HOOK_INSTANCE:
        raise BadRequest("hookInstance is too long.", expression=("hookInstance",))
    context = body.get("context")
    if not isinstance(context, dict):
        raise BadRequest("context must be an object.", expression=("context",))
    if hook not in SERVED_HOOKS:
        raise BadRequest("This service does not serve that hook.", expression=("hook",))
    return HookRequest(
        service=service,
        hook=hook,
        hook_instance=instance,
        patient_id=_patient_id(context, body),
        encounter_id=_bare_id(context.get("encounterId"), "Encounter", "context.encounterId"),
        orders=_orders(context),
        selections=_selections(context, hook, service),
        prefetch=as_dict(body.get("prefetch")),
        fhir_server=as_text(body.get("fhirServer")),
        fhir_authorization=as_dict(body.get("fhirAuthorization")),
        configuration=_configuration(body),
        speaks_2=shows_version_2(body),
        user_id=as_text(context.get("userId")).strip(),
    )


def _configuration(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the request asks of us (PDDI-CDS ``configuration-items``): code -> value."""
    items = [as_dict(item) for item in as_list(as_dict(body.get("extension")).get(CONFIGURATION))]
    return {item["code"]: item.get("value") for item in items if isinstance(item.get("code"), str)}


def _required_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{name} must be a non-empty string.", expression=(name,))
    return value


def _patient_id(context: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """``context.patientId``; the 2018 shape with ``patient`` at the root is read where the context has none."""
    where = "context.patientId" if context.get("patientId") is not None else "patient"
    return _bare_id(
        context.get("patientId") if where == "context.patientId" else body.get("patient"),
        "Patient",
        where,
    )


def _bare_id(value: object, kind: str, where: str) -> str:
    """A FHIR id without its type; "" where there is no text; BadRequest for text that could not be one (R40, T1)."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    bare = as_text(value).removeprefix(f"{kind}/")
    if bare and (not _ID.fullmatch(bare) or bare.strip(".") == ""):
        raise BadRequest(f"{where} is not a FHIR id.", expression=(where,))
    return bare


def _orders(context: Mapping[str, Any]) -> Unpacked:
    """Orders from wherever the hook's version keeps them: a Bundle, an array, or a resource alone."""
    found = Unpacked()
    for name in ("draftOrders", "medications", "orders"):
        if context.get(name) is not None:
            part = unpack(context[name])
            found.entries += part.entries
            found.outcomes += part.outcomes
            found.unreadable += part.unreadable
    return found


def _selections(context: Mapping[str, Any], hook: str, service: Service) -> frozenset[str] | None:
    """What the clinician selected; None = every order counts (other hooks, or nothing said, R41)."""
    if "order-select" not in {hook, service.hook}:
        return None
    return frozenset(texts(context.get("selections"))) or None
