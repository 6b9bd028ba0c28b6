"""The table of conformance T3: which tokens are let in, and for which reason each other one is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from cds_service.auth.client_auth import ALGORITHMS
from cds_service.auth.jwks import read_keys
from cds_service.store.schema import jwt_seen
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
    part,
    private_jwk,
    private_key,
    public_pem,
    sign,
    token,
)

EPIC_KID = "d3bmZ0+/x.H+A8w2Cz1k4G0="
SPECIFICATION: dict[str, Any] = json.loads(
    (Path(__file__).parent / "specification_tokens.json").read_text()
)


def publishing(*keys: dict[str, Any]) -> PublishedAt:
    return PublishedAt({JWKS_URL: key_set(*keys)})


# What is let in


@pytest.mark.parametrize(("key", "alg"), [("P-384", "ES384"), ("RSA-2048", "RS384")])
def test_CT03_the_two_recommended_algorithms_are_accepted(
    tmp_path: Path, key: str, alg: str
) -> None:
    assert "admitted" == Entrance(tmp_path, web=publishing(jwk(key))).says(token(key, alg=alg))


def test_CT03_token_shaped_like_epics_is_accepted(tmp_path: Path) -> None:
    """RS384, 900 s, nbf five minutes back, a sub and a kid full of punctuation."""
    epic = token(
        "RSA-2048", alg="RS384", header={"kid": EPIC_KID}, sub=ISSUER, nbf=NOW - 300, exp=NOW + 900
    )
    assert "admitted" == Entrance(tmp_path, web=publishing(jwk("RSA-2048", kid=EPIC_KID))).says(
        epic
    )


def test_CT03_token_shaped_like_infernos_is_accepted(tmp_path: Path) -> None:
    """A listed jku in the header and 64 hexadecimal characters as jti."""
    inferno = token(header={"jku": JWKS_URL}, jti="0123456789abcdef" * 4)
    assert "admitted" == Entrance(tmp_path, ehr(jwks_url="", jku=(JWKS_URL,))).says(inferno)


@pytest.mark.parametrize(
    "aud", [ENDPOINT, [ENDPOINT], ["https://x.example", ENDPOINT], f"{ENDPOINT}/"]
)
def test_CT03_aud_that_names_the_endpoint_is_accepted(tmp_path: Path, aud: object) -> None:
    assert "admitted" == Entrance(tmp_path).says(token(aud=aud))


@pytest.mark.parametrize("typ", ["JWT", "jwt", None])
def test_CT03_typ_jwt_or_none_is_accepted(tmp_path: Path, typ: str | None) -> None:
    assert "admitted" == Entrance(tmp_path).says(token(header={"typ": typ}))


def test_CT03_scheme_is_read_in_any_case(tmp_path: Path) -> None:
    assert "admitted" == Entrance(tmp_path).answers([f"bearer {token()}"])


def test_CT03_clock_of_the_sandbox_may_be_ahead(tmp_path: Path) -> None:
    """The sandbox rounds iat up, so its tokens come from the future by half a second."""
    assert "admitted" == Entrance(tmp_path).says(token(iat=NOW + 0.5, exp=NOW + 300.5))


# Algorithms and keys


@pytest.mark.parametrize(
    "alg", ["none", "None", "nOnE", "", None, 5, "HS256", "HS384", "RS512", "ES256K"]
)
def test_CT03_algorithm_outside_the_list_is_refused(tmp_path: Path, alg: object) -> None:
    head = {"alg": alg, "typ": "JWT", "kid": KID}
    forged = sign(head, json.dumps(claims()).encode())
    assert "algorithm" == Entrance(tmp_path).says(forged)


def test_CT03_token_without_alg_is_refused(tmp_path: Path) -> None:
    assert "algorithm" == Entrance(tmp_path).says(sign({"kid": KID}, json.dumps(claims()).encode()))


def test_CT03_unsigned_token_is_refused(tmp_path: Path) -> None:
    unsigned = jwt.encode(claims(), None, algorithm="none", headers={"kid": KID})
    assert "form" == Entrance(tmp_path).says(unsigned)


@pytest.mark.parametrize(("alg", "digest"), [("HS256", hashlib.sha256), ("HS384", hashlib.sha384)])
@pytest.mark.parametrize("secret", [public_pem(), json.dumps(jwk()).encode()], ids=["pem", "jwk"])
def test_CT03_public_key_is_no_shared_secret(
    tmp_path: Path, alg: str, digest: Any, secret: bytes
) -> None:
    signed = (
        part(json.dumps({"alg": alg, "kid": KID}).encode())
        + b"."
        + part(json.dumps(claims()).encode())
    )
    forged = signed + b"." + part(hmac.new(secret, signed, digest).digest())
    assert "algorithm" == Entrance(tmp_path).says(forged.decode())


@pytest.mark.parametrize(("alg", "key"), [("RS384", "P-384"), ("ES384", "RSA-2048")])
def test_CT03_algorithm_that_does_not_fit_the_key_is_refused(
    tmp_path: Path, alg: str, key: str
) -> None:
    signer = "RSA-2048" if alg == "RS384" else "P-384"
    assert "unfit-key" == Entrance(tmp_path, web=publishing(jwk(key))).says(token(signer, alg=alg))


@pytest.mark.parametrize(
    "published",
    [
        jwk("RSA-2048", alg="RS256"),
        jwk("RSA-2048", use="enc"),
        jwk("RSA-2048", key_ops=["encrypt"]),
        jwk("RSA-2048", key_ops="verify"),
        private_jwk("RSA-2048"),
        jwk("RSA-2048", n="AQAB"),
        jwk("RSA-2048", n=None),
        jwk("RSA-2048", n=5),
        jwk("RSA-2048", alg=5),
        jwk("RSA-2048", kty=["RSA"]),
        jwk("RSA-2048", kty="oct"),
    ],
    ids=[
        "alg",
        "use",
        "key_ops",
        "key_ops no list",
        "private",
        "short",
        "no n",
        "n no text",
        "alg no text",
        "kty no text",
        "oct",
    ],
)
def test_CT03_rsa_key_unfit_for_signatures_is_refused(
    tmp_path: Path, published: dict[str, Any]
) -> None:
    assert "unfit-key" == Entrance(tmp_path, web=publishing(published)).says(
        token("RSA-2048", alg="RS384")
    )


def test_CT03_rsa_key_of_1024_bits_is_refused(tmp_path: Path) -> None:
    public = private_key("RSA-1024").public_key().public_numbers()
    modulus = base64.urlsafe_b64encode(public.n.to_bytes(128, "big")).rstrip(b"=").decode()
    web = publishing({"kty": "RSA", "kid": KID, "n": modulus, "e": "AQAB"})
    assert "unfit-key" == Entrance(tmp_path, web=web).says(token("RSA-2048", alg="RS384"))


@pytest.mark.parametrize(
    "published",
    [
        jwk("P-256"),
        jwk("P-521"),
        jwk(alg="ES256"),
        jwk(use="enc"),
        private_jwk(),
        jwk(crv="secp256k1"),
        jwk(x="AAAA"),
        jwk(y=None),
    ],
    ids=["P-256", "P-521", "alg", "use", "private", "curve", "no point", "no y"],
)
def test_CT03_elliptic_key_unfit_for_es384_is_refused(
    tmp_path: Path, published: dict[str, Any]
) -> None:
    assert "unfit-key" == Entrance(tmp_path, web=publishing(published)).says(token())


def test_CT03_key_with_the_matching_alg_is_accepted(tmp_path: Path) -> None:
    web = publishing(jwk(alg="ES384", use=None, key_ops=["verify"]))
    assert "admitted" == Entrance(tmp_path, web=web).says(token())


@pytest.mark.parametrize("order", [1, -1])
def test_CT03_of_two_keys_with_one_kid_either_may_have_signed(tmp_path: Path, order: int) -> None:
    web = publishing(*[jwk(), jwk(number=1), jwk("RSA-2048")][::order])
    assert "admitted" == Entrance(tmp_path, web=web).says(token(number=1))


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "' OR 1=1 --", "k" * 3_000, "\ud800", "k\r\nX: y", "💊"]
)
def test_CT03_odd_kid_finds_its_key_or_nothing(tmp_path: Path, kid: str) -> None:
    entrance = Entrance(tmp_path, web=publishing(jwk(), jwk(number=1, kid=kid)))
    assert "admitted" == entrance.says(token(number=1, header={"kid": kid}))
    assert "unknown-key" == entrance.says(token(number=1, header={"kid": kid + "x"}, jti="jti-2"))


@pytest.mark.parametrize("kid", ["", 5, ["a"], None])
def test_CT03_token_that_names_no_key_is_refused(tmp_path: Path, kid: object) -> None:
    head = {"alg": "ES384", "kid": kid}
    assert Entrance(tmp_path).says(sign(head, json.dumps(claims()).encode())) in {"header", "form"}


def test_CT03_signature_of_another_key_is_refused(tmp_path: Path) -> None:
    assert "signature" == Entrance(tmp_path).says(token(number=1))


def test_CT03_changed_claims_are_refused(tmp_path: Path) -> None:
    head, _, signature = token().split(".")
    changed = part(json.dumps(claims(exp=NOW + 3_000)).encode()).decode()
    assert "signature" == Entrance(tmp_path).says(f"{head}.{changed}.{signature}")


@pytest.mark.parametrize("signature", ["AA", "A" * 128, "A" * 500])
def test_CT03_nonsense_as_signature_is_refused(tmp_path: Path, signature: str) -> None:
    assert "signature" == Entrance(tmp_path).says(token().rpartition(".")[0] + "." + signature)


# Claims


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("iss", "issuer"),
        ("aud", "audience"),
        ("exp", "time-claim"),
        ("iat", "time-claim"),
        ("jti", "jti"),
    ],
)
def test_CT03_each_required_claim_is_required(tmp_path: Path, missing: str, reason: str) -> None:
    assert reason == Entrance(tmp_path).says(token(**{missing: None}))


@pytest.mark.parametrize("jti", ["", "j" * 256, 5, ["a"], {"a": 1}, False])
def test_CT03_jti_is_a_text_of_1_to_255_characters(tmp_path: Path, jti: object) -> None:
    assert "jti" == Entrance(tmp_path).says(token(jti=jti))


@pytest.mark.parametrize("jti", ["j", "j" * 255, "\ud800", "'; DROP TABLE jwt_seen; --"])
def test_CT03_any_such_text_is_a_jti(tmp_path: Path, jti: str) -> None:
    assert "admitted" == Entrance(tmp_path).says(token(jti=jti))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    [
        str(NOW),
        1e30,
        float("inf"),
        float("-inf"),
        float("nan"),
        -1,
        True,
        [NOW],
        {},
        10**4000,
    ],
)
def test_CT03_time_that_is_no_plain_number_is_refused(
    tmp_path: Path, claim: str, value: object
) -> None:
    """Booleans, texts, Infinity, NaN and numbers after the year 9999 are no times."""
    assert "time-claim" == Entrance(tmp_path).says(token(**{claim: value}))


def test_CT03_number_too_long_to_read_is_refused(tmp_path: Path) -> None:
    payload = json.dumps(claims()).replace(str(NOW + 300), "9" * 5_000).encode()
    assert "form" == Entrance(tmp_path).says(sign({"alg": "ES384", "kid": KID}, payload))


@pytest.mark.parametrize(
    ("lifetime", "said"),
    [
        (3_600, "admitted"),
        (3_601, "lifetime"),
        (631_000_000, "lifetime"),
        (0, "lifetime"),
        (-1, "lifetime"),
    ],
)
def test_CT03_token_lives_an_hour_at_most(tmp_path: Path, lifetime: int, said: str) -> None:
    assert said == Entrance(tmp_path).says(token(exp=NOW + lifetime))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"iat": NOW - 300, "exp": NOW - 59}, "admitted"),
        ({"iat": NOW - 300, "exp": NOW - 60}, "expired"),
        ({"iat": NOW + 60, "exp": NOW + 300}, "admitted"),
        ({"iat": NOW + 61, "exp": NOW + 300}, "too-early"),
        ({"nbf": NOW + 60}, "admitted"),
        ({"nbf": NOW + 61}, "too-early"),
    ],
)
def test_CT03_clocks_may_differ_by_a_minute(
    tmp_path: Path, members: dict[str, float], said: str
) -> None:
    assert said == Entrance(tmp_path).says(token(**members))


@pytest.mark.parametrize("hours", [1, -1])
def test_CL17_clock_that_jumps_refuses_tokens_and_recovers(tmp_path: Path, hours: int) -> None:
    entrance = Entrance(tmp_path)
    entrance.clock.forward(hours * 3_600)
    assert ("expired" if hours > 0 else "too-early") == entrance.says(token())
    entrance.clock.forward(-hours * 3_600)
    assert "admitted" == entrance.says(token())


@pytest.mark.parametrize(
    "aud",
    [
        f"{BASE}/cds-services/another-service",
        BASE,
        f"{BASE}/cds-services",
        ENDPOINT.replace("https", "http"),
        ENDPOINT[:-1],
        f"{ENDPOINT}x",
        f"{ENDPOINT}//",
        f"{ENDPOINT}/feedback",
        f"{ENDPOINT}?",
        ENDPOINT.upper(),
        ENDPOINT.replace("cds.example.org", "cds.example.org:443"),
        ENDPOINT.replace("cds.example.org", "evil.example"),
        "",
        [],
        [5],
        [ENDPOINT, 5],
        {"a": ENDPOINT},
        5,
        [[ENDPOINT]],
    ],
)
def test_CT03_aud_that_is_not_the_endpoint_called_is_refused(tmp_path: Path, aud: object) -> None:
    assert "audience" == Entrance(tmp_path).says(token(aud=aud))


def test_CT03_tenant_must_be_one_of_the_clients(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, ehr(tenants=("north", "south")))
    named = ("south", "west", None, ["south"])
    said = [entrance.says(token(tenant=tenant, jti=f"jti {tenant}")) for tenant in named]
    assert ["admitted", "tenant", "tenant", "tenant"] == said


def test_CT03_client_without_tenants_may_name_any(tmp_path: Path) -> None:
    assert "admitted" == Entrance(tmp_path).says(token(tenant="anything"))


def test_CT03_two_tenants_of_one_issuer_are_two_clients(tmp_path: Path) -> None:
    entrance = Entrance(
        tmp_path, ehr(name="north", tenants=("n",)), ehr(name="south", tenants=("s",))
    )
    caller = entrance.authentication.admit([f"Bearer {token(tenant='s')}"], [ENDPOINT])
    assert ("south", "s", "jti-1") == (caller.client.name, caller.tenant, caller.jti)


# Header and form


def test_CT03_another_spelling_of_the_same_bytes_is_refused(tmp_path: Path) -> None:
    """The last character of an RS384 signature has four bits to spare."""
    entrance = Entrance(tmp_path, web=publishing(jwk("RSA-2048")))
    signed = token("RSA-2048", alg="RS384")
    other = signed[:-1] + chr(ord(signed[-1]) + 1)
    assert base64.urlsafe_b64decode(signed.split(".")[2] + "==") == base64.urlsafe_b64decode(
        other.split(".")[2] + "=="
    )
    assert ("signature", "admitted") == (entrance.says(other), entrance.says(signed))


@pytest.mark.parametrize("typ", ["at+jwt", "JOSE", "", 5, ["JWT"], "JWT "])
def test_CT03_other_typ_is_refused(tmp_path: Path, typ: object) -> None:
    assert "header" == Entrance(tmp_path).says(token(header={"typ": typ}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": True},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"jwk": jwk()},
        {"x5u": JWKS_URL},
        {"x5c": ["AAAA"]},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
    ids=str,
)
def test_CT03_header_that_changes_the_reading_is_refused(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    changed = sign({"alg": "ES384", "kid": KID, **header}, json.dumps(claims()).encode())
    assert Entrance(tmp_path).says(changed) in {"header", "form"}


def test_CT03_key_inside_the_token_is_refused(tmp_path: Path) -> None:
    assert "header" == Entrance(tmp_path).says(token(number=1, header={"jwk": jwk(number=1)}))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "a",
        "a.b",
        "..",
        "a.b.c.d",
        "a.b.c.d.e",
        "a.b.",
        ".b.c",
        "é.b.c",
        "a b.c.d",
        "e30.e30.e30=",
        "====.====.====",
        "W10.W10.AA",
        "e30.W10.AA",
        "\ud800.b.c",
        "a.b.c\n",
        "x" * 9_000,
    ],
)
def test_CT03_what_is_no_compact_token_is_refused(tmp_path: Path, wrong: str) -> None:
    assert "form" == Entrance(tmp_path).says(wrong)


def test_CT03_token_longer_than_8_kilobytes_is_refused(tmp_path: Path) -> None:
    entrance, shorter, longer = Entrance(tmp_path), token(x="x" * 5_500), token(x="x" * 6_200)
    assert ("admitted", "form") == (entrance.says(shorter), entrance.says(longer))


def test_CT03_token_inside_a_token_is_refused(tmp_path: Path) -> None:
    nested = sign({"alg": "ES384", "kid": KID, "cty": "JWT"}, token().encode())
    assert "form" == Entrance(tmp_path).says(nested)


@pytest.mark.parametrize(
    "payload", [b"[" * 3_000, b"{}" * 2, b"\xff\xfe", b"", b"null", b'{"iss":']
)
def test_CT03_payload_that_is_no_json_object_is_refused(tmp_path: Path, payload: bytes) -> None:
    assert "form" == Entrance(tmp_path).says(sign({"alg": "ES384", "kid": KID}, payload))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "no-token"),
        ([""], "no-token"),
        (["Bearer"], "form"),
        (["Basic dTpw"], "no-token"),
        ([f"JWT {token()}"], "no-token"),
        ([token()], "no-token"),
        ([f"Bearer  {token()}"], "form"),
        ([f"Bearer\t{token()}"], "no-token"),
        ([f" Bearer {token()}"], "no-token"),
        ([f"Bearer {token()} "], "form"),
        ([f"Bearer {token()}", f"Bearer {token()}"], "many-tokens"),
        ([f"Bearer {token()},Bearer {token()}"], "form"),
    ],
)
def test_CT03_exactly_one_bearer_header_is_read(
    tmp_path: Path, headers: list[str], reason: str
) -> None:
    assert reason == Entrance(tmp_path).answers(headers)


# Who, and where their keys are: decided before any network


@pytest.mark.parametrize(
    "iss",
    [
        "https://x.example",
        f"{ISSUER}/",
        ISSUER.upper(),
        "",
        5,
        [ISSUER],
        {"iss": ISSUER},
        "\ud800",
        None,
    ],
)
def test_CT03_unknown_issuer_is_refused_without_network(tmp_path: Path, iss: object) -> None:
    entrance = Entrance(tmp_path)
    assert ("issuer", []) == (entrance.says(token(iss=iss)), entrance.web.fetched)


@pytest.mark.parametrize(
    "jku",
    [
        "https://evil.example/jwks.json",
        "https://ehr.example.com/other.json",
        "http://ehr.example.com/jwks.json",
        "https://ehr.example.com@evil.example/jwks.json",
        "https://ehr.example.com/jwks.json?x",
        "https://EHR.example.com/jwks.json",
        "https://ehr.example.com:443/jwks.json",
        "file:///etc/passwd",
        "https://ehr.example.com/jwks.json/../jwks.json",
        f"{JWKS_URL}#",
        "",
        5,
        None,
        [JWKS_URL],
    ],
)
@pytest.mark.parametrize(
    "client", [ehr(), ehr(jku=(JWKS_URL,), jwks_url="")], ids=["configured", "listed"]
)
def test_CT03_foreign_jku_is_refused_without_network(
    tmp_path: Path, client: Any, jku: object
) -> None:
    entrance = Entrance(tmp_path, client)
    foreign = sign({"alg": "ES384", "kid": KID, "jku": jku}, json.dumps(claims()).encode())
    assert ("jku", []) == (entrance.says(foreign), entrance.web.fetched)


def test_CT03_jku_of_another_client_is_refused(tmp_path: Path) -> None:
    entrance = Entrance(
        tmp_path,
        ehr(jwks_url="", jku=("https://own.example/keys",)),
        ehr(issuer="https://b.example"),
    )
    assert ("jku", []) == (entrance.says(token(header={"jku": JWKS_URL})), entrance.web.fetched)


def test_CT03_missing_jku_means_the_configured_keys(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, ehr(jku=("https://ehr.example.com/more.json",)))
    assert ("admitted", [JWKS_URL]) == (entrance.says(token()), entrance.web.fetched)


def test_CT03_missing_jku_without_configured_keys_is_refused(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, ehr(jwks_url="", jku=(JWKS_URL,)))
    assert ("no-keys", []) == (entrance.says(token()), entrance.web.fetched)


def test_CT03_pinned_file_is_used_though_a_listed_jku_is_named(tmp_path: Path) -> None:
    pinned = tmp_path / "jwks.json"
    pinned.write_bytes(key_set())
    entrance = Entrance(tmp_path, ehr(jwks_url="", jwks_file=str(pinned), jku=(JWKS_URL,)))
    assert ("admitted", []) == (
        entrance.says(token(header={"jku": JWKS_URL})),
        entrance.web.fetched,
    )


@pytest.mark.parametrize(
    "document",
    [
        OSError("down"),
        b"<html>",
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": []}' + b" " * 300_000,
        b"\xff",
        b"[" * 100_000,
    ],
    ids=[
        "down",
        "html",
        "empty",
        "list",
        "no keys",
        "keys no list",
        "too large",
        "no text",
        "deep",
    ],
)
def test_CT03_key_set_that_cannot_be_had_is_a_refusal(
    tmp_path: Path, document: bytes | Exception
) -> None:
    assert "keys-unavailable" == Entrance(tmp_path, web=PublishedAt({JWKS_URL: document})).says(
        token()
    )


def test_CT03_bad_signature_fetches_the_keys_once(tmp_path: Path) -> None:
    """So it takes no longer than an unknown issuer once the keys are known."""
    entrance = Entrance(tmp_path)
    assert {"signature"} == {entrance.says(token(number=1, jti=str(i))) for i in range(20)}
    assert [JWKS_URL] == entrance.web.fetched


# Replay at the entrance (threads, processes and restarts: test_jwt_replay.py)


def test_CT03_replayed_jwt_is_refused(tmp_path: Path) -> None:
    entrance, once = Entrance(tmp_path), token()
    assert ["admitted", "replayed"] == [entrance.says(once), entrance.says(once)]


def test_CT03_jti_is_remembered_in_another_token_too(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path)
    assert ["admitted", "replayed"] == [entrance.says(token()), entrance.says(token(exp=NOW + 200))]


def test_CT03_same_jti_of_another_issuer_is_accepted(tmp_path: Path) -> None:
    entrance = Entrance(tmp_path, ehr(), ehr(issuer="https://b.example"))
    assert ["admitted", "admitted"] == [
        entrance.says(token()),
        entrance.says(token(iss="https://b.example")),
    ]


def test_CT03_forged_token_uses_up_no_jti(tmp_path: Path) -> None:
    """Else anybody who guesses a jti could lock the EHR out."""
    entrance = Entrance(tmp_path)
    assert ["signature", "admitted"] == [entrance.says(token(number=1)), entrance.says(token())]


@pytest.mark.parametrize("seconds", [0, 200, 359])
def test_CT03_jti_is_remembered_as_long_as_the_token_is_accepted(
    tmp_path: Path, seconds: int
) -> None:
    entrance, once = Entrance(tmp_path), token()
    entrance.says(once)
    entrance.clock.forward(seconds)
    assert "replayed" == entrance.says(once)


def test_CL11_worker_without_its_store_remembers_as_long_as_the_token_is_accepted(
    tmp_path: Path,
) -> None:
    entrance, once = Entrance(tmp_path), token()
    jwt_seen.drop(entrance.store.engine)
    entrance.says(once)
    entrance.clock.forward(359)
    assert "replayed" == entrance.says(once)


# The sandbox and the specification


@pytest.mark.parametrize(("profile", "said"), [("demo", "admitted"), ("production", "issuer")])
def test_CT03_sandbox_is_a_client_in_the_demo_profile_only(
    tmp_path: Path, profile: str, said: str
) -> None:
    """The sandbox's private key is public."""
    sandbox = ehr(issuer="https://sandbox.cds-hooks.org")
    assert said == Entrance(tmp_path, sandbox, profile=profile).says(token(iss=sandbox.issuer))


