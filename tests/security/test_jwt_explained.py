"""A person asks why a token is refused: every rule answers, and agrees with what the service does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.auth.client_auth import Rule, explain_token
from cds_service.auth.jwks import JwksCache, KeySource
from tests.security.keys import ENDPOINT, JWKS_URL, NOW, Entrance, PublishedAt, ehr, settings, token

RULE_NAMES = [
    "form",
    "header",
    "algorithm",
    "issuer",
    "audience",
    "times",
    "tenant",
    "keys",
    "signature",
    "jti",
    "replay",
]


@pytest.fixture
def keys() -> KeySource:
    return JwksCache(PublishedAt())


def explain(wanted: str, keys: KeySource, *endpoints: str) -> dict[str, Rule]:
    return {rule.name: rule for rule in explain_token(wanted, settings(), keys, NOW, endpoints)}


def failing(wanted: str, keys: KeySource) -> list[str]:
    return [
        rule.name for rule in explain(wanted, keys, ENDPOINT).values() if rule.verdict == "fail"
    ]


def test_good_token_passes_every_rule_but_the_one_only_the_service_knows(keys: KeySource) -> None:
    verdicts = {name: rule.verdict for name, rule in explain(token(), keys, ENDPOINT).items()}
    assert {**dict.fromkeys(RULE_NAMES, "pass"), "replay": "not checked"} == verdicts


def test_file_may_end_with_a_line_break(keys: KeySource) -> None:
    assert [] == failing(f"{token()}\n", keys)


def test_explaining_does_not_use_the_token_up(tmp_path: Path, keys: KeySource) -> None:
    entrance, once = Entrance(tmp_path), token()
    explain(once, keys, ENDPOINT)
    assert "admitted" == entrance.says(once)


def test_all_faults_are_named_at_once(keys: KeySource) -> None:
    bad = token(
        number=1, header={"typ": "at+jwt"}, aud="https://other.example", exp=NOW + 90_000, jti=""
    )
    assert ["header", "audience", "times", "jti"] == failing(bad, keys)


def test_rule_that_hangs_on_a_failed_one_is_not_checked(keys: KeySource) -> None:
    rules = explain(token(iss="https://stranger.example"), keys, ENDPOINT)
    unchecked = [name for name, rule in rules.items() if rule.verdict == "not checked"]
    assert ["tenant", "keys", "signature", "replay"] == unchecked


def test_nothing_is_fetched_for_an_unknown_issuer() -> None:
    web = PublishedAt()
    explain(token(iss="https://stranger.example"), JwksCache(web), ENDPOINT)
    assert [] == web.fetched


def test_token_that_cannot_be_read_leaves_the_rest_unchecked(keys: KeySource) -> None:
    verdicts = [rule.verdict for rule in explain("no token", keys, ENDPOINT).values()]
    assert ["fail"] + ["not checked"] * 10 == verdicts


def test_audience_is_not_judged_without_the_url_called(keys: KeySource) -> None:
    why = f"aud is {ENDPOINT!r}; say which URL is called to have it judged"
    assert Rule("audience", "not checked", why) == explain(token(), keys)["audience"]


@pytest.mark.parametrize(
    ("wanted", "name", "why"),
    [
        (
            token(aud="https://other.example"),
            "audience",
            f"aud is 'https://other.example', the URL called is {ENDPOINT}",
        ),
        (token(iat=NOW - 900, exp=NOW - 600), "times", "exp was 600 s ago"),
        (token(iat=None), "times", "iat is missing, not a time in seconds"),
        (token(exp=NOW + 7_200), "times", "exp is 7200 s after iat, accepted are up to 3600 s"),
        (token("RSA-2048", alg="RS256"), "algorithm", "alg is 'RS256', accepted are ES384, RS384"),
        (token(header={"kid": "x"}), "keys", f"there is no key 'x' at {JWKS_URL}"),
        (
            token("RSA-2048", alg="RS384"),
            "keys",
            f"the key at {JWKS_URL} cannot be used: a key of kind EC P-384 does not fit RS384",
        ),
        (token(number=1), "signature", "the signature is not that of the published key"),
        (
            token(header={"jku": "https://evil.example"}),
            "keys",
            "jku is 'https://evil.example', which is not listed for this client",
        ),
    ],
)
def test_fault_is_explained_with_both_sides(
    wanted: str, name: str, why: str, keys: KeySource
) -> None:
    rules = explain(wanted, keys, ENDPOINT)
    assert Rule(name, "fail", why) == rules[name]


def test_long_claims_are_cut(keys: KeySource) -> None:
    rule = explain(token(iss="x" * 5_000), keys, ENDPOINT)["issuer"]
    assert len(rule.why) < 300


@pytest.mark.parametrize(
    "wanted",
    [
        token(),
        token(number=1),
        token(aud="x"),
        token(jti=""),
        token(iss="x"),
        token(exp=NOW),
        token(header={"typ": "x"}),
        token(header={"kid": "x"}),
        "no token",
    ],
)
def test_explanation_and_service_agree(tmp_path: Path, keys: KeySource, wanted: str) -> None:
    assert (Entrance(tmp_path).says(wanted) == "admitted") == (failing(wanted, keys) == [])


def test_keys_that_cannot_be_had_are_named() -> None:
    rules = explain(token(), JwksCache(PublishedAt({JWKS_URL: OSError("down")})), ENDPOINT)
    assert Rule("keys", "fail", f"the keys at {JWKS_URL} cannot be had (no-keys)") == rules["keys"]


def test_sandbox_is_explained_as_a_stranger_in_production() -> None:
    sandbox = ehr(issuer="https://sandbox.cds-hooks.org")
    rules = explain_token(
        token(iss=sandbox.issuer), settings(sandbox), JwksCache(PublishedAt()), NOW
    )
    assert ("issuer", "fail") == (rules[3].name, rules[3].verdict)
