"""A plan that was finished: what the session keeps of it, drawn again from the same fields, and as a FHIR file."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from cds_service.fhir.releases import ASSUMED, WRITABLE
from cds_service.fhir.write_plan import PlanDraft, collection
from cds_service.model import Release
from cds_service.planner.case import Fields, Person, answers_of
from cds_service.planner.course import rest
from cds_service.planner.drafts import paste_text, to_drafts
from cds_service.planner.services import HaltError, PlannerDesk, PlannerVisit
from cds_service.planner.view import read_wish
from cds_service.planner.write import Item, may_update
from cds_service.titration.plan import Plan, draw

WRITING_SECONDS = 60  # after this a write that never reported back may be taken up again


class FinishedPlan:
    """A finished plan as the session keeps it, drawn again from the same fields. HaltError where there is none."""

    def __init__(self, desk: PlannerDesk, visit: PlannerVisit) -> None:
        outcome: Mapping[str, Any] | None = visit.body.get("outcome")
        if outcome is None:
            raise HaltError("not-found")
        fields: Fields = MultiDict(outcome["fields"])
        self.answers = answers_of(fields)
        today = date.fromisoformat(outcome["today"])
        self.edition = desk.edition(today)
        self.wish = read_wish(fields, today, None, self.edition.schedules)
        self.plan: Plan = draw(self.edition.schedules, self.wish.choice)
        if "rest_from" in outcome:  # a plan under way: what is written is what is left of it
            self.plan = rest(self.plan, date.fromisoformat(outcome["rest_from"]))
        self.state = str(outcome["state"])
        self.since = float(outcome["since"])
        self.is_known_release = outcome["release"] in set(WRITABLE)
        self.release = Release(outcome["release"]) if self.is_known_release else ASSUMED
        self.person = Person(**outcome["person"])
        self.items = tuple(Item(**item) for item in outcome["items"])
        self.attested = tuple(outcome.get("attested", ()))
        self.is_pregnant = bool(outcome.get("pregnant", False))
        self.replaced = tuple(Item(**item) for item in outcome.get("replaced", ()))
        self.may_cancel = self.state != "writing" and may_update(
            visit.token.scope, "MedicationRequest"
        )
        self.drafts = self._drafts(visit, outcome)

    def _drafts(self, visit: PlannerVisit, outcome: Mapping[str, Any]) -> PlanDraft:
        drafts = to_drafts(
            self.plan,
            self.wish,
            self.answers,
            self.edition.say,
            key=str(visit.body["key"]),
            patient_id=visit.token.patient,
            now=datetime.fromisoformat(outcome["at"]),
            attested=self.attested,
        )
        return replace(drafts, reasons=(outcome["reason"],))

    @property
    def names(self) -> list[tuple[str, str]]:
        """Every draft of the plan that a write would have sent, by name and kind."""
        found = [
            (f"order-{n}", "MedicationRequest") for n in range(1, len(self.drafts.products) + 1)
        ]
        found += [(f"review-{v.week}", "Task") for v in self.drafts.visits]
        return [*found, ("care-plan", "CarePlan")]

    @property
    def can_retry(self) -> bool:
        again = {"refused", "unknown", "not-tried", "unauthorized", "conflict"}
        return self.state == "done" and any(item.outcome in again for item in self.items)

    @property
    def to_cancel(self) -> tuple[Item, ...]:
        """Earlier drafts that this plan replaces and that still wait in the EHR."""
        over = {"cancelled", "not-draft", "running"}
        return tuple(item for item in self.replaced if item.outcome not in over)

    @property
    def is_complete(self) -> bool:
        return self.state == "done" and all(item.is_written for item in self.items)

    def is_lost(self, now: datetime) -> bool:
        """True where a write began and nobody ever told its end."""
        return self.state == "writing" and now.timestamp() - self.since > WRITING_SECONDS

    @property
    def bundle(self) -> dict[str, Any]:
        """All drafts in one FHIR Bundle to hand over by file."""
        key = uuid.UUID(self.drafts.key)
        return collection(
            self.drafts, self.release, lambda name: f"urn:uuid:{uuid.uuid5(key, name)}"
        )

    @property
    def text(self) -> str:
        return paste_text(self.plan, self.wish, self.answers, self.edition.say, self.attested)
