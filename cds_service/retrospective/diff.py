"""Which verdicts changed between two replays of the same orders: by rule and indicator, and a bounded list.

Only the two output folders are read, so it does not matter which version, engine or content made them. Counts are those of
sessions, in both readings of a status (as exported, if still active), and small ones are left out as in the report.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import orjson

from cds_service.retrospective.judging import RANK
from cds_service.retrospective.page import render
from cds_service.retrospective.summary import both, cell

KINDS = ("appeared", "vanished", "moved up", "moved down")
_READINGS = ("as_exported", "if_still_active")
_WHO = ("patient", "prescriber", "day", "month", "department")
_COLUMNS = ("session", "topic", *_READINGS, "situation", "drafted", *_WHO)
_SAME = {
    "from": "first day",
    "to": "last day",
    "with_ids": "--with-ids",
}
Move = tuple[str, str, str]  # topic, indicator before, indicator now
Other = tuple[str, str, str, str]  # topic, indicator, situation before, situation now
Count = list[int]  # of the two readings


class DiffError(Exception):
    """The two folders cannot be compared; one line."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The output folder of one replay."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def said(self) -> dict[str, Any]:
        """What a report says of this side."""
        names = ("made", "versions", "digests")
        return {name: self.manifest.get(name, {}) for name in names}


