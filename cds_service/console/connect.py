"""``/connect``: everything that an integration engineer needs for the first call, on one page.

What is pasted comes in the body of a POST and is kept nowhere; nothing is fetched from elsewhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, render_template, request

from cds_service.console.connect_checks import (
    build_settings,
    check_statement,
    check_token,
    profiles,
    sign_test_call,
)
from cds_service.console.pages import Desk, Page
from cds_service.hooks.profiles import PROFILES
from cds_service.hooks.services import CDS_HOOKS_VERSION, SERVICES

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
BYTES = 2_000_000
ERRORS = (
    ("400", "The body is no JSON, or no hook call", "Read the member that the OperationOutcome names."),
    ("401", "No token, or one that a rule refuses", "Paste the token below; the log has the rule by request id."),
    ("404", "No such service", "Take the id from discovery; each hook has its own."),
    ("405", "Another method", "POST calls and feedback, GET discovery."),
    ("412", "No order of the call can be identified", "Send the orders themselves in context, not only references."),
    ("413", "The body is too large", "Ask for a smaller prefetch profile, or raise limits.body_bytes."),
    ("415", "Not application/json, or compressed", "Set Content-Type and leave Content-Encoding out."),
    ("429", "Too many calls in a minute", "Raise limits.requests_per_minute."),
    ("503", "The store or the client's keys cannot be had", "Try again after Retry-After; /readyz says what is wrong."),
    ("200, could not check", "Prefetch is missing", "Send the prefetch of discovery, or fhirAuthorization."),
)  # fmt: skip


def add_connect(console: Blueprint, desk: Desk) -> None:
    """The page, with the answer to the one form that was sent."""

    @console.route("/connect", methods=["GET", "POST"])
    def connect() -> Response:
        form = _form() if request.method == "POST" else {}
        page = render_template(
            "console/connect.html",
            services=SERVICES.values(),
            cds_hooks=CDS_HOOKS_VERSION,
            profiles=profiles(),
            profile_names=[*PROFILES],
            errors=ERRORS,
            needs_token=desk.settings.auth_mode != "off",
            typed={name: form.get(name, "") for name in _TYPED},
            **_answer(form, desk),
        )
        response = Response(page, mimetype="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        return response


# What is shown again in the fields of a form. Never a token: who reads over a shoulder could use it.
_TYPED = ("issuer", "client", "jwks_url", "fhir_bases", "public_base_url", "prefetch_profile")


def _form() -> Mapping[str, str]:
    request.max_content_length = request.max_form_memory_size = BYTES
    return request.form.to_dict()


def _answer(form: Mapping[str, str], desk: Desk) -> dict[str, Any]:
    """What the form's own button asked for; nothing for any other."""
    now = desk.now().timestamp()
    match form.get("do"):
        case "settings":
            toml, checks = build_settings(form)
            return {"toml": toml, "settings_checks": checks}
        case "token":
            keys, token = form.get("keys", ""), form.get("token", "")
            return {"token_checks": check_token(token, keys, desk.settings, now)}
        case "statement":
            return {"statement_checks": check_statement(form.get("statement", ""))}
        case "call":
            url = f"{desk.settings.base_url}/cds-services/naltrexone-order-sign"
            return {"url": url, "call": sign_test_call(url, desk.settings, now, str(uuid.uuid4()))}
    return {}


CONNECT = Page("connect", "Connect", add_connect)
