"""Production that asks for a reviewer's signature uses a site's content only as it was signed, and never loses a card."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from cds_service import clinical, signing
from cds_service.__main__ import main
from cds_service.app import create_app
from cds_service.content.loader import Content
from cds_service.journal import versions
from cds_service.settings import ContentReview, Reviewer, Settings
from tests.conformance.calls import T1, call, card_of, ldn, listed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADA, BEN = "Dr. Ada Example, medication safety", "Ben Example, pharmacist"
KEYS = {name: OKPKey.generate_key("Ed25519") for name in (ADA, BEN, "stranger")}
PACKAGED = clinical.load().content
OWN = "summaries: {'ntx-draft/HELD': 'Confirm the last dose of {opioid} with the clinic before {blocker}.'}\n"
TABLES = resources.files("cds_service.terminology") / "data"


@dataclass(frozen=True, slots=True)
class Place:
    """A site: its overlay, drug tables and signature file."""

    folder: Path

    @property
    def own(self) -> Path:
        return self.folder / "own"

    @property
    def tables(self) -> Path:
        return self.folder / "tables"

    @property
    def signatures(self) -> Path:
        return self.folder / "content.jws"

    def settings(self, **changes: Any) -> Settings:
        review = ContentReview(
            True, str(self.signatures), tuple(Reviewer(n, public(n)) for n in (ADA, BEN))
        )
        given = {
            "data_dir": str(self.folder / "var"),
            "content_overlay": str(self.own),
            "content_review": review,
        }
        return Settings(**{**given, "terminology_dir": str(self.tables), **changes})

    def toml(self, settings: Settings) -> Path:
        """The settings as a file, for the commands."""
        review = settings.content_review
        given = {"data_dir": settings.data_dir, "content_overlay": settings.content_overlay}
        given |= {"terminology_dir": settings.terminology_dir}
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        lines += [
            "[content_review]",
            "required = true",
            f"signatures = {json.dumps(review.signatures)}",
        ]
        for each in review.reviewers:
            lines += ["[[content_review.reviewers]]", f"name = {json.dumps(each.name)}"]
            lines += [f"key = {json.dumps(each.key)}"]
        file = self.folder / "settings.toml"
        file.write_text("\n".join(lines), encoding="utf-8")
        return file


def public(name: str) -> str:
    return str(KEYS[name].as_dict(private=False)["x"])


LOADED: dict[tuple[tuple[str, bytes], ...], Content] = {}


def content_of(own: Path) -> Content:
    """The content with this overlay; files that are the same are loaded once."""
    files = tuple((f.name, f.read_bytes()) for f in sorted(own.iterdir()))
    if files not in LOADED:
        LOADED[files] = clinical.load(str(own)).content
    return LOADED[files]


def diff_of(place: Place, **changes: Any) -> bytes:
    """The diff from the packaged content and tables to those of the site, as far as a signature asks."""
    now = versions.digests(content_of(place.own), place.tables if place.tables.exists() else "")
    found = {"old": {"digests": versions.digests(PACKAGED, "")}, "new": {"digests": now}, "changed": True,
             "window": ["2025-11-01", "2026-10-31"], "orders": 402_000, "totals": {"appeared": [3, 5]}}  # fmt: skip
    return json.dumps({**found, **changes}).encode()


def signed(place: Place, name: str = ADA, key: str = "", **changes: Any) -> str:
    said = signing.statement(diff_of(place, **changes), name, "2026-11-25")
    return signing.sign(said, KEYS[key or name])


def told(place: Place, settings: Settings | None = None) -> list[str]:
    """What is complained of, without loading the content again; nothing where it may be used."""
    return signing.complaints(settings or place.settings(), content_of(place.own))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A site whose reviewer has signed what it runs."""
    found = Place(tmp_path)
    found.own.mkdir()
    (found.own / f"{T1}.yaml").write_text(OWN, encoding="utf-8")
    found.tables.mkdir()
    for name in ("products.csv", "names.csv"):
        shutil.copy(str(TABLES / name), found.tables / name)
    found.signatures.write_text("# signed in November\n" + signed(found) + "\n", encoding="ascii")
    return found


