"""What exports and ``verify`` say of records that the store held and holds no more."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.errors import Unavailable
from cds_service.journal.completeness import shortfalls
from cds_service.journal.high_water import HighWater, Marks
from cds_service.settings import Settings
from cds_service.store.store import Store


def missing(settings: Settings, store: Store | None, kind: str) -> Iterator[str]:
    """A line for each loss of this kind that nobody has acknowledged, and for what is missing now.

    Raises Unavailable where the store cannot be read. ``store`` None: there is none at all.
    """
    water = HighWater(settings.high_water)
    marks = water.read()
    if water.fault:
        yield f"the high-water mark cannot be read ({water.fault}): nothing to compare with"
    if marks is None:
        return
    yield from (str(loss) for loss in marks.losses if loss.kind == kind)
    if store is None:
        if held := marks.of(kind).count:
            yield f"there is no store; it held {held} records of {kind}"
        return
    yield from _now(store, marks, kind)


def _now(store: Store, marks: Marks, kind: str) -> Iterator[str]:
    try:
        with store.read() as connection:
            yield from (str(each) for each in shortfalls(connection, marks) if each.kind == kind)
    except Unavailable:
        yield "the store cannot be compared with its high-water mark now"
