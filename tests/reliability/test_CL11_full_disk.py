"""A store that is full, read-only or away refuses, loses nothing it took, and comes back without a restart (L11)."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import event as engine_event

from cds_service.errors import Unavailable
from cds_service.store.read_only import open_to_read
from cds_service.store.store import open_store
from tests.postgres import postgres_server
from tests.unit.journal.samples import item, keep, kept, url_of

__all__ = ["postgres_server"]

LONG = "x" * 4_000


def fill(store, most=2_000):
    """Keep items until the store refuses; how many it took."""
    for taken in range(most):
        try:
            keep(store, item(user_comment=LONG))
        except Unavailable as refused:
            assert {"Retry-After": "5"} == refused.headers
            return taken
    raise AssertionError("the store never refused")


def test_CL11_a_full_database_refuses_and_takes_again_once_there_is_room(tmp_path):
    limit = [100]
    store = open_store(url_of(tmp_path))
    pragma = "PRAGMA max_page_count={}"
    engine_event.listen(store.engine, "checkout", lambda c, *_: c.execute(pragma.format(limit[0])))
    taken = fill(store)
    assert (taken, "SQLITE_FULL") == (kept(store), store.fault)
    limit[0] = 1_000
    keep(store, item(user_comment=LONG))
    assert (taken + 1, "") == (kept(store), store.fault)
    store.close()


FILE_LIMIT = """
import json, resource, sys
from cds_service.store.store import open_store
from tests.unit.journal.samples import item, keep, kept
from tests.reliability.test_CL11_full_disk import LONG, fill
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
store = open_store(sys.argv[1])
keep(store, item(user_comment=LONG))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
taken = fill(store)
fault, held = store.fault, kept(store)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
keep(store, item(user_comment=LONG))
print(json.dumps([taken + 1 - held, fault != "", kept(store) - held, store.fault, store.alarms]))
"""


def run(script, *arguments):
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


def test_CL11_a_file_that_may_not_grow_refuses_and_takes_again_once_it_may(tmp_path):
    assert [0, True, 1, "", []] == run(FILE_LIMIT, url_of(tmp_path))


@pytest.fixture
def small_disk():
    """A file system of 1 MiB of its own; only root can make one."""
    with tempfile.TemporaryDirectory() as name:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", name]
        if (
            os.geteuid() != 0
            or subprocess.run(mount, check=False, capture_output=True).returncode != 0
        ):
            pytest.skip("mounting a file system of 1 MiB needs root and the right to mount")
        yield Path(name)
        subprocess.run(["umount", "-l", name], check=True)


def test_CL11_a_full_disk_refuses_and_takes_again_once_there_is_room(small_disk):
    """What was acknowledged before the disk was full is in the store after it; readiness says when it is full."""
    store = open_store(url_of(small_disk))
    taken = fill(store)
    assert (taken, False) == (kept(store), store.writable())
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    deadline = time.monotonic() + 5
    while not store.writable() and time.monotonic() < deadline:
        time.sleep(0.1)
    keep(store, item(user_comment=LONG))
    assert taken + 1 == kept(store)
    store.close()
    with open_to_read(url_of(small_disk)) as reader:
        assert taken + 1 == kept(reader)


def test_CL11_a_store_can_be_opened_for_the_first_time_on_a_full_disk_and_works_later(small_disk):
    (small_disk / "ballast").write_bytes(b"x" * (1 << 20))
    store = open_store(url_of(small_disk))
    with pytest.raises(Unavailable):
        keep(store, item())
    (small_disk / "ballast").unlink()
    keep(store, item())
    assert (1, ()) == (kept(store), store.alarms)
    store.close()


READ_ONLY = """
import json, os, sys
from pathlib import Path
from cds_service.journal.audit import AuditLog
from cds_service.store.store import open_store
from cds_service.errors import Unavailable
from tests.unit.journal.samples import event, item, keep, kept, url_of
folder = Path(sys.argv[1])
first = open_store(url_of(folder))
keep(first, item())
first.close()
if os.geteuid() == 0:
    for path in (folder, *folder.iterdir()):
        os.chown(path, 65534, 65534)
    os.setuid(65534)
def attempt(store):
    try:
        keep(store, item())
    except Unavailable as refused:
        return refused.headers
    return "kept"
said = []
folder.chmod(0o500)
store = open_store(url_of(folder))
log = AuditLog(store, "best-effort")
log.append(event())
said += [store.fault != "", attempt(store), store.writable()]
folder.chmod(0o700)
said += [attempt(store), kept(store), log.flush(5), log.written, log.dropped]
print(json.dumps(said))
"""


def test_CL11_a_read_only_folder_refuses_and_takes_once_it_can_be_written(tmp_path):
    """The service starts on it: feedback is refused, best-effort audit waits, both go through once it is writable."""
    with tempfile.TemporaryDirectory() as name:
        assert [True, {"Retry-After": "5"}, False, "kept", 2, True, 1, 0] == run(READ_ONLY, name)


@pytest.mark.postgres
def test_CL11_a_postgresql_that_crashes_comes_back_without_a_restart_of_ours(postgres_server):
    """Refusals while it is down are quick; within 5 s of its return writes go through; nothing taken is lost."""
    if postgres_server.folder is None:
        pytest.skip("TEST_POSTGRES_URL names a server that is not ours to stop")
    store = open_store(postgres_server.url)
    keep(store, item())
    before = kept(store)
    postgres_server.stop()
    try:
        refused_in = [timed_refusal(store) for _ in range(5)]
    finally:
        postgres_server.start()
    assert max(refused_in) < 3
    assert sum(refused_in[1:]) < 0.5
    deadline = time.monotonic() + 5
    while not store.writable() and time.monotonic() < deadline:
        time.sleep(0.1)
    keep(store, item())
    assert before + 1 == kept(store)
    store.close()


@pytest.mark.postgres
def test_CL11_a_service_that_starts_before_its_postgresql_works_once_it_is_there(postgres_server):
    if postgres_server.folder is None:
        pytest.skip("TEST_POSTGRES_URL names a server that is not ours to stop")
    postgres_server.stop()
    try:
        store = open_store(postgres_server.url)
        assert "" != store.fault
    finally:
        postgres_server.start()
    time.sleep(1.1)
    keep(store, item())
    assert "" == store.fault
    store.close()


@pytest.mark.postgres
def test_CL11_a_postgresql_that_never_answers_costs_one_caller_a_wait_and_not_each():
    """Something accepts the connection and says nothing: after one time-out all are refused at once for a while."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = open_store(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d")
        assert "" != store.fault
        assert sum(timed_refusal(store) for _ in range(5)) < 0.5
        store.close()


def timed_refusal(store):
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        keep(store, item())
    return time.monotonic() - begun
