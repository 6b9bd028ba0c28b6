"""Every number has a range, kept from both sides; every setting a meaning, in docs/settings.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cds_service.settings import Client, Limits, Settings, Smart, SmartIssuer, complaints, load
from cds_service.settings.reference import reference
from cds_service.settings.shape import schema
from tests.conftest import ROOT

EHR = Client(issuer="https://ehr.example.org/fhir", name="ehr")
APP = SmartIssuer(client_id="planner")
WHOLE = Settings(clients=(EHR,), smart=Smart({"https://ehr.example.org/fhir": APP}))


def declared() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind of table, name, declaration) of every setting."""
    whole = schema()
    for kind, node in {"Settings": whole, **whole["$defs"]}.items():
        yield from ((kind, name, each) for name, each in node["properties"].items())


NUMBERS = [(kind, name, each) for kind, name, each in declared() if each.get("type") == "integer"]


def changed(kind: str, name: str, value: Any) -> Settings:
    """WHOLE with one setting of that kind of table changed."""
    if kind == "Settings":
        return replace(WHOLE, **{name: value})
    if kind == "Client":
        return replace(WHOLE, clients=(replace(EHR, **{name: value}),))
    assert kind == "Limits"
    return replace(WHOLE, limits=replace(Limits(), **{name: value}))


def test_there_are_numbers_and_the_plain_settings_have_no_complaint() -> None:
    assert len(NUMBERS) > 8
    assert [] == complaints(WHOLE)


@pytest.mark.parametrize(
    ("kind", "name", "each"), NUMBERS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_number_has_a_range_and_one_beyond_it_is_refused_by_name(
    kind: str, name: str, each: dict[str, Any]
) -> None:
    low, high = each["minimum"], each["maximum"]
    assert 0 <= low <= each["default"] <= high
    assert [[], []] == [complaints(changed(kind, name, value)) for value in (low, high)]
    for value in (low - 1, high + 1, -4, 10**30):
        [said] = complaints(changed(kind, name, value))
        assert re.search(rf"\b{name}:? must be between {low} and {high}$", said)


@pytest.mark.parametrize("value", ["1", 1.5, True, None, [1]])
@pytest.mark.parametrize(
    ("kind", "name", "each"), NUMBERS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_number_is_read_from_anything_else(
    kind: str, name: str, each: dict[str, Any], value: Any
) -> None:
    [said] = complaints(changed(kind, name, value))
    assert re.search(rf"\b{name}:? must be a whole number$", said)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://cds@db/cds",
        "postgresql+psycopg2://db/cds",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "db",
        "cds@db/cds",
        "file:///tmp/x",
        "http://db/cds",
        "://",
        "sqlite://host/file",
    ],
)
def test_a_database_that_no_driver_of_ours_opens_is_refused(url: str) -> None:
    assert [
        "database_url: must be sqlite:///file or postgresql://user@host/database"
    ] == complaints(replace(WHOLE, database_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://cds@db/cds",
        "postgresql+psycopg://cds:x@db:5433/cds?sslmode=require",
        "postgres:///cds",
        "sqlite:////var/lib/cds/store.sqlite3",
        "sqlite:///var/store",
    ],
)
def test_the_databases_that_the_store_opens_are_taken(url: str) -> None:
    from cds_service.store.database import parse_url

    assert [] == complaints(replace(WHOLE, database_url=url))
    assert parse_url(url).get_backend_name() in {"sqlite", "postgresql"}


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        ((), (), True),
        ((), ("a",), True),
        (("a", "b"), ("b",), True),
        (("a",), ("b",), False),
    ],
)
def test_one_client_per_issuer_and_tenant(
    one: tuple[str, ...], other: tuple[str, ...], refused: bool
) -> None:
    twins = (replace(EHR, name="one", tenants=one), replace(EHR, name="other", tenants=other))
    said = ["clients[other]: shares issuer and tenant with clients[one]"] if refused else []
    assert said == complaints(replace(WHOLE, clients=twins))
    assert [] == complaints(
        replace(WHOLE, clients=(twins[0], replace(twins[1], issuer="https://b.example")))
    )


def test_every_setting_says_what_it_means() -> None:
    assert [] == [
        (kind, name)
        for kind, name, each in declared()
        if not each.get("description", "").endswith(".")
    ]


def test_the_reference_in_docs_is_the_one_that_is_made_now() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert reference() == written, "run: naltrexone-cds check --reference > docs/settings.md"
    assert [] == [name for _, name, _ in declared() if f"| `{name}` |" not in written]


@pytest.mark.parametrize("page", ["docs/operations/README.md", "docs/settings.md"])
def test_every_settings_file_in_the_documents_can_be_used(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "settings.toml"
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        file.write_text(block, encoding="utf-8")
        assert "production" == load(str(file), {}).profile
    assert blocks
