"""The stories of the playground: invented calls with a line on why each matters, and how a call is said at another hook.

``fhir_fixtures/stories/stories.yaml`` lists them. Their dates are counted from a day of their own; whoever sends one has
every date moved, so that the story happens today.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from cds_service.fhir.releases import ASSUMED
from cds_service.hooks.services import SERVICES
from cds_service.model import Json, Release

REFILL = "medication-refill"
HOOKS = tuple(service.hook for service in SERVICES.values() if service.hook != REFILL)
VERSIONS = {
    "2.0": "CDS Hooks 2.0: a search that found nothing is an empty Bundle",
    "1.0": "CDS Hooks 1.0: a search that found nothing is null",
}
WRITTEN_ON = date(2026, 11, 21)  # today, in the bodies that the builder wrote
_DAY = re.compile(r"\A(\d{4}-\d{2}-\d{2})(?=$|[T ])")
_ORDERS = ("draftOrders", "medications")


@dataclass(frozen=True, slots=True)
class Story:
    """One invented call. ``files`` are its bodies by FHIR release; ``expected`` the indicator of each topic.

    ``renewed`` says that the order may as well be a renewal, which is told the same (specification J22).
    """

    id: str
    group: str
    title: str
    why: str
    expected: Mapping[str, str]
    files: Mapping[str, Path] = field(repr=False)
    as_of: date = WRITTEN_ON
    renewed: bool = False

    @property
    def hooks(self) -> tuple[str, ...]:
        return (*HOOKS, REFILL) if self.renewed else HOOKS

    @property
    def releases(self) -> tuple[str, ...]:
        return tuple(self.files)

    def release(self, wanted: str) -> str:
        """The wanted release where the story exists in it, else R4, else its first."""
        usual = str(ASSUMED) if ASSUMED in self.files else self.releases[0]
        return wanted if wanted in self.files else usual

    def body(self, release: str, hook: str, version: str, today: date) -> dict[str, Any]:
        """The whole call as if it were made today."""
        body = orjson.loads(self.files[self.release(release)].read_bytes())
        return in_version(at_hook(rolled(body, today - self.as_of), hook), version)


@cache
def all_stories() -> Mapping[str, Story]:
    """Every story by its id, in the order of the file; none where the package was installed without them."""
    home = folder()
    if not (home / "stories" / "stories.yaml").is_file():
        return {}
    told = yaml.safe_load((home / "stories" / "stories.yaml").read_text(encoding="utf-8"))
    return {
        item["id"]: Story(
            item["id"],
            told["groups"][item["group"]],
            item["title"],
            item["why"],
            item["expected"],
            _files(item, home),
            item.get("as_of", WRITTEN_ON),
            item.get("renewed", False),
        )
        for item in told["stories"]
    }


def folder() -> Path:
    """Where the bodies lie: inside the package where it is installed, at the top level in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "fhir_fixtures"
    return installed if installed.is_dir() else package.parent / "fhir_fixtures"


def _files(item: Mapping[str, Any], home: Path) -> dict[str, Path]:
    if "body" in item:
        return {item["release"]: home / item["body"]}
    written = {r.value: home / "stories" / f"{item['id']}.{r.value}.json" for r in Release}
    return {release: file for release, file in written.items() if file.is_file()}


def rolled(body: Json, by: timedelta) -> dict[str, Any]:
    """The same call with every date but a birth date moved; what only looks like a date stays as it is."""
    return _walk(body, lambda text: _DAY.sub(lambda day: _moved(day, by), text))  # type: ignore[no-any-return]


def _moved(day: re.Match[str], by: timedelta) -> str:
    try:
        return (date.fromisoformat(day[1]) + by).isoformat()
    except (ValueError, OverflowError):
        return day[0]


def _walk(value: Any, change: Callable[[str], str], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _walk(part, change, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_walk(part, change, name) for part in value]
    return change(value) if isinstance(value, str) and name not in {"birthDate", "text"} else value


def at_hook(body: Json, hook: str) -> dict[str, Any]:
    """The same orders at another hook: its name for them, and a selection only where one is made."""
    context = dict(body["context"])
    orders = next(context.pop(name) for name in _ORDERS if name in context)
    chosen = context.pop("selections", None)
    if hook == "order-select":
        context["selections"] = chosen or [
            f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            for entry in orders["entry"]
        ]
    context["medications" if hook.startswith("medication-") else "draftOrders"] = orders
    return {**body, "hook": hook, "context": context}


def in_version(body: Json, version: str) -> dict[str, Any]:
    """What a client of this version of CDS Hooks sends for a search that found nothing."""
    nothing: Any = None if version == "1.0" else {"resourceType": "Bundle", "type": "searchset"}
    sent = {
        key: nothing if _is_empty(key, answer) else answer
        for key, answer in (body.get("prefetch") or {}).items()
    }
    return {**body, "prefetch": sent} if "prefetch" in body else dict(body)


def _is_empty(key: str, answer: Any) -> bool:
    if key in {"patient", "encounter"}:
        return False
    return answer is None or (
        isinstance(answer, dict)
        and answer.get("resourceType") == "Bundle"
        and not answer.get("entry")
    )
