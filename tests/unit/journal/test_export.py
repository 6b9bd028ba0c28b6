"""Exports hold what was stored, run beside the service, and give no spreadsheet a formula."""

import csv
import io
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds_service.hooks.feedback import read_feedback
from cds_service.journal import audit_chain
from cds_service.journal.audit import AuditLog
from cds_service.journal.export import (
    AUDIT_COLUMNS,
    FEEDBACK_COLUMNS,
    export_audit,
    export_feedback,
    safe_cell,
)
from cds_service.model import Coding
from cds_service.store.database import StoreError
from cds_service.store.read_only import open_to_read
from cds_service.store.store import open_store
from tests.unit.journal.samples import ISSUER, NOW, SERVICE, event, item, keep, url_of

CARD = "33333333-3333-4333-8333-333333333333"


@pytest.fixture
def store(store_url):
    opened = open_store(store_url)
    yield opened
    opened.close()


def exported(url, fmt="json"):
    with open_to_read(url) as reader:
        return "".join(export_feedback(reader, fmt))


def test_an_empty_store_exports_an_empty_list(store, store_url):
    assert [] == json.loads(exported(store_url))


def test_json_holds_what_was_sent_and_who_sent_it_when(store, store_url):
    keep(
        store,
        item(card=CARD, reason=Coding("urn:example:override", "x", "Because"), user_comment="ok"),
    )
    assert [
        {
            "card": CARD,
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-21T22:17:53.402000Z",
            "overrideReason": {
                "reason": {"code": "x", "system": "urn:example:override", "display": "Because"},
                "userComment": "ok",
            },
            "service": SERVICE,
            "issuer": ISSUER,
            "receivedAt": "2026-11-22T09:30:00.000000Z",
            "matched": None,
        }
    ] == json.loads(exported(store_url))


def test_exported_json_can_be_sent_again_and_is_read_as_the_same_items(store, store_url):
    items = (
        item(),
        item(reason=None, user_comment=None),
        item(reason=Coding("", "x"), user_comment=""),
        item(outcome="accepted", accepted_suggestions=(CARD, CARD), reason=None, user_comment=None),
        item(user_comment='"quoted", æøå \U0001f600\r\n\t\x1b[31m </script> \u2028'),
    )
    keep(store, *items)
    assert items == read_feedback({"feedback": json.loads(exported(store_url))}, SERVICE)


def test_csv_has_one_row_per_item_under_one_header(store, store_url):
    keep(store, item(card=CARD, user_comment='line one\nline two, "quoted"'), item())
    header, first, second = csv.reader(io.StringIO(exported(store_url, "csv"), newline=""))
    assert (
        list(FEEDBACK_COLUMNS),
        CARD,
        'line one\nline two, "quoted"',
        len(FEEDBACK_COLUMNS),
    ) == (header, first[1], first[8], len(second))


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " =", "\u00a0@", "\t=cmd|' /C calc'!A0"]
)
def test_CT16_no_csv_cell_starts_a_formula(store, store_url, start):
    keep(
        store,
        item(user_comment=f"{start}1+1", reason=Coding(start, f"{start}x", f"{start}y")),
        issuer=f"{start}i",
    )
    for cell in list(csv.reader(io.StringIO(exported(store_url, "csv"), newline="")))[1]:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝"))
        assert not cell.startswith(("\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "true"),
        (5, "5"),
        (-5, "'-5"),
        ("a=b", "a=b"),
        ("", ""),
        ("'=1", "'=1"),
        ("=1", "'=1"),
    ],
)
def test_a_cell_is_changed_only_where_it_must_be(value, expected):
    assert expected == safe_cell(value)


def test_audit_exports_as_json_and_as_csv_in_the_order_of_the_chain(store, store_url):
    log = AuditLog(store, "required")
    for _ in range(3):
        log.append(event())
    log.close()
    with open_to_read(store_url) as reader:
        events = json.loads("".join(export_audit(reader, "json")))
        rows = list(csv.DictReader(io.StringIO("".join(export_audit(reader, "csv")), newline="")))
    assert [1, 2, 3] == [e["seq"] for e in events]
    assert set(events[0]) <= set(AUDIT_COLUMNS)
    assert [(str(e["seq"]), e["request_id"], e["hash"]) for e in events] == [
        (r["seq"], r["request_id"], r["hash"]) for r in rows
    ]


def test_export_sees_one_moment_while_the_service_writes(store, store_url):
    keep(store, *[item() for _ in range(5)])
    with open_to_read(store_url) as reader:
        pieces = export_feedback(reader, "json")
        begun = next(pieces) + next(pieces)
        keep(store, item())
        assert 5 == len(json.loads(begun + "".join(pieces)))
    assert 6 == len(json.loads(exported(store_url)))


EXPORT_AS_NOBODY = """
import os, sys
from cds_service.journal.export import export_feedback
from cds_service.store.read_only import open_to_read
if os.geteuid() == 0:
    os.setuid(65534)
with open_to_read(sys.argv[1]) as reader:
    print("".join(export_feedback(reader, "json")))
"""


def test_export_needs_no_write_to_the_folder_even_after_a_crash(tmp_path):
    """A store with an unmerged log in a folder that takes no writes is exported whole and left as it was."""
    store = open_store(url_of(tmp_path))
    keep(store, item(card=CARD))
    with tempfile.TemporaryDirectory() as name:
        crashed = Path(name)
        for part in ("store.sqlite3", "store.sqlite3-wal"):
            (crashed / part).write_bytes((tmp_path / part).read_bytes())
        store.close()
        crashed.chmod(0o555)
        before = {p.name: p.read_bytes() for p in crashed.iterdir()}
        command = [sys.executable, "-W", "error", "-c", EXPORT_AS_NOBODY, url_of(crashed)]
        found = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
        assert [CARD] == [i["card"] for i in json.loads(found)]
        assert before == {p.name: p.read_bytes() for p in crashed.iterdir()}
        crashed.chmod(0o755)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no store yet"),
        (b"", "another version"),
        (b"noise" * 2_000, "cannot be read"),
    ],
)
def test_a_store_that_cannot_be_read_is_said_in_one_line(tmp_path, content, why):
    if content is not None:
        (tmp_path / "store.sqlite3").write_bytes(content)
    with pytest.raises(StoreError, match=why), open_to_read(url_of(tmp_path)):
        raise AssertionError("opened")


def test_export_writes_times_in_utc(store):
    written = audit_chain.written(datetime.fromisoformat("2026-11-22T10:30:00+01:00"))
    assert ("2026-11-22T09:30:00.000000Z", NOW.astimezone(UTC)) == (written, NOW)
