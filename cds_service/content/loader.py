"""Clinical content as data: load ``cards/`` and, key by key on top of it, a site's overlay.

Loaded once at start. What a file must look like stands in its JSON Schema; whether words and rules know each other is
``contract``'s to say. A site changes a word by a file of the same name that holds only that word; code is never edited.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import yaml

from cds_service.content.words import numbers

PAGE_FILES = ("planner", "handout", "drafts", "troubles")  # words of the titration planner, by page
_REMEMBERED_DAYS = 8
_NOT_CONTENT = (
    ".",
    "README",
)  # how the names of files begin that may lie in an overlay beside content


class ContentError(Exception):
    """The content cannot be used; one line per fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class CardText:
    """The words of one topic; ``cites`` are the sources of each line.

    ``sheet`` is what is said of the rule to those who review it, ``changes`` the history of its words.
    """

    id: str
    title: str
    reviewed_by: str | None
    summaries: Mapping[str, str]
    lines: Mapping[str, str]
    cites: Mapping[str, tuple[str, ...]]
    override_reasons: Mapping[str, tuple[str, ...]]  # by the group that a rule asks for
    links: tuple[str, ...]
    links_for: Mapping[str, tuple[str, ...]]
    sheet: Mapping[str, Any]
    changes: tuple[Mapping[str, str], ...]
    reviewed_on: str | None = None

    @property
    def linked(self) -> frozenset[str]:
        """Every source that this card links to in some situation."""
        return frozenset(self.links).union(*self.links_for.values())


