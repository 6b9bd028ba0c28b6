"""Strategies for hook calls: valid ones, and valid ones with something broken in them.

``PROPERTY_EXAMPLES`` in the environment sets how many cases each property tries (default 60).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.conformance.calls import (
    BUPRENORPHINE,
    HOOKS,
    LEVOTHYROXINE,
    NALTREXONE_50,
    OXYCODONE,
    OXYCODONE_ER,
    RANK,
    RELEASES,
    T1,
    TRAMADOL,
    call,
    dosage,
    ldn,
    listed,
    listed_ldn,
    opioid,
    order,
    taken,
)

Json = dict[str, Any]
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))
CASES = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
MANY = settings(max_examples=20 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

OPIOIDS = (
    OXYCODONE,
    OXYCODONE_ER,
    TRAMADOL,
    BUPRENORPHINE,
    ("Codeine 30 mg tablet", ""),
    ("fentanyl patch", ""),
    ("guaifenesin / codeine oral solution", ""),
    ("loperamide 2 mg capsule", ""),
    ("methadone 10 mg tablet", ""),
)
NALTREXONES = (
    "Naltrexone 4.5 mg oral capsule (compounded)",
    "Naltrexone 0.5 mg capsule",
    NALTREXONE_50,
    "Vivitrol 380 mg injection",
    "Contrave 8/90 mg ER tablet",
    "naltrexone cream",
)
UNRELATED = (
    LEVOTHYROXINE,
    ("Lisinopril 10 MG Oral Tablet", ""),
    ("Amoxicillin 500 MG Oral Capsule", ""),
    ("naloxone 4 mg nasal spray", ""),
    ("Dextromethorphan cough syrup", ""),
    ("methylnaltrexone 150 mg", ""),
)
STATUSES = ("active", "on-hold", "completed", "stopped", "unknown")
DATES = ("2026-11-20", "2026-11-15", "2026-11-11", "2026-10-20", "2026-08-01", "2025-06-01")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@st.composite
def listed_orders(draw: Any, drugs: Any, *, name: str = "m", release: str = "R4") -> Json:
    """A listed order of any status and date for one of ``drugs``."""
    return listed(
        draw(st.sampled_from(drugs)),
        release,
        id=f"{name}-{draw(st.integers(1, 999))}",
        status=draw(st.sampled_from(STATUSES)),
        authored=draw(st.sampled_from(DATES)),
    )


@st.composite
def finished(draw: Any, drugs: Any) -> Json:
    """A medicine that the patient stopped taking on a stated day, up to two months ago.

    The dose fits the product: 50 mg a day of a low-dose capsule would be labelled by its dose alone, and losing the
    dose then loses the note on tolerance, as table B of the specification has it for an unknown dose.
    """
    drug = draw(st.sampled_from(drugs))
    day = date(2026, 11, 21) - timedelta(days=draw(st.integers(0, 60)))
    amount = draw(
        st.sampled_from(
            [None, dosage(1, "tablet"), dosage(50 if drug == NALTREXONE_50 else 4.5, "mg")]
        )
    )
    return taken(drug, end=day.isoformat(), amount=amount)


@st.composite
def meetings(draw: Any, *, hooks: tuple[str, ...] = HOOKS) -> Json:
    """A call in which a naltrexone product and an opioid meet, one drafted or both."""
    hook, release = draw(st.sampled_from(hooks)), draw(st.sampled_from(RELEASES))
    drug, opposite = draw(st.sampled_from(NALTREXONES)), draw(st.sampled_from(OPIOIDS))
    dose = draw(st.sampled_from([None, dosage(1, "tablet", release), dosage(4.5, "mg", release)]))
    way = draw(st.sampled_from(["naltrexone drafted", "opioid drafted", "both drafted"]))
    if way == "both drafted":
        return call(
            hook,
            order(drug, release=release, dose=dose),
            opioid(opposite, release),
            release=release,
        )
    if way == "opioid drafted":
        met = draw(listed_orders([drug], name="n", release=release) | finished([drug]))
        return call(hook, opioid(opposite, release), meds=(met,), release=release)
    met = draw(listed_orders([opposite], release=release) | finished([opposite]))
    return call(hook, order(drug, release=release, dose=dose), meds=(met,), release=release)


def seeds() -> list[Json]:
    """A few whole calls of every hook to start mutating from."""
    found = [call(hook, ldn(), meds=(listed(),)) for hook in HOOKS]
    found += [
        call("order-sign", opioid(release=r), meds=(listed_ldn(r),), release=r) for r in RELEASES
    ]
    return [*found, call("order-select", ldn(), opioid(), meds=None)]


def spots(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every node below the root."""
    members = list(
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        path for name, member in members for path in ((*here, name), *spots(member, (*here, name)))
    ]


def parent_of(body: Json, path: tuple[Any, ...]) -> Any:
    """The container that holds the node at ``path``."""
    node: Any = body
    for name in path[:-1]:
        node = node[name]
    return node


def delete(node: Any, name: Any, value: Any) -> None:
    del node[name]


def retype(node: Any, name: Any, value: Any) -> None:
    node[name] = value


def duplicate(node: Any, name: Any, value: Any) -> None:
    node[name] = [node[name]] * 3


def nest(node: Any, name: Any, value: Any) -> None:
    for _ in range(40):
        node[name] = {"resource": node[name], "entry": [value]}


def grow(node: Any, name: Any, value: Any) -> None:
    node[name] = str(node[name])[:100] * 500


def rename(node: Any, name: Any, value: Any) -> None:
    node[name] = list(node[name].items()) if isinstance(node[name], dict) else {"0": node[name]}


MUTATIONS: tuple[Callable[[Any, Any, Any], None], ...] = (
    delete,
    retype,
    duplicate,
    nest,
    grow,
    rename,
)


@st.composite
def broken_bodies(draw: Any) -> Json:
    """A valid call after one to four mutations somewhere in it."""
    body = deepcopy(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 4))):
        paths = spots(body)
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        draw(st.sampled_from(MUTATIONS))(parent_of(body, path), path[-1], draw(json_values))
    return body


def severity(found: list[Json], topic: str = T1) -> int:
    """How loud a topic is: 0 silent, 1 info, 2 warning, 3 critical."""
    return max(
        (RANK[c["indicator"]] for c in found if c["source"]["topic"]["code"] == topic), default=0
    )
