"""Search for the body that costs most: ``python -m tests.load.shapes --seed 1 --trials 60``.

A shape is a way to spend bytes: how they are divided between drafts and the list, which names, how long the sigs and
notes, how many codings and dosages. The seeded search tries shapes at a small size, changes the dearest further, and
measures the dearest at growing sizes: CPU seconds must grow no faster than bytes. No server, no network.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from cds_service.errors import ServiceError
from cds_service.hooks.services import SERVICES
from cds_service.pipeline import Engine, answer
from tests.bench.steps import make_engine, without_memory

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SERVICE = SERVICES["naltrexone-order-select"]


def letters(number: int) -> str:
    made = ""
    for _ in range(8):
        number, rest = divmod(number * 7 + 11, 26)
        made += chr(97 + rest)
    return made


NAMES: dict[str, Callable[[int], str]] = {
    "naltrexone": lambda n: f"Naltrexone {n % 90 + 1} mg tablet",
    "opioid": lambda n: f"Oxycodone {n} mg tablet",
    "same opioid": lambda _: "Oxycodone 5 mg tablet",
    "near": lambda n: f"nalotrexine{letters(n)} oxycodne{letters(n + 7)}",
    "nonsense": lambda n: " ".join(letters(31 * n + i) for i in range(12)),
    "other": lambda n: f"Lisinopril {n} mg tablet",
    "expanding": lambda n: "\ufdfa" * 300 + str(n),
    "empty": lambda _: "",
}
SIGS = (
    "",
    "Take 1 tablet daily",
    "take 1 to 2 tablets every 4 to 6 hours as needed, then 3 at night " * 20,
    "1 " * 900,
    "\ufdfa" * 600,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Three kinds of order in turn, and what each of them carries; ``drafted`` is the share of the bytes in drafts."""

    drafted: float = 0.1
    names: tuple[str, str, str] = ("naltrexone", "opioid", "near")
    sig: int = 0
    codings: int = 0
    dosages: int = 1
    notes: int = 0
    reasons: int = 0
    selected: bool = True

    def order(self, number: int, status: str) -> dict[str, Any]:
        name = NAMES[self.names[number % 3]](number)
        coding = [{"system": "urn:x", "code": str(i), "display": name} for i in range(self.codings)]
        return {
            "resourceType": "MedicationRequest",
            "id": f"{status}-{number}",
            "status": status,
            "intent": "order",
            "authoredOn": "2026-11-01",
            "medicationCodeableConcept": {"text": name, "coding": coding},
            "dosageInstruction": [
                {"text": f"{SIGS[self.sig]}{number} {n}", "sequence": n}
                for n in range(self.dosages)
            ],
            "note": [{"text": SIGS[self.sig]} for _ in range(self.notes)],
            "reasonCode": [{"text": f"pain {n}"} for n in range(self.reasons)],
        }

    def body(self, size: int) -> bytes:
        """A call of about ``size`` bytes."""
        drafts = self._orders(int(size * self.drafted), "draft")
        listed = self._orders(int(size * (1 - self.drafted)), "active")
        context = {"userId": "Practitioner/1", "patientId": "p", "draftOrders": _bundle(drafts)}
        if self.selected:
            context["selections"] = [f"MedicationRequest/{d['id']}" for d in drafts]
        return orjson.dumps(
            {
                "hook": "order-select",
                "hookInstance": "i",
                "context": context,
                "prefetch": {"medicationRequests": _bundle(listed)},
            }
        )

    def _orders(self, size: int, status: str) -> list[dict[str, Any]]:
        each = sum(len(orjson.dumps(self.order(n, status))) for n in range(3)) / 3 + 60
        return [self.order(n, status) for n in range(max(1, int(size / each)))]


def _bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}


def any_shape(chance: random.Random) -> Shape:
    return Shape(
        chance.choice((0.02, 0.1, 0.5, 0.9)),
        tuple(chance.choice(list(NAMES)) for _ in range(3)),  # type: ignore[arg-type]
        chance.randrange(len(SIGS)),
        chance.choice((0, 0, 1, 20, 400, 8_000)),
        chance.choice((0, 1, 1, 3, 60, 3_000)),
        chance.choice((0, 0, 1, 10, 4_000)),
        chance.choice((0, 0, 1, 10, 8_000)),
        chance.random() < 0.5,
    )


def changed(shape: Shape, chance: random.Random) -> Shape:
    """The same shape with one part of another."""
    field = chance.choice(list(Shape.__dataclass_fields__))
    return replace(shape, **{field: getattr(any_shape(chance), field)})


def cost(body: bytes, engine: Engine) -> float:
    """CPU seconds of one answer with nothing remembered, the parsing included."""
    engine = without_memory(engine)
    started = time.thread_time()
    with suppress(ServiceError):
        orjson.dumps(answer(orjson.loads(body), SERVICE, engine, NOW).response)
    return time.thread_time() - started


@click.command(help=__doc__)
@click.option("--seed", default=1)
@click.option("--trials", default=60)
@click.option("--small", default=300_000, help="Bytes of the bodies that are tried.")
@click.option("--largest", default=5_000_000, help="Bytes of the largest body that is accepted.")
def main(seed: int, trials: int, small: int, largest: int) -> None:
    chance, engine = random.Random(seed), make_engine()
    tried: list[tuple[float, Shape]] = []
    for trial in range(trials):
        worst = max(tried, key=lambda t: t[0], default=None)
        shape = changed(worst[1], chance) if worst and trial % 2 else any_shape(chance)
        tried.append((cost(shape.body(small), engine), shape))
    for seconds, shape in sorted(tried, key=lambda t: -t[0])[:3]:
        click.echo(f"{seconds:.3f} s at {small} bytes  {shape}")
        for size in (largest // 4, largest // 2, largest):
            body = shape.body(size)
            click.echo(f"  {cost(body, engine):.3f} s CPU at {len(body)} bytes")


if __name__ == "__main__":
    main()
