"""What one press does to orders: a suggestion of a rule -> CDS Hooks actions, or None where it cannot be made honestly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cds_service.content.loader import Content
from cds_service.content.words import fill
from cds_service.fhir import write
from cds_service.hooks.versions import Dialect
from cds_service.model import Medication, Order, Snapshot, Suggestion
from cds_service.titration.schedules import DEFAULT

_DELETES = frozenset({"DEL_NTX", "DEL_OPI"})


LARGEST_ORDER = 100_000  # bytes of an order that is offered changed: to prove it legal costs time


@dataclass(frozen=True, slots=True)
class ActionWriter:
    """What the actions of one answer are made with: the call, what its client reads, the words, the numbers in force."""

    snapshot: Snapshot
    dialect: Dialect
    content: Content
    new_id: Callable[[], str]

    def suggestion(self, suggestion: Suggestion) -> dict[str, Any] | None:
        """The suggestion with an action on each of its orders; None where one of them cannot be had."""
        actions = [
            action
            for medication in suggestion.targets
            if (action := self._action(suggestion.code, medication))
        ]
        if len(actions) < len(suggestion.targets):
            return None
        return {
            "label": self._label(suggestion),
            "uuid": self.new_id(),
            "isRecommended": suggestion.recommended,
            "actions": actions,
        }

    def _label(self, suggestion: Suggestion) -> str:
        opioids = dict.fromkeys(c.ingredient for m in suggestion.targets for c in m.opioids)
        blockers = dict.fromkeys(
            m.antagonist.ingredient for m in suggestion.targets if m.antagonist is not None
        )
        labels = self.content.shared["labels"]
        several = labels.get(f"{suggestion.code}_several") if len(suggestion.targets) > 1 else None
        return self._print(
            several or labels[suggestion.code],
            opioid=" and ".join(opioids),
            antagonist=" and ".join(blockers),
        )

    def _action(self, code: str, medication: Medication) -> dict[str, Any] | None:
        described = self._print(self.content.shared["actions"][code])
        if code in _DELETES:
            target = self._delete_target(medication)
            return (
                None if target is None else {"type": "delete", "description": described, **target}
            )
        resource = self._changed(code, medication.order) if medication.order.target else None
        return (
            None
            if resource is None
            else {"type": "update", "description": described, "resource": resource}
        )

    def _delete_target(self, medication: Medication) -> dict[str, str] | None:
        """``resource`` in 1.x, ``resourceId`` later (R87); {} for the only order of the 1.0 hook without an id."""
        ref = medication.order.target
        if not ref:
            alone = self.dialect.may_omit_target and self.snapshot.orders_in_call == 1
            return {} if alone else None
        if self.dialect.deletes_by_resource:
            return {"resource": ref.partition("/")[2]}
        return {"resourceId": ref}

    def _changed(self, code: str, order: Order) -> dict[str, Any] | None:
        """The order as the suggestion makes it; None where that is no legal resource or cannot be written as JSON."""
        try:
            resource = self._held(order) if code == "HOLD_NTX" else self._started_low(order)
            size = len(
                orjson.dumps([[[[[[[[[[resource]]]]]]]]]])
            )  # an answer holds it that deep, and JSON writers have a limit
        except (RecursionError, TypeError, ValueError):
            return None
        if size > LARGEST_ORDER:
            return None
        return resource if write.is_valid(resource, order.release) else None

    def _held(self, order: Order) -> dict[str, Any]:
        return write.hold(
            order.resource, order.release, self._print(self.content.shared["hold_reason"])
        )

    def _started_low(self, order: Order) -> dict[str, Any]:
        first: Mapping[str, Any] = self.snapshot.thresholds["schedules"][DEFAULT]
        words = {key: self._print(text) for key, text in self.content.shared["start_low"].items()}
        return write.start_low(
            order.resource, order.release, words, first["start_mg"], first["step_days"]
        )

    def _print(self, template: str, **facts: str) -> str:
        return fill(template, facts, self.content.numbers(self.snapshot.today))
