"""The answers of a form, kept for the same browser, user and patient: across reload, Back, tabs, sign-in and restart.

They lie encrypted beside the sessions and outlive the EHR's permission; ending the session removes them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from cds_service.planner.services import PlannerDesk, PlannerVisit
from cds_service.planner.sessions import KEPT, KEPT_SECONDS, Session

TRIES = 5
NOT_KEPT = frozenset({"csrf", "revision", "tab"})


@dataclass(frozen=True, slots=True)
class KeptForm:
    """What was entered last. ``tab`` is the page that sent it; ``revision`` counts the changes."""

    fields: Mapping[str, list[str]] | None = None
    revision: int = 0
    tab: str = ""

    @property
    def form(self) -> MultiDict[str, str] | None:
        return None if self.fields is None else MultiDict(self.fields)

    def admits(self, sent: Mapping[str, str]) -> bool:
        """False for a page that was drawn before another tab changed the answers; a form that says nothing is new."""
        revision, tab = sent.get("revision", ""), sent.get("tab", "")
        return not revision or revision == str(self.revision) or bool(tab and tab == self.tab)


def kept_name(visit: PlannerVisit) -> str:
    """One place for each EHR, patient and user of this browser."""
    return "\n".join(
        ("kept", visit.browser, visit.iss, visit.token.patient, str(visit.body.get("user", "")))
    )


def find_kept(desk: PlannerDesk, visit: PlannerVisit) -> KeptForm:
    """What was entered last, or an empty form."""
    row = desk.services.sessions.find(KEPT, kept_name(visit), visit.browser)
    return KeptForm(**row.body) if row else KeptForm()


def keep(desk: PlannerDesk, visit: PlannerVisit, sent: MultiDict[str, str]) -> KeptForm | None:
    """Keep what was sent; None where another tab changed the answers since this page was drawn.

    A page may send twice at once, a live change and a press: who comes second looks again.
    """
    for _ in range(TRIES):
        is_current, kept = _keep_once(desk, visit, sent)
        if kept or not is_current:
            return kept
    return None


def _keep_once(
    desk: PlannerDesk, visit: PlannerVisit, sent: MultiDict[str, str]
) -> tuple[bool, KeptForm | None]:
    """Whether the page was the latest, and what is kept now; None where somebody was faster just then."""
    sessions, name = desk.services.sessions, kept_name(visit)
    row: Session | None = sessions.find(KEPT, name, visit.browser)
    before = KeptForm(**row.body) if row else KeptForm()
    if not before.admits(sent):
        return False, None
    fields = {key: sent.getlist(key) for key in sent if key not in NOT_KEPT}
    if row and fields == before.fields:
        return True, before
    after = KeptForm(fields, before.revision + 1, sent.get("tab", "")[:32])
    body: dict[str, Any] = {"fields": fields, "revision": after.revision, "tab": after.tab}
    is_kept = (
        sessions.put(KEPT, name, visit.browser, body, KEPT_SECONDS)
        if row is None
        else sessions.change(row, body) is not None
    )
    return True, after if is_kept else None


def forget(desk: PlannerDesk, visit: PlannerVisit) -> None:
    if row := desk.services.sessions.find(KEPT, kept_name(visit), visit.browser):
        desk.services.sessions.end(row)


def new_tab() -> str:
    return secrets.token_urlsafe(9)
