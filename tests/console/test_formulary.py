"""``/formulary``: whatever is typed is answered as the hooks would take it, and stays out of addresses and logs."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cds_service import terminology
from cds_service.app import create_app
from cds_service.console.formulary import _ROLES, look_up
from cds_service.model import Role
from cds_service.settings import Settings
from tests.conftest import AS_OF


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("data")))
    return create_app(settings, now=lambda: AS_OF).test_client()


@pytest.mark.parametrize(
    ("typed", "verdict", "says"),
    [
        ("OxyNorm", "An opioid or an antagonist", "oxycodone"),
        ("1049621", "An opioid or an antagonist", "a code of RxNorm"),
        ("N02AA05", "An opioid or an antagonist", "a code of ATC"),
        ("metformin", "Known as another medicine", "another drug"),
        ("oxycodoen", "Only a guess", "oxycodone"),
        ("xyzzyline", "Not known", "names.csv"),
        ("???", "Names no medicine", "names.csv"),
        ("モルヒネ", "An opioid or an antagonist", "morphine"),
    ],
)
def test_it_says_what_a_name_or_code_is_taken_for(
    web: FlaskClient, typed: str, verdict: str, says: str
) -> None:
    page = web.post("/formulary", data={"name": typed}).text
    assert verdict in page
    assert says in page


def test_every_role_has_its_words() -> None:
    assert set(Role) == set(_ROLES)


def test_a_code_that_two_systems_know_is_read_twice() -> None:
    found = list(look_up("7804", terminology.load()))
    assert ["a code of RxNorm"] == [entry.read_as for entry in found]


@pytest.mark.parametrize(
    "typed", ["<script>alert(1)</script>", "{{7*7}}", "x" * 100_000, "\0\ud800".encode("utf-8", "replace").decode(), ""]
)  # fmt: skip
def test_what_is_typed_stays_inert(web: FlaskClient, typed: str) -> None:
    answer = web.post("/formulary", data={"name": typed})
    assert answer.status_code in {200, 413}
    assert "<script" not in answer.text
    assert "49" not in answer.text.partition('value="')[2].partition('"')[0]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"name=%ff%fe", b"{}"])
def test_whatever_is_posted_is_answered(web: FlaskClient, body: bytes) -> None:
    for kind in ("application/x-www-form-urlencoded", "application/json", "multipart/form-data"):
        assert web.post("/formulary", data=body, content_type=kind).status_code < 500


def test_a_name_in_the_address_is_not_read(web: FlaskClient) -> None:
    assert "OxyNorm&#34;" not in web.get("/formulary?name=OxyNorm").text
    assert 'value=""' in web.get("/formulary?name=OxyNorm").text


def test_production_has_it_only_where_it_is_named(tmp_path) -> None:
    common = {"profile": "production", "auth": "off", "public_base_url": "https://c.example.org"}
    without = create_app(Settings(data_dir=str(tmp_path), **common), now=lambda: AS_OF)
    named = create_app(Settings(data_dir=str(tmp_path), console=("formulary",), **common))
    assert 404 == without.test_client().get("/formulary").status_code
    assert 200 == named.test_client().get("/formulary").status_code
