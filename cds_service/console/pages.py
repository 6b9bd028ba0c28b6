"""What a page of the console is made with; a page that can be switched off is a ``Page``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from flask import Blueprint

from cds_service.journal.versions import rules_version
from cds_service.pipeline import Engine
from cds_service.settings import Settings
from cds_service.store.store import Store


@dataclass(frozen=True, slots=True)
class Desk:
    """What the pages speak of: the engine that answers calls, the settings, the clock and the store; ``version`` is the
    program's."""

    engine: Engine
    settings: Settings
    now: Callable[[], datetime]
    version: str
    store: Store

    @property
    def today(self) -> date:
        """The day in the zone in which this service counts days."""
        return self.now().astimezone(self.engine.zone).date()

    @property
    def versions(self) -> dict[str, str]:
        """Of everything that decides what a card says."""
        return {
            "program": self.version,
            "rules": rules_version(),
            "content": self.engine.content.version,
            "drug tables": self.engine.terminology.version,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """A page that production serves only where the setting ``console`` names it.

    ``add`` puts its routes on the blueprint; one of them is the endpoint ``name`` at ``/name``.
    """

    name: str
    label: str
    add: Callable[[Blueprint, Desk], None]
