"""What an integration engineer asks before the first call: are these settings, this token, this server's statement right,
and what mends each fault. Nothing is fetched and nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey

from cds_service.auth.client_auth import explain_token
from cds_service.auth.jwks import KeysUnavailableError, PublishedKey, read_keys
from cds_service.fhir.releases import ORDER_SEARCHES
from cds_service.hooks.profiles import PROFILES, UNDATED
from cds_service.hooks.services import SERVICES, discovery
from cds_service.settings import Client, Settings, complaints

THROW_AWAY = "https://throw-away.example.org"
_BEARER = "bearer "
_CURES = {  # by the name of the rule
    "form": "Paste the whole token: header, claims and signature with two dots, without quotes or line breaks.",
    "header": "Give a kid that stands in your key set, typ JWT, and none of the members that carry keys.",
    "algorithm": "Sign with ES384 or RS384.",
    "issuer": "Set iss to the issuer of a [[clients]] table letter for letter, or add such a table here.",
    "audience": "Set aud to the URL that is called, with the public base URL of this service.",
    "times": "Make a new token for each call: exp at most an hour after iat, both in seconds, clocks in step.",
    "tenant": "Name a tenant that the client's table lists, or leave tenants out of the table.",
    "keys": "Publish the public key under this kid at jwks_url, or put the set into jwks_file.",
    "signature": "Sign with the private half of the key that is published under this kid.",
    "jti": "Give each token a jti of its own, at most 255 characters.",
}
_NEEDED = {  # searches by patient; what is lost without each
    "MedicationStatement": "what the patient reports taking",
    "MedicationDispense": "what the pharmacy handed out, and for how long",
    "MedicationAdministration": "what was given on the ward, depots above all",
    "Condition": "pregnancy, liver, opioid use, hospice",
    "Encounter": "whether care is urgent",
    "Observation": "opioid screens and liver tests (profile full)",
    "Procedure": "depots and opioid treatment by billing code (profile full)",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``verdict`` is pass, fail or not checked; ``cure`` says what to do about a fault."""

    name: str
    verdict: str
    why: str
    cure: str = ""


class NoKeys:
    """No page of ours makes a call to elsewhere: keys are those that were pasted, if any."""

    def __init__(self, pasted: bytes = b"") -> None:
        self._pasted = pasted

    def find(self, _where: str, kid: str) -> tuple[PublishedKey, ...]:
        """The pasted keys of this kid; KeysUnavailableError where none were pasted."""
        if not self._pasted.strip():
            raise KeysUnavailableError("not-fetched")
        return tuple(key for key in read_keys(self._pasted) if key.kid == kid)


def profiles() -> tuple[tuple[str, int, int, str], ...]:
    """Each prefetch profile: its name, how many searches a service asks for, the bytes of its discovery, what it hides."""
    return tuple(
        (
            name,
            max(len(service.prefetch_for(name)) for service in SERVICES.values()),
            len(orjson.dumps(discovery(profile=name))),
            profile.unseen or "nothing",
        )
        for name, profile in PROFILES.items()
    )


# --- settings -----------------------------------------------------------------------------------------------------------


def build_settings(form: Mapping[str, str]) -> tuple[str, list[Check]]:
    """The TOML of a production site with this one client, and what would keep it from starting."""
    client = Client(
        issuer=_line(form, "issuer"),
        name=_line(form, "client"),
        jwks_url=_line(form, "jwks_url"),
        fhir_bases=tuple(form.get("fhir_bases", "").split()),
        prefetch_profile=_profile(form),
        null_means_unknown=bool(form.get("null_means_unknown")),
    )
    base = _line(form, "public_base_url")
    settings = Settings(profile="production", public_base_url=base, clients=(client,))
    found = [
        Check(
            "settings", "fail", line, "Correct this value; docs/settings.md says what is allowed."
        )
        for line in complaints(settings)
    ]
    return "\n".join(_toml(base, client)), found or [Check("settings", "pass", "it would start")]


def _profile(form: Mapping[str, str]) -> Any:
    """One of the profiles that a client may have."""
    return named if (named := form.get("prefetch_profile", "")) in PROFILES else UNDATED


def _toml(base: str, client: Client) -> Iterator[str]:
    yield 'profile = "production"'
    yield f"public_base_url = {_text(base)}"
    yield "trusted_proxy = true"
    yield ""
    yield "[[clients]]"
    for name in ("name", "issuer", "jwks_url"):
        if value := getattr(client, name):
            yield f"{name} = {_text(value)}"
    yield f"fhir_bases = [{', '.join(map(_text, client.fhir_bases))}]"
    yield f"prefetch_profile = {_text(client.prefetch_profile)}"
    if client.null_means_unknown:
        yield "null_means_unknown = true"
    yield ""


