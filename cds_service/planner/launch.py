"""Launch of the titration app: from the card in the EHR, from an app list, or with no EHR at all."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cds_service.model import Band
from cds_service.planner.oauth import (
    USER_NAMES,
    AccessToken,
    OauthFailedError,
    Registration,
    scopes,
)
from cds_service.planner.registration import public_keys, registration_toml
from cds_service.planner.services import HaltError, PlannerDesk
from cds_service.planner.sessions import OPEN, OPEN_SECONDS, PENDING, PENDING_SECONDS, new_secret
from cds_service.planner.trouble import TROUBLES
from cds_service.titration.plan import draw, propose
from cds_service.titration.schedules import DEFAULT

LONGEST_PARAMETER = 2_000
LONGEST_CONTEXT = 1_024
_GATES = ("none", "opioid-conflict")
_FHIR_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]{1,64}")
_ID_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-./_")


def add_launch(blueprint: Blueprint, desk: PlannerDesk) -> None:
    """The routes ``/launch``, ``/callback`` and ``/jwks.json``."""

    @blueprint.get("/launch")
    def launch() -> Response | str:
        if "iss" not in request.args and "launch" not in request.args:
            return _about(desk)
        return _start(desk)

    @blueprint.get("/callback")
    def callback() -> Response:
        return _finish(desk)

    @blueprint.get("/jwks.json")
    def keys() -> dict[str, Any]:
        return public_keys(desk.services.oauth.listed.values())


def _about(desk: PlannerDesk) -> str:
    """The page without an EHR: what the planner does, and the default schedule. It names no EHR."""
    edition = desk.edition()
    plan = draw(edition.schedules, propose(edition.schedules, DEFAULT, desk.today()))
    return render_template("smart/about.html", plan=plan)


def _start(desk: PlannerDesk) -> Response:
    """Send the browser to the EHR's sign-in, with everything that must come back kept on the server."""
    registration = _registration(desk, _single("iss"))
    launch = _single("launch", needed=False)
    oauth = desk.services.oauth
    try:
        endpoints = oauth.endpoints(registration)
    except OauthFailedError as failure:
        raise HaltError(failure.why) from None
    browser = desk.browser() or new_secret()
    verifier = secrets.token_urlsafe(48)
    state = desk.services.sessions.begin(
        PENDING,
        browser,
        {
            "iss": registration.iss,
            "token_url": endpoints.token,
            "issuer": endpoints.issuer,
            "verifier": verifier,
            "scope": scopes(registration, endpoints, launch),
        },
        PENDING_SECONDS,
        place=request.remote_addr or "",
    )
    response = redirect(
        oauth.authorization_url(
            registration, endpoints, state=state, verifier=verifier, launch=launch
        ),
        302,
    )
    desk.set_cookie(response, browser)
    return response


def _single(name: str, needed: bool = True) -> str:
    """A query parameter that was given once; HaltError for a repeated, overlong or missing one."""
    values = request.args.getlist(name)
    if (
        len(values) > 1
        or (needed and not values)
        or any(len(v) > LONGEST_PARAMETER for v in values)
    ):
        raise HaltError("bad-launch")
    return values[0] if values else ""


def _registration(desk: PlannerDesk, iss: str) -> Registration:
    """By exact match with the allow-list (one trailing slash aside), before anything is sent anywhere."""
    found = desk.services.oauth.listed.get(iss.removesuffix("/"))
    if found is None:
        shown = readable(iss)
        desk.services.log("smart-issuer-refused", iss=shown, add=registration_toml(shown))
        raise HaltError("unknown-iss", shown)
    return found


def readable(text: object, longest: int = 300) -> str:
    """Untrusted text on one line, without what a log or a page could stumble over."""
    return "".join(c for c in " ".join(str(text).split()) if c.isprintable())[:longest]