def read_replayed(folder: Path) -> Replayed:
    """A finished replay; raises DiffError for a folder that holds none."""
    try:
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        if not (folder / "verdicts.json").exists():
            raise FileNotFoundError
        if manifest["variants"] and {"orders", "patients"} <= manifest["counted"].keys():
            return Replayed(folder, manifest)
    except (OSError, orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        raise DiffError(f"{folder.name}: no finished replay ({type(error).__name__})") from None
    raise DiffError(f"{folder.name}: no finished replay")


def compare(
    old: Replayed, new: Replayed, *, small: int = 5, most: int = 50, with_ids: bool = False
) -> dict[str, Any]:
    """What changed, as plain JSON; raises DiffError where the two are not about the same orders."""
    if complaint := next(_differing(old.manifest, new.manifest), ""):
        raise DiffError(complaint)
    with tempfile.TemporaryDirectory(prefix="diff-") as spill:
        db = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": spill})
        try:
            _load(db, old, new)
            return {**_about(old, new, small), **_counted(db, old, small, most, with_ids=with_ids)}
        except duckdb.Error as error:
            raise DiffError(f"verdicts.parquet cannot be read ({type(error).__name__})") from None
        finally:
            db.close()


def write(found: Mapping[str, Any], out: Path, more: Sequence[Mapping[str, Any]] = ()) -> None:
    """``diff.html`` and ``diff.json`` in ``out``; ``more`` are tables of somebody else's for the end of the page."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "diff.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (out / "diff.html").write_text(render("diff.html", d=found, more=more), encoding="utf-8")


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Why a session of one side would not be found on the other."""
    for name, words in _SAME.items():
        if old.get(name) != new.get(name):
            yield f"the replays have another {words}"
    keys = [side.get("pseudonyms") or "" for side in (old, new)]
    if not new.get("with_ids") and (keys[0] != keys[1] or not all(keys)):
        yield "the replays have another key of the pseudonyms: give both --pseudonyms FILE"
    for name in ("orders", "patients"):
        before, after = (side["counted"][name] for side in (old, new))
        if before != after:
            yield f"the replays read other exports: {before} {name}, then {after}"


def _about(old: Replayed, new: Replayed, small: int) -> dict[str, Any]:
    manifest = new.manifest
    return {"old": old.said, "new": new.said, "window": [manifest["from"], manifest["to"]], "small_cells": small,
            "orders": manifest["counted"]["orders"], "patients": manifest["counted"]["patients"]}  # fmt: skip


def _load(db: Any, old: Replayed, new: Replayed) -> None:
    for name, side in (("was", old), ("now", new)):
        columns = ", ".join(f"CAST({column} AS VARCHAR) AS {column}" for column in _COLUMNS)
        file = side.folder / "verdicts.parquet"
        if file.exists():
            source = f"read_parquet({_quoted(str(file))}, file_row_number = true)"
        else:  # nothing was judged
            empty = ", ".join(f"'' AS {column}" for column in (*_COLUMNS, "variant"))
            source = f"(SELECT {empty}, 0 AS file_row_number WHERE false)"
        db.execute(f"CREATE TABLE {name} AS SELECT {columns}, "
                   "row_number() OVER (PARTITION BY session, topic ORDER BY file_row_number) AS nth "
                   f"FROM {source} WHERE variant = {_quoted(side.manifest['variants'][0])}")  # fmt: skip
    either = ", ".join(f"coalesce(now.{c}, was.{c}) AS {c}" for c in ("drafted", *_WHO))
    levels = ", ".join(f"coalesce({side}.{reading}, 'none') AS {side}_{n}" for side in ("was", "now")
                       for n, reading in enumerate(_READINGS))  # fmt: skip
    db.execute(f"""CREATE TABLE change AS SELECT session, topic, nth, {levels},
        coalesce(was.situation, '') AS was_said, coalesce(now.situation, '') AS now_said, {either}
        FROM (FROM was WHERE topic <> '') was FULL JOIN (FROM now WHERE topic <> '') now
        USING (session, topic, nth)
        WHERE (was_0, was_1, was_said) <> (now_0, now_1, now_said)""")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _counted(db: Any, old: Replayed, small: int, most: int, *, with_ids: bool) -> dict[str, Any]:
    groups = db.execute("""SELECT topic, was_0, now_0, was_1, now_1, was_said, now_said, count(*)
        FROM change GROUP BY ALL ORDER BY ALL""").fetchall()
    moves, others = _tallied(groups)
    shown_moves = [{"topic": topic, "kind": kind(was, now), "was": was, "now": now, "sessions": both(one, other, small)}
                   for (topic, was, now), (one, other) in sorted(moves.items(), key=_loudest)]  # fmt: skip
    shown_others = [{"topic": topic, "indicator": level, "was": was, "now": now, "sessions": both(one, other, small)}
                    for (topic, level, was, now), (one, other) in sorted(others.items())]  # fmt: skip
    hidden = [row for row in (*shown_moves, *shown_others) if row["sessions"] is None]
    touched = _one(db, "SELECT count(DISTINCT session) FROM change")
    listable = {tuple(group[:7]) for group in groups
                if with_ids or (group[7] >= small and not _is_hidden(group, moves, others, small))}  # fmt: skip
    raw = bool(old.manifest.get("with_ids"))
    return {
        "changed": bool(groups), "sessions": [_one(db, f"SELECT count(DISTINCT session) FROM {t}") for t in ("was", "now")],
        **{f"only_{t}": cell(_only(db, t), small) for t in ("was", "now")},
        "touched": None if len(hidden) == 1 else cell(touched, small),
        "totals": {word: _total([m for m in shown_moves if m["kind"] == word], moves) for word in KINDS},
        "moves": shown_moves, "situations": shown_others, "with_ids": with_ids, "most": most,
        "listed": [*islice(_listed(db, listable, with_ids=with_ids, raw=raw), most)],
    }  # fmt: skip


def _tallied(groups: list[tuple[Any, ...]]) -> tuple[dict[Move, Count], dict[Other, Count]]:
    """Sessions of each move and of each other situation, in the two readings."""
    moves: dict[Move, Count] = defaultdict(lambda: [0, 0])
    others: dict[Other, Count] = defaultdict(lambda: [0, 0])
    for group in groups:
        for n, key in enumerate(_keys(group)):
            if len(key) == 3:
                moves[key][n] += group[7]
            elif key:
                others[key][n] += group[7]
    return dict(moves), dict(others)


def _keys(group: tuple[Any, ...]) -> Iterator[Any]:
    """The row of a table in which a change is counted, for each of the two readings; () where it is in none."""
    topic, was_said, now_said = group[0], group[5], group[6]
    for was, now in (group[1:3], group[3:5]):
        if was != now:
            yield topic, was, now
        else:
            yield (topic, now, was_said, now_said) if was_said != now_said and now != "none" else ()


def kind(was: str, now: str) -> str:
    if "none" in (was, now):
        return "appeared" if was == "none" else "vanished"
    return "moved up" if RANK.index(now) > RANK.index(was) else "moved down"


def _loudest(move: tuple[Move, Count]) -> tuple[Any, ...]:
    topic, was, now = move[0]
    return topic, KINDS.index(kind(was, now)), -RANK.index(now), -RANK.index(was)


def _is_hidden(
    group: tuple[Any, ...], moves: Mapping[Move, Count], others: Mapping[Other, Count], small: int
) -> bool:
    counts = [moves[key] if len(key) == 3 else others[key] for key in _keys(group) if key]
    return any(both(count[0], count[1], small) is None for count in counts)


def _total(rows: list[dict[str, Any]], moves: Mapping[Move, Count]) -> list[int] | None:
    """The sum of a kind; None where one row is left out, which would follow from it."""
    if sum(row["sessions"] is None for row in rows) == 1:
        return None
    counts = [moves[row["topic"], row["was"], row["now"]] for row in rows]
    return sorted(sum(count[n] for count in counts) for n in (0, 1))


def _listed(
    db: Any, listable: set[tuple[Any, ...]], *, with_ids: bool, raw: bool
) -> Iterator[dict[str, Any]]:
    """Changed verdicts, the loudest first; people, days and places only ``with_ids``."""
    columns = (
        "topic",
        "was_0",
        "now_0",
        "was_1",
        "now_1",
        "was_said",
        "now_said",
        "session",
        "drafted",
        *_WHO,
    )
    rank = ", ".join(
        f"list_position({[*RANK]}, {side}_{n})" for side in ("now", "was") for n in (0, 1)
    )
    rows = db.execute(f"SELECT {', '.join(columns)} FROM change "
                      f"ORDER BY greatest({rank}) DESC, topic, session, nth")  # fmt: skip
    while batch := rows.fetchmany(1_000):
        for row in batch:
            if row[:7] in listable:
                said = dict(zip(columns, row, strict=True))
                who = {name: said[name] or "" for name in ("session", *_WHO)}
                kept = who if with_ids else {"session": "" if raw else who["session"]}
                yield {"topic": row[0], "was": [row[1], row[3]], "now": [row[2], row[4]],
                       "situation": [row[5], row[6]], "drafted": said["drafted"], **kept}  # fmt: skip


def _only(db: Any, side: str) -> int:
    """Sessions that only this side looked at: the drug tables say which orders concern us."""
    other = {"was": "now", "now": "was"}[side]
    return _one(
        db, f"SELECT count(*) FROM (SELECT session FROM {side} EXCEPT SELECT session FROM {other})"
    )


def _one(db: Any, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
