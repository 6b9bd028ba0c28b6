"""Requirements R27, R108 and R120 to R129 on who may call, as far as they can be seen without HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.auth.client_auth import ALGORITHMS
from cds_service.errors import Unauthorized
from cds_service.settings import SettingsError, check
from tests.security.keys import (
    BASE,
    ENDPOINT,
    ISSUER,
    JWKS_URL,
    KID,
    NOW,
    Entrance,
    PublishedAt,
    claims,
    ehr,
    jwk,
    key_set,
    settings,
    sign,
    token,
)

DISCOVERY = f"{BASE}/cds-services"
FEEDBACK = f"{ENDPOINT}/feedback"


def test_CR027_token_for_discovery_names_the_discovery_url(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path)
    named = (DISCOVERY, f"{DISCOVERY}/", ENDPOINT, BASE)
    said = [entrance.says(token(aud=aud, jti=aud), DISCOVERY) for aud in named]
    assert ["admitted", "admitted", "audience", "audience"] == said


@pytest.mark.parametrize("aud", [FEEDBACK, ENDPOINT, [FEEDBACK, ENDPOINT]])
def test_CR108_token_for_feedback_names_the_feedback_or_the_service_url(
    tmp_path: Path, aud: object
) -> None:
    assert "admitted" == Entrance(tmp_path).says(token(aud=aud), FEEDBACK, ENDPOINT)


def test_CR108_token_for_feedback_of_another_service_is_refused(tmp_path: Path) -> None:
    other = token(aud=f"{BASE}/cds-services/other/feedback")
    assert "audience" == Entrance(tmp_path).says(other, FEEDBACK, ENDPOINT)


def test_CR120_call_without_a_token_is_refused(tmp_path: Path) -> None:
    assert "no-token" == Entrance(tmp_path).answers([])


def test_CR120_production_without_clients_does_not_start() -> None:
    with pytest.raises(SettingsError, match=r"at least one \[\[clients\]\]"):
        check(type(settings())(profile="production", public_base_url=BASE))


@pytest.mark.parametrize("alg", ["none", "HS256", "HS384", "HS512"])
def test_CR121_unsigned_and_shared_secret_algorithms_are_never_accepted(
    tmp_path: Path, alg: str
) -> None:
    forged = sign({"alg": alg, "kid": KID}, json.dumps(claims()).encode())
    assert "algorithm" == Entrance(tmp_path).says(forged)


def test_CR122_issuer_and_jku_must_be_on_the_list(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path)
    said = [
        entrance.says(token()),
        entrance.says(token(iss="https://stranger.example")),
        entrance.says(token(header={"jku": "https://stranger.example/jwks.json"})),
    ]
    assert (["admitted", "issuer", "jku"], [JWKS_URL]) == (said, entrance.web.fetched)


@pytest.mark.parametrize(
    ("aud", "said"),
    [
        (ENDPOINT, "admitted"),
        (f"{ENDPOINT}/", "admitted"),
        (["https://x.example", ENDPOINT], "admitted"),
        (f"{BASE}/cds-services/other", "audience"),
        (BASE, "audience"),
        (ENDPOINT[:-3], "audience"),
        (ENDPOINT.replace(BASE, "https://evil.example"), "audience"),
        (ENDPOINT.replace("https:", "http:"), "audience"),
        (ENDPOINT.replace(BASE, f"{BASE}:8443"), "audience"),
    ],
)
def test_CR123_aud_is_the_endpoint_called(tmp_path: Path, aud: object, said: str) -> None:
    assert said == Entrance(tmp_path).says(token(aud=aud))


@pytest.mark.parametrize("endpoint", [ENDPOINT, f"{ENDPOINT}/"])
def test_CR123_one_trailing_slash_makes_no_difference(tmp_path: Path, endpoint: str) -> None:
    assert "admitted" == Entrance(tmp_path).says(token(), endpoint)


@pytest.mark.parametrize("missing", ["iss", "aud", "exp", "iat", "jti"])
def test_CR124_each_of_five_claims_is_required(tmp_path: Path, missing: str) -> None:
    assert Entrance(tmp_path).says(token(**{missing: None})) != "admitted"


def test_CR124_token_shaped_like_epics_is_accepted(tmp_path: Path) -> None:
    kid = "d3bmZ0+/x.H+A8w2Cz1k4G0="
    epic = token(
        "RSA-2048", alg="RS384", header={"kid": kid}, sub=ISSUER, nbf=NOW - 300, exp=NOW + 900
    )
    web = PublishedAt({JWKS_URL: key_set(jwk("RSA-2048", kid=kid))})
    assert "admitted" == Entrance(tmp_path, web=web).says(epic)


def test_CR124_sub_is_not_looked_at(tmp_path: Path) -> None:
    """Version 1.0 prints one, its own table of claims does not."""
    assert "admitted" == Entrance(tmp_path).says(token(sub="client_id"))


def test_CR125_checks_come_in_the_recommended_order(tmp_path: Path) -> None:
    """Each token mends the first fault of the one before: iss, aud, exp, tenant, signature, jti."""
    faults: dict[str, Any] = {"iss": "x", "aud": BASE, "exp": NOW + 9_000, "tenant": "x", "jti": ""}
    entrance, said = Entrance(tmp_path, ehr(tenants=("north",))), []
    for mended in ("iss", "aud", "exp", "tenant"):
        said.append(entrance.says(token(number=1, **faults)))
        faults = {**faults, mended: {"tenant": "north"}.get(mended, claims().get(mended))}
    said += [entrance.says(token(number=1, **faults)), entrance.says(token(**faults))]
    assert ["issuer", "audience", "lifetime", "tenant", "signature", "jti"] == said


def test_CR125_token_is_accepted_once(tmp_path: Path) -> None:
    entrance, once = Entrance(tmp_path), token()
    assert ["admitted", "replayed", "replayed"] == [entrance.says(once) for _ in range(3)]


def test_CR126_every_refusal_is_the_same(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, ehr(tenants=("north",)))
    headers = [
        [],
        ["Bearer x"],
        ["Basic x"],
        *(
            [f"Bearer {wrong}"]
            for wrong in (
                token(iss="x"),
                token(aud="x"),
                token(exp=NOW),
                token(),
                token(tenant="north", number=1),
                token(tenant="north", jti=""),
                token(tenant="north", header={"typ": "x"}),
                token(tenant="north", header={"kid": "x"}),
                token(tenant="north", header={"jku": "x"}),
            )
        ),
    ]
    refusals, reasons = set(), set()
    for values in headers:
        with pytest.raises(Unauthorized) as refused:
            entrance.authentication.admit(values, [ENDPOINT])
        error = refused.value
        reasons.add(error.reason)
        refusals.add((error.status, error.message, error.expression, tuple(error.headers.items())))
    assert [(401, (("WWW-Authenticate", "Bearer"),))] == [
        (status, given) for status, _, _, given in refusals
    ]
    assert len(reasons) > 8


def test_CR127_refusal_and_its_reason_quote_nothing_of_the_token(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path)
    canary = token(
        iss="CANARY", aud="CANARY", jti="CANARY", tenant="CANARY", header={"kid": "CANARY"}
    )
    with pytest.raises(Unauthorized) as refused:
        entrance.authentication.admit([f"Bearer {canary}"], [ENDPOINT])
    assert (None, None) == (refused.value.__context__, refused.value.__cause__)
    assert "CANARY" not in f"{refused.value!r}{refused.value.message}{refused.value.reason}"


def test_CR127_caller_names_client_tenant_and_jti_for_the_audit(tmp_path: Path) -> None:
    caller = Entrance(tmp_path).authentication.admit(
        [f"Bearer {token(tenant='north')}"], [ENDPOINT]
    )
    assert (ISSUER, "north", "jti-1") == (caller.client.issuer, caller.tenant, caller.jti)


@pytest.mark.parametrize(
    ("key", "alg", "said"),
    [
        ("P-384", "ES384", "admitted"),
        ("RSA-2048", "RS384", "admitted"),
        ("P-256", "ES256", "algorithm"),
        ("RSA-2048", "RS256", "algorithm"),
        ("P-521", "ES512", "algorithm"),
        ("RSA-2048", "PS384", "algorithm"),
    ],
)
def test_CR128_recommended_algorithms_are_accepted_unless_told_otherwise(
    tmp_path: Path, key: str, alg: str, said: str
) -> None:
    web = PublishedAt({JWKS_URL: key_set(jwk(key))})
    assert said == Entrance(tmp_path, web=web).says(token(key, alg=alg))
    wider = Entrance(tmp_path, web=web, algorithms=(*ALGORITHMS, alg))
    assert "admitted" == wider.says(token(key, alg=alg, jti="jti-2"))


@pytest.mark.parametrize("where", ["url", "file", "jku"])
def test_CR129_keys_come_from_a_url_a_file_or_a_listed_jku(tmp_path: Path, where: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(key_set())
    client = {
        "url": ehr(),
        "file": ehr(jwks_url="", jwks_file=str(file)),
        "jku": ehr(jwks_url="", jku=(JWKS_URL,)),
    }
    sent = token(header={"jku": JWKS_URL}) if where == "jku" else token()
    assert "admitted" == Entrance(tmp_path, client[where]).says(sent)


def test_CR129_rotated_key_is_accepted_after_one_refetch(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path)
    entrance.says(token())
    entrance.web.documents[JWKS_URL] = key_set(jwk(), jwk(number=1, kid="new"))
    said = [entrance.says(token(number=1, header={"kid": "new"}, jti=f"new {n}")) for n in range(3)]
    assert (["admitted"] * 3, 2) == (said, len(entrance.web.fetched))