def _finish(desk: PlannerDesk) -> Response:
    """Back from the sign-in: the state is used up first, then the code is exchanged where the launch began."""
    browser = desk.browser()
    if not browser:
        raise HaltError("no-cookie")
    pending = desk.services.sessions.take(PENDING, _single("state"), browser)
    if pending is None:
        raise HaltError("bad-state")
    answered_by = _single("iss", needed=False)
    if answered_by and answered_by not in {pending["issuer"], pending["iss"]}:
        raise HaltError("mix-up")
    if "error" in request.args:
        error = _single("error")
        said = readable(": ".join(filter(None, (error, request.args.get("error_description", "")))))
        desk.services.log("smart-sign-in-refused", iss=pending["iss"], said=said)
        raise HaltError(error if error in TROUBLES else "sign-in-error", said)
    token = _exchange(desk, pending)
    context = read_context(token.context.get("appContext"))
    if not _FHIR_ID.fullmatch(token.patient):
        raise HaltError("no-patient")
    if context.get("patient", token.patient) != token.patient:
        raise HaltError("other-patient")
    return _open(desk, pending, token, context)


def _exchange(desk: PlannerDesk, pending: Mapping[str, Any]) -> AccessToken:
    registration = _registration(desk, pending["iss"])
    try:
        return desk.services.oauth.exchange(
            registration, pending["token_url"], _single("code"), pending["verifier"]
        )
    except OauthFailedError as failure:
        said = readable(failure.said)
        desk.services.log("smart-token-refused", iss=registration.iss, why=failure.why, said=said)
        raise HaltError(failure.why if failure.why in TROUBLES else "token-error", said) from None


def _open(
    desk: PlannerDesk, pending: Mapping[str, Any], token: AccessToken, context: Mapping[str, str]
) -> Response:
    """A session for one patient, under a fresh secret of the browser's where it has no other session yet."""
    browser = desk.browser()
    banner = token.context.get("need_patient_banner", True) is not False
    granted = (
        token.scope or pending["scope"]
    )  # left out where it is what was asked for (RFC 6749, 5.1)
    kept = AccessToken(token.access, token.expires_at, granted, token.patient, token.refresh)
    handle = desk.services.sessions.begin(
        OPEN,
        browser,
        {
            "iss": pending["iss"],
            "token_url": pending["token_url"],
            "token": asdict(kept),
            "context": dict(context),
            "banner": banner,
            "key": str(uuid.uuid4()),
            "user": _user(token.context),
        },
        OPEN_SECONDS,
    )
    response = redirect(url_for("smart.plan", handle=handle), 303)
    desk.set_cookie(response, browser)
    return response


def _user(context: Mapping[str, Any]) -> str:
    """Who signed in, as far as the token response names them: kept answers are theirs alone."""
    return next((str(context[name])[:200] for name in USER_NAMES if context.get(name)), "")


def read_context(value: object) -> dict[str, str]:
    """The card's appContext, as text or object, as far as it is what the card could have sent; {} otherwise.

    Untrusted: only an id, a number, two words of fixed lists and a patient id are taken from it.
    """
    if isinstance(value, str) and len(value) <= LONGEST_CONTEXT:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(value, dict):
        return {}
    found = {
        name: text
        for name in ("draft", "band", "gate", "patient")
        if isinstance(text := value.get(name), str)
    }
    if "patient" in found:
        found["patient"] = found["patient"].removeprefix("Patient/")
    readable = {
        "draft": _is_id(found.get("draft", "")),
        "patient": _is_id(found.get("patient", "")),
        "band": found.get("band") in set(Band),
        "gate": found.get("gate") in _GATES,
    }
    kept = {name: text for name, text in found.items() if readable[name]}
    if (dose := _read_dose(value.get("mgPerDay"))) is not None:
        kept["mgPerDay"] = f"{dose.normalize():f}"
    if "patient" in value and "patient" not in kept:
        kept["patient"] = ""  # a patient that cannot be read is not this one
    return kept


def _is_id(text: str) -> bool:
    return 0 < len(text) <= 128 and set(text) <= _ID_LETTERS


def _read_dose(value: object) -> Decimal | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool) or len(str(value)) > 12:
        return None
    try:
        dose = Decimal(str(value))
    except InvalidOperation:
        return None
    return dose if dose.is_finite() and 0 < dose <= 1_000 else None
