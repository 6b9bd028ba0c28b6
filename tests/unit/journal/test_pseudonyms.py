"""Identifiers in the audit are keyed hashes."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

from cds_service.journal.pseudonyms import Pseudonyms


def test_CT14_the_key_is_made_once_for_the_owner_only(tmp_path):
    made = Pseudonyms(tmp_path / "d" / "audit.key").patient("i", "p")
    assert made == Pseudonyms(tmp_path / "d" / "audit.key").patient("i", "p")
    assert 0o600 == stat.S_IMODE((tmp_path / "d" / "audit.key").stat().st_mode)
    assert ["audit.key"] == os.listdir(tmp_path / "d")  # noqa: PTH208


def test_workers_that_start_at_once_share_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        hashes = pool.map(lambda _: Pseudonyms(tmp_path / "audit.key").patient("i", "p"), range(16))
    assert 1 == len(set(hashes))


def test_one_patient_of_one_issuer_has_one_hash_and_no_two_share_one(tmp_path):
    names = Pseudonyms(tmp_path / "audit.key")
    found = {
        names.patient(*who)
        for who in [("i", "1"), ("i", "2"), ("j", "1"), ("i1", ""), ("", "i1"), ("i", "1")]
    }
    assert (5, {0, 64}) == (len(found), {len(value) for value in found})


def test_another_key_gives_another_hash(tmp_path):
    assert Pseudonyms(tmp_path / "a").patient("i", "1") != Pseudonyms(tmp_path / "b").patient(
        "i", "1"
    )


def test_a_hook_instance_that_is_a_uuid_is_kept_and_anything_else_is_hashed(tmp_path):
    names = Pseudonyms(tmp_path / "audit.key")
    assert "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea" == names.hook_instance(
        "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA"
    )
    assert 64 == len(names.hook_instance("Mr Smith"))


def test_without_a_key_the_hash_is_unknown_and_comes_back_with_the_key(tmp_path):
    names = Pseudonyms(tmp_path / "audit.key", make=False)
    assert ("", "FileNotFoundError") == (names.patient("i", "1"), names.fault)
    (tmp_path / "audit.key").write_text("short")
    assert ("", "key too short") == (names.patient("i", "1"), names.fault)
    (tmp_path / "audit.key").write_text("k" * 64)
    assert (64, "") == (len(names.patient("i", "1")), names.fault)
