"""Where the time of one answer goes, in this process without a server: the steps, the profile, the memory of words."""

from __future__ import annotations

import cProfile
import io
import pstats
import statistics
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import orjson

from cds_service import terminology
from cds_service.content import loader as content
from cds_service.fhir import write
from cds_service.hooks.services import SERVICES
from cds_service.model import Release
from cds_service.pipeline import Engine, answer
from cds_service.terminology import conditions, evidence, recognition, texts
from tests.vignettes import releases
from tests.vignettes.builder import vignette

SERVICE = SERVICES["naltrexone-order-select"]
STEPS = ("parse", "decode", "fetch", "read", "decide", "render", "write")


def make_engine() -> Engine:
    return Engine(
        terminology.load(),
        content.load(),
        ZoneInfo("UTC"),
        "https://cds.example.org",
        lambda: str(uuid.uuid4()),
    )


def without_memory(engine: Engine) -> Engine:
    """The same engine that reads every word anew: no memory of drugs, conditions or anything else of the terminology."""
    known = engine.terminology
    for memory in (
        texts.brand_traits,
        texts.known_strengths,
        texts.product_strength,
        evidence.product_traits,
    ):
        memory.cache_clear()
    return replace(
        engine,
        terminology=replace(
            known,
            _recognised=lambda drug: recognition.recognise(drug, known.tables),
            _classified=lambda concept: conditions.classify(concept, known.conditions),
        ),
    )


def answer_bytes(body: bytes, engine: Engine, now: datetime) -> dict[str, float]:
    """Answer one body as the web surface does; CPU seconds per step."""
    clock = time.thread_time
    started = clock()
    parsed = orjson.loads(body)
    read = clock()
    outcome = answer(parsed, SERVICE, engine, now, stopwatch=clock)
    done = clock()
    orjson.dumps(outcome.response)
    return {**outcome.timings, "parse": read - started, "write": clock() - done}


def step_costs(
    bodies: Iterable[bytes], engine: Engine, now: datetime, turns: int = 5
) -> dict[str, float]:
    """Median CPU seconds of each step over all bodies; the first turn only warms up."""
    found = [answer_bytes(body, engine, now) for _ in range(turns) for body in bodies]
    warm = found[len(found) // turns :] or found
    return {step: statistics.median(costs.get(step, 0.0) for costs in warm) for step in STEPS}


def first_costs(bodies: Iterable[bytes], engine: Engine, now: datetime) -> dict[str, float]:
    """Median CPU seconds of each step where no word was ever seen before."""
    found = [answer_bytes(body, without_memory(engine), now) for body in bodies]
    return {step: statistics.median(costs.get(step, 0.0) for costs in found) for step in STEPS}


def profile(bodies: list[bytes], engine: Engine, now: datetime, rows: int = 15) -> str:
    """The ``rows`` functions that most time is spent in (cProfile, own time), over a few hundred warm answers."""
    for body in bodies:
        answer_bytes(body, engine, now)
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(max(1, 200 // len(bodies))):
        for body in bodies:
            answer_bytes(body, engine, now)
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime").print_stats(rows)
    return "\n".join(line for line in out.getvalue().splitlines() if line.strip())


def validation_costs(turns: int = 200) -> dict[tuple[str, str], float]:
    """CPU seconds to prove one emitted resource valid, by (resource, release): fhir.resources, our schema for DSTU2."""
    drafted, found = vignette("E01")["draft_orders"][0], {}
    for release in Release:
        order = releases.order(drafted, release.value, "2026-11-21")
        made = {
            "hold": write.hold(order, release, "Opioid needed"),
            "start low": write.start_low(
                order,
                release,
                {"medication": "naltrexone 1.5 mg oral capsule", "sig": "1.5 mg at bedtime"},
                1.5,
                14,
            ),
        }
        for name, resource in made.items():
            if faults := write.faults(resource, release):
                raise RuntimeError(f"{name} in {release} is not valid: {faults}")
            found[name, release.value] = _cost(partial(write.is_valid, resource, release), turns)
    return found


def _cost(act: Callable[[], object], turns: int) -> float:
    started = time.thread_time()
    for _ in range(turns):
        act()
    return (time.thread_time() - started) / turns