@dataclass(frozen=True, slots=True)
class PageText:
    """The words of some pages of the planner by key; ``cites`` are the sources of those that have any."""

    id: str
    reviewed_by: str | None
    words: Mapping[str, str]
    cites: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Content:
    """All clinical content of one start. ``digest`` changes with every byte of it and with the file it stands in."""

    cards: Mapping[str, CardText]
    sources: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, Any]
    override_reasons: Mapping[str, Mapping[str, str]]
    threshold_history: Mapping[str, list[Mapping[str, Any]]]
    titration_history: Mapping[
        str, Mapping[str, list[Mapping[str, Any]]]
    ]  # "schedules" by id, and "titration"
    pages: Mapping[str, PageText]
    sheet: Mapping[str, Any]  # what every rule's sheet says of the service as a whole
    digest: str
    _days: dict[date, tuple[Mapping[str, Any], Mapping[str, str]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def version(self) -> str:
        """What a person calls it: the first digits of the digest."""
        return self.digest[:12]

    def thresholds(self, day: date) -> Mapping[str, Any]:
        """The numbers in force on ``day``; those of titration under ``schedules`` and ``titration``."""
        return self._on(day)[0]

    def numbers(self, day: date) -> Mapping[str, str]:
        """The numbers in force on ``day`` as words print them, by placeholder."""
        return self._on(day)[1]

    def _on(self, day: date) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        if (found := self._days.get(day)) is None:
            if len(self._days) >= _REMEMBERED_DAYS:
                self._days.clear()
            titration = {
                group: _values(histories, day)
                for group, histories in self.titration_history.items()
            }
            in_force = {**_values(self.threshold_history, day), **titration}
            found = self._days[day] = in_force, numbers(in_force)
        return found

    def threshold(self, name: str, day: date) -> Mapping[str, Any]:
        """The entry of this number in force on ``day``: the newest that has begun (else the oldest)."""
        return _in_force(self.threshold_history[name], day)

    @property
    def days(self) -> list[date]:
        """Every day on which a number changes."""
        groups = (self.threshold_history, *self.titration_history.values())
        return sorted(
            {entry["from"] for group in groups for history in group.values() for entry in history}
        )

    @property
    def reviewed(self) -> bool:
        signed = [card.reviewed_by for card in self.cards.values()]
        signed += [page.reviewed_by for page in self.pages.values()]
        return all(signed) and bool(self.sheet["reviewed_by"])


def _values(histories: Mapping[str, list[Mapping[str, Any]]], day: date) -> dict[str, Any]:
    return {name: _in_force(history, day)["value"] for name, history in histories.items()}


def _in_force(history: list[Mapping[str, Any]], day: date) -> Mapping[str, Any]:
    begun = [entry for entry in history if entry["from"] <= day]
    return max(begun, key=_beginning) if begun else min(history, key=_beginning)


def _beginning(entry: Mapping[str, Any]) -> date:
    begins: date = entry["from"]
    return begins


def content_folder() -> Path:
    """The packaged content: inside the package where it is installed, at the top level in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "cards"
    return installed if installed.is_dir() else package.parent / "cards"


def load(overlay: str = "") -> Content:
    """The packaged content with the files of the folder ``overlay`` merged in; raises ContentError with every fault."""
    packaged = {name: file.read_bytes() for name, file in _files(content_folder())}
    own = {name: file.read_bytes() for name, file in _files(Path(overlay))} if overlay else {}
    faults = [*_strangers(Path(overlay), packaged)] if overlay else []
    parsed: dict[str, Any] = {}
    for name, data in packaged.items():
        try:
            parsed[name] = _merge(_parse(data), _parse(own[name])) if name in own else _parse(data)
        except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
            faults.append(f"{name}.yaml: not valid YAML ({type(error).__name__})")
    faults = faults or [*_schema_faults(parsed)] or [*_day_faults(parsed)]
    if faults:
        raise ContentError(faults)
    return _content(parsed, _digest([*packaged.items(), *own.items()]))


def _content(parsed: Mapping[str, Any], digest: str) -> Content:
    return Content(
        cards={name: _card(parsed[name]) for name in parsed if _kind(name) == "card"},
        sources=parsed["sources"],
        shared=parsed["shared"],
        override_reasons=parsed["override-reasons"],
        threshold_history=_dated(parsed["thresholds"]),
        titration_history={
            group: _dated(histories) for group, histories in parsed["schedules"].items()
        },
        pages={name: _page(parsed[name]) for name in PAGE_FILES},
        sheet=parsed["sheet"],
        digest=digest,
    )


def _dated(histories: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    return {
        name: [{**entry, "from": date.fromisoformat(entry["from"])} for entry in history]
        for name, history in histories.items()
    }


def _page(data: Mapping[str, Any]) -> PageText:
    cited = {key: said for key, said in data["words"].items() if isinstance(said, Mapping)}
    words = {key: said["text"] if key in cited else said for key, said in data["words"].items()}
    return PageText(
        data["id"],
        data["reviewed_by"],
        words,
        {key: tuple(said["sources"]) for key, said in cited.items()},
    )


def _card(data: Mapping[str, Any]) -> CardText:
    lines = data["lines"]
    return CardText(
        data["id"],
        data["title"],
        data["reviewed_by"],
        data["summaries"],
        {name: line["text"] for name, line in lines.items()},
        {name: tuple(line["sources"]) for name, line in lines.items()},
        {group: tuple(codes) for group, codes in data["override_reasons"].items()},
        tuple(data["links"]),
        {name: tuple(ids) for name, ids in data.get("links_for", {}).items()},
        data["sheet"],
        tuple(data["changes"]),
        data["reviewed_on"],
    )


# --- files ------------------------------------------------------------------------------------------------------------


@cache
def _tables() -> frozenset[str]:
    """The files with a schema of their own."""
    names = (file.name.partition(".")[0] for file in content_folder().joinpath("schema").iterdir())
    return frozenset(names) - {"card", "words"}


def _kind(name: str) -> str:
    """The schema of a file: its own, or that of a page's words, or that of a card, which is named like its rule."""
    return name if name in _tables() else "words" if name in PAGE_FILES else "card"


def _files(folder: Path) -> list[tuple[str, Path]]:
    found = ((file.name, file) for file in folder.iterdir() if file.is_file())
    return sorted(
        (name.removesuffix(".yaml"), file)
        for name, file in found
        if name.endswith(".yaml") and not name.startswith(_NOT_CONTENT)
    )


def _strangers(overlay: Path, packaged: Iterable[str]) -> Iterator[str]:
    """What lies in the overlay and would be passed over in silence."""
    known = {f"{name}.yaml" for name in packaged}
    for file in sorted(overlay.iterdir()):
        if file.name not in known and not file.name.startswith(_NOT_CONTENT):
            yield f"{file.name}: the service has no content file of this name"


_LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # ten times as fast, where it was built


def _parse(data: bytes) -> Any:
    """The file as plain JSON values: a day is text, a number that is none is null."""
    return orjson.loads(
        orjson.dumps(yaml.load(data, _LOADER), default=str, option=orjson.OPT_NON_STR_KEYS)  # noqa: S506 - a safe one
    )


def _merge(packaged: Any, own: Any) -> Any:
    """``own`` over ``packaged``, key by key; a list or a text replaces the whole of what was there."""
    if isinstance(packaged, Mapping) and isinstance(own, Mapping):
        return {**packaged, **{key: _merge(packaged.get(key), value) for key, value in own.items()}}
    return own


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    total = hashlib.sha256()
    for name, data in files:
        total.update(f"{name}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


# --- the shape of a file ----------------------------------------------------------------------------------------------


@cache
def _schema(name: str) -> Any:
    schema = json.loads(content_folder().joinpath("schema", f"{name}.schema.json").read_bytes())
    return jsonschema_rs.Draft202012Validator(schema)


def _schema_faults(parsed: Mapping[str, Any]) -> Iterator[str]:
    for name, data in parsed.items():
        for error in _schema(_kind(name)).iter_errors(data):
            yield f"{name}.yaml: {'/'.join(map(str, error.instance_path)) or '(top)'}: {error.message}"


def _day_faults(parsed: Mapping[str, Any]) -> Iterator[str]:
    groups = [("thresholds.yaml: ", parsed["thresholds"])]
    groups += [
        (f"schedules.yaml: {group}/", histories) for group, histories in parsed["schedules"].items()
    ]
    for where, histories in groups:
        for name, history in histories.items():
            yield from (
                f"{where}{name}: {entry['from']!r} is no day"
                for entry in history
                if not _is_day(entry["from"])
            )


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