@pytest.mark.parametrize("version", ["1.0", "1.1", "2.0", "2.0.1", "3.0-draft"])
def test_CT03_token_of_the_specification_verifies_but_lives_too_long(
    tmp_path: Path, version: str
) -> None:
    printed = SPECIFICATION["tokens"][version]
    (key,) = read_keys(json.dumps(SPECIFICATION["jwks"]).encode())
    read = jwt.decode(
        printed,
        key.key.public_key,
        algorithms=["ES384"],
        options={"verify_exp": False, "verify_aud": False},
    )
    assert ("https://fhir-ehr.example.com/", "") == (read["iss"], key.objection("ES384"))

    entrance = Entrance(tmp_path, ehr(issuer=read["iss"]))
    entrance.clock.now = read["iat"] + 1
    assert "lifetime" == entrance.says(printed, read["aud"])


def test_CT03_algorithms_may_be_widened(tmp_path: Path) -> None:
    wider = (*ALGORITHMS, "ES256", "RS256", "ES512", "PS384")
    keys = {"ES256": "P-256", "ES512": "P-521", "RS256": "RSA-2048", "PS384": "RSA-2048"}
    web = publishing(*[jwk(key, kid=alg) for alg, key in keys.items()])
    entrance = Entrance(tmp_path, web=web, algorithms=wider)
    said = {
        alg: entrance.says(token(key, alg=alg, header={"kid": alg}, jti=alg))
        for alg, key in keys.items()
    }
    assert dict.fromkeys(keys, "admitted") == said


@pytest.mark.parametrize("alg", ["none", "HS256", "EdDSA", "RS512"])
def test_CT03_algorithms_may_not_be_widened_to_others(tmp_path: Path, alg: str) -> None:
    with pytest.raises(ValueError, match=alg):
        Entrance(tmp_path, algorithms=(alg,))