def is_used(settings: Settings) -> bool:
    """Whether the site's words are in force; what is refused leaves the packaged words and says why."""
    found = signing.in_force(settings)
    if not found.refused:
        return found.content != PACKAGED
    assert PACKAGED == found.content
    assert found.refused[0].startswith(
        "content_review: no named reviewer has signed the diff to content "
    )
    return False


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_signed_content_is_used(place: Place) -> None:
    assert is_used(place.settings())
    assert [ADA] == [each.reviewer for each in signing.signers(place.settings(), content_of(place.own))]  # fmt: skip


def test_where_nobody_asks_nothing_is_refused(place: Place) -> None:
    place.signatures.unlink()
    assert is_used(place.settings(content_review=ContentReview()))


def test_packaged_content_needs_no_signature(place: Place) -> None:
    found = signing.in_force(Settings(content_review=ContentReview(required=True)))
    assert (PACKAGED, ()) == (found.content, found.refused)


# --- the content, altered after it was signed -------------------------------------------------------------------------

ALTERED: dict[str, Callable[[Place], object]] = {
    "a word": lambda p: (p.own / f"{T1}.yaml").write_text(OWN.replace("clinic", "hospital")),
    "a remark": lambda p: append(p.own / f"{T1}.yaml", "# looks harmless\n"),
    "a space at the end": lambda p: append(p.own / f"{T1}.yaml", " "),
    "a number": lambda p: (p.own / "thresholds.yaml").write_text(
        "long_acting_days: [{from: 2026-11-21, value: 12, sources: [J]}]"
    ),
    "one more file": lambda p: (p.own / "shared.yaml").write_text("{}"),
    "no file": lambda p: (p.own / f"{T1}.yaml").unlink(),
    "a drug table": lambda p: append(p.tables / "names.csv", "\n"),
    "one more drug table": lambda p: (p.tables / "site-codes.txt").write_text("7\n"),
    "no drug tables": lambda p: shutil.rmtree(p.tables),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_is_altered_after_signing_is_not_used(what: str, place: Place) -> None:
    """Every kind of change of content and tables, harmless or not; signed again it is used."""
    ALTERED[what](place)
    settings = place.settings(terminology_dir=str(place.tables) if place.tables.exists() else "")
    refused = signing.in_force(settings).refused
    part = "terminology" if "drug table" in what else "content"
    assert [f"content_review: {ADA} signed other {part} on 2026-11-25"] == [*refused[1:]]
    assert not is_used(settings)
    append(place.signatures, signed(place) + "\n")
    assert () == signing.in_force(settings).refused


def test_the_same_words_in_another_file_are_other_content(tmp_path: Path) -> None:
    found = set()
    for name in (T1, "naltrexone-off-label"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.yaml").write_text("reviewed_by: Dr. Ada Example\n")
        found.add(content_of(tmp_path / name).digest)
    assert 2 == len(found - {PACKAGED.digest})


def test_a_release_with_other_rules_asks_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_rules_digest", lambda: "f" * 64)
    assert f"content_review: {ADA} signed other rules on 2026-11-25" in told(place)
    append(place.signatures, signed(place, BEN) + "\n")
    assert [] == told(place)


# --- the signature ----------------------------------------------------------------------------------------------------


def with_header(place: Place, **header: Any) -> str:
    head, payload, signature = signed(place).split(".")
    said = json.loads(base64.urlsafe_b64decode(head + "=="))
    raw = base64.urlsafe_b64encode(json.dumps({**said, **header}).encode()).decode().rstrip("=")
    return f"{raw}.{payload}.{signature}"


def by_secret(place: Place) -> str:
    """An HMAC with the public key as its secret: what a careless reader would take."""
    said = signing.statement(diff_of(place), ADA, "2026-11-25")
    return jws.serialize_compact({"alg": "HS256"}, json.dumps(said).encode(),
                                 OctKey.import_key(public(ADA)), algorithms=["HS256"])  # fmt: skip


def other_payload(place: Place) -> str:
    head, _, signature = signed(place).split(".")
    return f"{head}.{signed(place, BEN).split('.')[1]}.{signature}"


def unsigned(place: Place) -> str:
    return with_header(place, alg="none").rpartition(".")[0] + "."


def same_version(place: Place) -> str:
    here = versions.digests(content_of(place.own), place.tables)
    said = {**signing.statement(diff_of(place), ADA, "2026-11-25"), "old": here}
    return signing.sign(said, KEYS[ADA])


def signed_as(place: Place, **changes: Any) -> str:
    return signing.sign({**signing.statement(diff_of(place), ADA, "2026-11-25"), **changes}, KEYS[ADA])  # fmt: skip


NOBODY = "no statement that a named reviewer has signed"
WORTHLESS: dict[str, tuple[Callable[[Place], str], str]] = {
    "a stranger's key": (lambda p: signed(p, ADA, "stranger"), NOBODY),
    "a stranger": (lambda p: signed(p, "stranger"), NOBODY),
    "another's name": (lambda p: signed(p, ADA, BEN), f"says {ADA!r}, signed with the key of {BEN}"),
    "an unknown name with a known key": (lambda p: signed(p, "Eve", ADA), "says 'Eve'"),
    "another statement": (other_payload, NOBODY),
    "no algorithm": (unsigned, NOBODY),
    "another algorithm": (lambda p: with_header(p, alg="EdDSA"), NOBODY),
    "a header nobody knows": (lambda p: with_header(p, crit=["exp"]), NOBODY),
    "an HMAC of the public key": (by_secret, NOBODY),
    "a version beside itself": (same_version, "compares a version with itself"),
    "no digests": (lambda p: signed_as(p, new={}), NOBODY),
    "a digest that is no text": (lambda p: signed_as(p, new={"content": 1, "terminology": 2, "rules": 3}), NOBODY),
    "no JSON": (lambda p: jws.serialize_compact({"alg": "Ed25519"}, b"{", KEYS[ADA], algorithms=["Ed25519"]), NOBODY),
    "a list": (lambda p: jws.serialize_compact({"alg": "Ed25519"}, b"[]", KEYS[ADA], algorithms=["Ed25519"]), NOBODY),
    "cut short": (lambda p: signed(p)[:-4], NOBODY),
    "a text": (lambda p: "approved, Ada", NOBODY),
}  # fmt: skip


@pytest.mark.parametrize("what", WORTHLESS)
def test_a_line_that_is_no_named_reviewer_s_counts_for_nothing(what: str, place: Place) -> None:
    """It is told by its line; a sound line beside it still counts."""
    sound = place.signatures.read_text(encoding="ascii")
    line, why = WORTHLESS[what]
    place.signatures.write_text(line(place) + "\n", encoding="ascii")
    first, *rest = told(place)
    assert first.startswith("content_review: no named reviewer has signed the diff to content ")
    assert [True] == [
        said.startswith("content_review: signatures, line 1: ") and why in said for said in rest
    ]
    append(place.signatures, sound)
    assert [] == told(place)


@given(at=st.integers(0, 10_000), letter=st.sampled_from("AQgw_-."))
@hypothesis_settings(max_examples=100, deadline=None)
def test_no_letter_of_a_signature_may_be_another(at: int, letter: str) -> None:
    line = LINE[: at % len(LINE)] + letter + LINE[at % len(LINE) + 1 :]
    found = signing.read_signature(line, [(ADA, signing.public_key(public(ADA)))])
    assert isinstance(found, str) or is_the_same(LINE, line)


def is_the_same(one: str, other: str) -> bool:
    """The last letter of base64 may stand for the same bytes."""

    def padded(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    return [*map(padded, one.split("."))] == [*map(padded, other.split("."))]


SIDES = {side: dict.fromkeys(signing.PARTS, side) for side in ("old", "new")}
LINE = signing.sign({"reviewer": ADA, "signed_on": "2026-11-25", "diff": "d", **SIDES}, KEYS[ADA])


@given(text=st.binary(max_size=300))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_file_at_all_is_read_and_lets_nothing_through(place: Place, text: bytes) -> None:
    place.signatures.write_bytes(text)
    review = place.settings().content_review
    assert all(isinstance(each, str) for each in signing.signatures(review))


REVIEW: dict[str, tuple[Callable[[Place, ContentReview], ContentReview], str]] = {
    "no file": (lambda p, r: replace(r, signatures=str(p.folder / "none.jws")), "read (FileNotFoundError)"),
    "a folder": (lambda p, r: replace(r, signatures=str(p.folder)), "read (IsADirectoryError)"),
    "no name of a file": (lambda p, r: replace(r, signatures=""), "the file cannot be read"),
    "nobody named": (lambda p, r: replace(r, reviewers=()), "reviewers: nobody is named"),
    "the reviewer struck off": (lambda p, r: replace(r, reviewers=r.reviewers[1:]), NOBODY),
    "a key that is none": (lambda p, r: replace(r, reviewers=(Reviewer(ADA, "no key"),)), "has no Ed25519"),
    "half a key": (lambda p, r: replace(r, reviewers=(Reviewer(ADA, public(ADA)[:20]),)), "has no Ed25519"),
    "another's key": (lambda p, r: replace(r, reviewers=(Reviewer(ADA, public(BEN)),)), NOBODY),
    "another's name": (lambda p, r: replace(r, reviewers=(Reviewer(BEN, public(ADA)),)), f"signed with the key of {BEN}"),
}  # fmt: skip


@pytest.mark.parametrize("what", REVIEW)
def test_settings_that_name_no_key_or_file_refuse_the_content_and_not_the_start(
    what: str, place: Place
) -> None:
    change, why = REVIEW[what]
    settings = place.settings(content_review=change(place, place.settings().content_review))
    assert [] != [line for line in told(place, settings)[1:] if why in line]


# --- serve and check --------------------------------------------------------------------------------------------------

SERVED: dict[str, Callable[[Place], object]] = {
    "signed": lambda p: None,
    "unsigned": lambda p: p.signatures.write_text(""),
    "altered": ALTERED["a word"],
    "wrong reviewer": lambda p: p.signatures.write_text(signed(p, ADA, "stranger")),
    "key missing": lambda p: p.signatures.unlink(),
}


@pytest.mark.parametrize("what", SERVED)
def test_serve_answers_in_the_words_that_were_signed_and_says_so(
    what: str, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same card either way; refused: packaged words, degraded, an error in the log, and check says why."""
    SERVED[what](place)
    settings = place.settings(terminology_dir="")
    if what == "signed":
        shutil.rmtree(place.tables)
        place.signatures.write_text(signed_without_tables(place))
    client = create_app(settings, lambda: NOW).test_client()
    body = call("order-sign", ldn(), meds=(listed(status="on-hold"),))
    answer = client.post("/cds-services/naltrexone-order-sign", json=body)
    card = card_of(answer.get_json()["cards"], T1)
    assert (200, "warning") == (answer.status_code, card["indicator"])
    assert ("with the clinic" in card["summary"]) == (what == "signed")
    ready = client.get("/readyz")
    assert 200 == ready.status_code
    said = ready.get_json()["checks"]["content"]
    log = "".join(capfd.readouterr())
    if what == "signed":
        assert ("ok", False) == (said, "content-overlay-refused" in log)
    else:
        assert said.startswith("degraded: content overlay refused")
        assert "no named reviewer has signed the diff" in log


def signed_without_tables(place: Place) -> str:
    now = versions.digests(content_of(place.own), "")
    return signed(place, new={"digests": now})


@pytest.mark.parametrize("what", ["signed", "wrong reviewer"])
def test_check_says_who_signed_or_what_is_missing(
    what: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    SERVED[what](place)
    file = place.toml(place.settings())
    result = CliRunner().invoke(main, ["check", "--settings", str(file)])
    faults = [
        line for line in result.output.splitlines() if line.startswith("FAULT content_review")
    ]
    if what == "signed":
        assert [] == faults
        assert f"ok    content signed by {ADA} on 2026-11-25, diff " in result.output
        return
    assert 1 == result.exit_code
    assert "no named reviewer has signed the diff to content " in faults[0]


def test_drug_tables_alone_are_told_and_stay_in_use(place: Place) -> None:
    """Tables that were taken away could lose a card; without an overlay nothing else is refused."""
    place.signatures.write_text("")
    client = create_app(place.settings(content_overlay=""), lambda: NOW).test_client()
    said = client.get("/readyz").get_json()["checks"]["content"]
    assert said.startswith("degraded: drug tables not signed")
    assert said.endswith("in use all the same")


# --- sign -------------------------------------------------------------------------------------------------------------


def command(*words: object, said: str = "") -> Result:
    return CliRunner().invoke(main, ["sign", *map(str, words)], input=said)


def sign_with(place: Place, key: str) -> list[object]:
    diff = place.folder / "diff.json"
    return [
        "diff",
        diff,
        "--reviewer",
        ADA,
        "--key",
        place.folder / key,
        "--out",
        place.folder / "out.jws",
    ]


def test_a_reviewer_makes_a_key_and_signs(place: Place) -> None:
    made = command("key", "--out", place.folder / "ada.jwk")
    assert (0, 0o600) == (made.exit_code, (place.folder / "ada.jwk").stat().st_mode & 0o777)
    assert 2 == command("key", "--out", place.folder / "ada.jwk").exit_code
    (place.folder / "diff.json").write_bytes(diff_of(place))
    assert 1 == command(*sign_with(place, "ada.jwk"), said="n\n").exit_code
    assert not (place.folder / "out.jws").exists()
    result = command(*sign_with(place, "ada.jwk"), said="y\n")
    assert 0 == result.exit_code, result.output
    assert "402000 orders, 2025-11-01 to 2026-10-31: appeared 3 to 5" in result.output
    reviewers = (Reviewer(ADA, made.output.strip()),)
    review = ContentReview(True, str(place.folder / "out.jws"), reviewers)
    assert [] == told(place, place.settings(content_review=review))


def test_what_is_no_diff_or_no_key_is_not_signed(place: Place) -> None:
    here = {"digests": versions.digests(PACKAGED, "")}
    good = diff_of(place)
    cases = {
        "both sides are the same": diff_of(place, new=here),
        "about no order": diff_of(place, orders=0),
        "no diff of two versions": b"{}",
        "no diff of two": diff_of(place, old={"digests": {}}),
        "no diff": b"no json",
    }
    for name, private in (("key", True), ("public", False)):
        (place.folder / name).write_text(json.dumps(KEYS[ADA].as_dict(private=private)))
    (place.folder / "text").write_text("no key")
    for why, data in cases.items():
        (place.folder / "diff.json").write_bytes(data)
        result = command(*sign_with(place, "key"), "--yes")
        assert (2, True) == (result.exit_code, why in result.output), result.output
    (place.folder / "diff.json").write_bytes(good)
    for name in ("public", "text"):
        result = command(*sign_with(place, name), "--yes")
        assert (2, True) == (result.exit_code, "no Ed25519 private key" in result.output), (
            result.output
        )
    assert not (place.folder / "out.jws").exists()
