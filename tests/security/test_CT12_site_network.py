"""A production service inside a hospital: its own authority signs the FHIR server and the keys, a proxy leads there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.calls import T1, T5, call, ldn, listed, topics
from tests.connect_proxy import connect_proxy
from tests.fhir_server import serve
from tests.security.ehr import client, run_production
from tests.security.keys import ISSUER, jwk, key_set
from tests.tls import make_site_tls

PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1972-03-04"}
FETCHED = {**call("order-sign", ldn(), meds=None), "fhirServer": ""}


def test_CT12_the_sites_authority_and_proxy_serve_records_and_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, authority = make_site_tls(tmp_path, "localhost")
    monkeypatch.setenv(
        "HTTPS_PROXY", "http://127.0.0.1:9"
    )  # the environment leads nowhere, and is not asked
    with connect_proxy() as proxy, serve([PATIENT, listed()], tls=tls, name="localhost") as fhir:
        fhir.pages["/keys"] = json.loads(key_set(jwk()))
        known = {
            "issuer": ISSUER,
            "jwks_url": f"{fhir.base_url}/keys",
            "fhir_bases": [fhir.base_url],
        }
        with run_production(
            tmp_path, known, ca_file=str(authority), outbound_proxy=proxy.url
        ) as ehr:
            answers = [ehr.call({**FETCHED, "fhirServer": fhir.base_url}) for _ in range(3)]
        assert ["critical"] * 3 == [topics(each.json()["cards"])[T1] for each in answers]
        queries = len([each for each in fhir.seen if each.path != "/fhir/keys"])
        assert (3 * 6, {f"CONNECT 127.0.0.1:{fhir.port}"}) == (queries, set(proxy.asked))
        assert fhir.connections == len(proxy.asked) < queries


def test_CT12_without_the_file_the_server_is_not_trusted_and_the_card_says_so(
    tmp_path: Path,
) -> None:
    tls, _ = make_site_tls(tmp_path, "localhost")
    with serve([PATIENT, listed()], tls=tls, name="localhost") as fhir:
        with run_production(tmp_path, client(tmp_path, fhir_bases=[fhir.base_url])) as ehr:
            answer = ehr.call({**FETCHED, "fhirServer": fhir.base_url})
        assert "warning" == topics(answer.json()["cards"])[T5]
        assert [] == fhir.seen
