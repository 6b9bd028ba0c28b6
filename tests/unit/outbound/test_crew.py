"""Threads stay for the next task, are bounded, and leave when there is none."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from cds_service.outbound.crew import Crew


def until(true: Callable[[], bool], seconds: float = 2.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.005)
    return true()


def test_a_thread_stays_for_the_next_task() -> None:
    crew, seen = Crew(4), []
    for number in range(20):
        done = threading.Event()
        assert crew.take(lambda done=done: (seen.append(threading.get_ident()), done.set()))
        assert done.wait(1)
        assert until(lambda: crew._waiting == 1), number
    assert (20, 1) == (len(seen), len(set(seen)))


def test_no_more_threads_than_wanted_and_who_finds_none_is_told() -> None:
    crew, hold = Crew(2), threading.Event()
    assert [True, True, False, False] == [crew.take(hold.wait) for _ in range(4)]
    hold.set()
    assert until(lambda: crew.take(lambda: None))


def test_every_task_taken_is_done_once_however_many_ask() -> None:
    crew, lock, done, refused = Crew(8, linger=0.001), threading.Lock(), [], []

    def ask(number: int) -> None:
        for part in range(200):
            job = (number, part)

            def note(job: tuple[int, int] = job) -> None:
                with lock:
                    done.append(job)

            if not crew.take(note):
                refused.append(job)
            if part % 20 == 0:
                time.sleep(0.002)  # some threads leave meanwhile

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert until(lambda: len(done) + len(refused) == 1_200)
    assert 1_200 == len({*done, *refused})
    assert until(lambda: (crew._hired, crew._waiting) == (0, 0))


def test_who_has_nothing_to_do_leaves_and_is_hired_again() -> None:
    crew = Crew(4, linger=0.02)
    assert crew.take(lambda: None)
    assert until(lambda: crew._hired == 0)
    ran = threading.Event()
    assert crew.take(ran.set)
    assert ran.wait(1)


def test_the_last_one_stays_while_there_is_something_to_tend() -> None:
    kept = [True]
    crew, hold = Crew(4, linger=0.02, tend=lambda: kept[0]), threading.Event()
    assert all(crew.take(hold.wait) for _ in range(3))
    hold.set()
    assert until(lambda: crew._hired == 1)
    time.sleep(0.1)
    assert 1 == crew._hired
    kept[0] = False
    assert until(lambda: crew._hired == 0)


def test_a_task_that_breaks_costs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    crew = Crew(1, linger=0.02)

    def fail() -> None:
        raise RuntimeError("x")

    for _ in range(3):
        assert until(lambda: crew.take(fail))
    ran = threading.Event()
    assert until(lambda: crew.take(ran.set))
    assert ran.wait(1)
    assert 3 == len(printed)


def test_a_machine_without_threads_is_told_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew = Crew(1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not crew.take(lambda: None)
    assert crew.take(lambda: None)


def test_a_thread_that_waits_holds_nothing_of_what_it_did() -> None:
    class Visit:
        done = threading.Event()

        def work(self) -> None:
            self.done.set()

    crew = Crew(1)
    for _ in range(2):  # the first task of a thread, and a later one
        visit = Visit()
        visit.done.clear()
        gone = weakref.ref(visit)
        assert crew.take(visit.work)
        assert visit.done.wait(1)
        del visit
        gc.disable()
        try:
            assert until(lambda gone=gone: gone() is None)
        finally:
            gc.enable()
        assert until(lambda: crew._waiting == 1)