def _text(value: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def _line(form: Mapping[str, str], name: str) -> str:
    return " ".join(form.get(name, "")[:2_000].split())


# --- token --------------------------------------------------------------------------------------------------------------


def check_token(pasted: str, keys: str, settings: Settings, now: float) -> list[Check]:
    """What each rule of the service says of a token; its signature only where its key set was pasted too."""
    token = pasted.strip()
    if token[: len(_BEARER)].lower() == _BEARER:
        token = token[len(_BEARER) :]
    source = NoKeys(keys.encode("utf-8", "replace"))
    return list(_cured(explain_token(token, settings, source, now, _urls(settings))))


def _cured(rules: Iterable[Any]) -> Iterator[Check]:
    for rule in rules:
        cure = _CURES.get(rule.name, "") if rule.verdict != "pass" else ""
        yield Check(rule.name, rule.verdict, rule.why, cure)


def _urls(settings: Settings) -> tuple[str, ...]:
    called = [f"{settings.base_url}/cds-services/{name}" for name in SERVICES]
    return (f"{settings.base_url}/cds-services", *called, *(f"{url}/feedback" for url in called))


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A token that was signed with a key made for it, and what every rule says of it."""

    token: str
    jwks: str
    checks: tuple[Check, ...]


def sign_test_call(url: str, settings: Settings, now: float, jti: str) -> SignedCall:
    """A good token for one call of ``url``, as an EHR would make it. The private key is gone when this returns."""
    key = ECKey.generate_key("P-384", {"kid": "throw-away", "use": "sig", "alg": "ES384"})
    claims = {"iss": THROW_AWAY, "aud": url, "iat": int(now), "exp": int(now) + 300, "jti": jti}
    token = jwt.encode(
        {"alg": "ES384", "kid": "throw-away", "typ": "JWT"}, claims, key, algorithms=["ES384"]
    )
    jwks = json.dumps({"keys": [key.as_dict(private=False)]}, indent=1)
    known = replace(settings, clients=(Client(THROW_AWAY, jwks_url=f"{THROW_AWAY}/jwks.json"),))
    checks = _cured(explain_token(token, known, NoKeys(jwks.encode()), now, (url,)))
    return SignedCall(token, jwks, tuple(checks))


# --- statement ----------------------------------------------------------------------------------------------------------


def check_statement(pasted: str) -> list[Check]:
    """What a FHIR server's CapabilityStatement says about the reads that this service would make."""
    try:
        statement = orjson.loads(pasted)
    except orjson.JSONDecodeError:
        statement = None
    if not isinstance(statement, dict) or statement.get("resourceType") not in (
        "CapabilityStatement",
        "Conformance",
    ):
        why = "this is no CapabilityStatement as JSON"
        return [Check("statement", "fail", why, "Paste the answer of GET [base]/metadata.")]
    rest = _dicts(statement.get("rest"))
    offered = {
        str(found.get("type")): {str(p.get("name")) for p in _dicts(found.get("searchParam"))}
        for server in rest
        for found in _dicts(server.get("resource"))
    }
    return [
        _release(statement.get("fhirVersion")),
        _orders(offered),
        *(_search(kind, lost, offered) for kind, lost in _NEEDED.items()),
        _security(rest),
    ]


def _release(version: object) -> Check:
    said = str(version)[:20] if version is not None else "not stated"
    if said.startswith(("1.0", "3.0", "4.0", "4.3", "5.0")):
        return Check("release", "pass", f"FHIR {said}")
    cure = "Ask the EHR for DSTU2, STU3, R4, R4B or R5; others are read as R4."
    return Check("release", "fail", f"FHIR version {said}", cure)


def _orders(offered: Mapping[str, set[str]]) -> Check:
    there = [kind for kind in dict.fromkeys(ORDER_SEARCHES.values()) if kind in offered]
    if any("patient" in offered[kind] or not offered[kind] for kind in there):
        return Check("orders", "pass", f"{' and '.join(there)} by patient")
    cure = "Without it every draft is answered with a could-not-check card, unless prefetch has it."
    return Check(
        "orders", "fail", "MedicationRequest (or MedicationOrder) by patient is missing", cure
    )


def _search(kind: str, lost: str, offered: Mapping[str, set[str]]) -> Check:
    if kind in offered and (kind == "Encounter" or not offered[kind] or "patient" in offered[kind]):
        return Check(kind, "pass", "offered")
    return Check(kind, "not offered", f"unseen then: {lost}", "Send it as prefetch where you can.")


def _security(rest: list[dict[str, Any]]) -> Check:
    text = json.dumps([server.get("security") for server in rest])
    if "oauth" in text.lower():
        return Check("security", "pass", "OAuth endpoints or SMART are stated")
    cure = "The planner needs SMART App Launch; hook calls need fhirAuthorization or prefetch."
    return Check("security", "not stated", "no OAuth endpoint and no SMART", cure)


def _dicts(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
