"""What every page of the titration app needs: its services, the browser's cookie, the session, the form's token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from cachetools import TTLCache
from flask import request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from cds_service.content.loader import Content
from cds_service.ehr.fetched import Fetched
from cds_service.model import Json, Release
from cds_service.pipeline import Judgement
from cds_service.planner.edition import Edition, edition_of
from cds_service.planner.ehr_server import EhrServer
from cds_service.planner.judge import Earlier
from cds_service.planner.oauth import AccessToken, OauthFailedError, SmartOauth
from cds_service.planner.sessions import KEPT_SECONDS, OPEN, OPEN_SECONDS, Session, SmartSessions
from cds_service.settings import Settings

COOKIE = "__Host-titration"
NOTE_TRIES = 5
REFRESH_SECONDS = 6.0  # after so long, another press asks for a token itself
_SECRET_LENGTH = 43  # token_urlsafe(32)


_Read = TypeVar("_Read")


class HaltError(Exception):
    """The page cannot be shown; ``why`` names its words in ``trouble``."""

    def __init__(self, why: str, said: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.said = said  # untrusted: what a server or a launch said, to be escaped


class Judge(Protocol):
    """The seam to the hooks' pipeline: the same reading, the same rules.

    ``chart`` holds what was read, by prefetch key; a key that failed is not "none".
    """

    def queries(self, release: Release | None) -> Mapping[str, str]:
        """Prefetch key -> template with ``{{context.patientId}}``, as far as this release knows the type."""

    def references(self, chart: Mapping[str, Fetched], patient_id: str) -> frozenset[str]:
        """``Medication/id`` of orders whose drug is a reference to something not read yet."""

    def drafts(
        self, chart: Mapping[str, Fetched], medications: Mapping[str, Fetched], patient_id: str
    ) -> tuple[Earlier, ...]:
        """Naltrexone orders that are drafted already and not signed."""

    def __call__(
        self,
        chart: Mapping[str, Fetched],
        medications: Mapping[str, Fetched],
        draft_order: Json,
        patient_id: str,
        now: datetime,
    ) -> Judgement:
        """The snapshot with ``draft_order`` as the only draft, and every rule's verdict on it."""


@dataclass(frozen=True, slots=True)
class SmartServices:
    """What the app works with; ``now`` is the clock, aware."""

    content: Content
    sessions: SmartSessions
    oauth: SmartOauth
    ehr: EhrServer
    judge: Judge
    now: Callable[[], datetime]
    log: Callable[..., object] = lambda _event, **_facts: None


@dataclass(frozen=True, slots=True)
class PlannerVisit:
    """An open session, opened: who, where, with which permission. ``browser`` is the cookie's secret."""

    session: Session
    browser: str = field(repr=False)
    token: AccessToken

    @property
    def body(self) -> Mapping[str, Any]:
        return self.session.body

    @property
    def iss(self) -> str:
        return str(self.body["iss"])

    @property
    def handle(self) -> str:
        return self.session.handle


class RecentCharts:
    """What was read of a record a moment ago, for pages that only show. Short-lived, few, in this process."""

    SECONDS = 60.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: TTLCache[str, Any] = TTLCache(64, self.SECONDS)

    def read(self, handle: str, fetch: Callable[[], _Read], *, again: bool) -> _Read:
        """What ``fetch`` gives; where ``again`` is enough, what it gave for this handle a moment ago."""
        with self._lock:
            kept: _Read | None = self._kept.get(handle) if again else None
        if kept is not None:
            return kept
        fetched = fetch()
        with self._lock:
            self._kept[handle] = fetched
        return fetched


class PlannerDesk:
    """Settings and services with the few things that all routes do."""

    def __init__(self, settings: Settings, services: SmartServices) -> None:
        self.settings = settings
        self.services = services
        self.recent = RecentCharts()

    def today(self) -> date:
        return self.services.now().astimezone(self.settings.zone).date()

    def edition(self, day: date | None = None) -> Edition:
        """Words, schedules and numbers in force on ``day``, or today."""
        return edition_of(self.services.content, day or self.today())

    def browser(self) -> str:
        """The secret in this browser's cookie; "" where there is none that we could have set."""
        secret = request.cookies.get(COOKIE, "")
        return secret if len(secret) == _SECRET_LENGTH and secret.isascii() else ""

    def set_cookie(self, response: Response, browser: str) -> None:
        """Bind the browser. Inside an EHR's frame the cookie must be allowed there, kept apart per EHR (CHIPS)."""
        framed = bool(self.settings.smart.frame_ancestors)
        response.set_cookie(
            COOKIE,
            browser,
            max_age=KEPT_SECONDS,
            secure=True,
            httponly=True,
            path="/",
            samesite="None" if framed else "Lax",
            partitioned=framed,
        )

    def visit(self, handle: str) -> PlannerVisit:
        """The open session of this handle and this browser, with a token that still lives. HaltError without."""
        return self.signed_in(self.opened(handle))

    def opened(self, handle: str) -> PlannerVisit:
        """The session of this handle and this browser, whatever became of its token."""
        browser = self.browser()
        session = self.services.sessions.find(OPEN, handle[:64], browser) if browser else None
        if session is None:
            raise HaltError("expired")
        return PlannerVisit(session, browser, AccessToken(**session.body["token"]))

    def signed_in(self, visit: PlannerVisit) -> PlannerVisit:
        """The same visit with a token that still lives. HaltError without."""
        return visit if visit.token.expires_at > self._clock() + 30 else self._refreshed(visit)

    def note(self, visit: PlannerVisit, name: str, value: Any) -> None:
        """Remember this in the session, also where another tab was at work. HaltError where it was ended."""
        session = visit.session
        for _ in range(NOTE_TRIES):
            if self.services.sessions.change(session, {**session.body, name: value}):
                return
            session = self.opened(visit.handle).session
        raise HaltError("busy")

    def _refreshed(self, visit: PlannerVisit) -> PlannerVisit:
        """A refresh token may be good for one use, so that of several presses at once one asks and the others wait."""
        if not visit.token.refresh:
            raise HaltError("expired")
        for _ in range(NOTE_TRIES):
            now = self._clock()
            if now <= float(visit.body.get("refreshing", 0)) + REFRESH_SECONDS:
                return self._awaited(visit)
            if claimed := self.services.sessions.change(
                visit.session, {**visit.body, "refreshing": now}
            ):
                return self._refresh(replace(visit, session=claimed))
            visit = self.opened(visit.handle)
        raise HaltError("busy")

    def _awaited(self, visit: PlannerVisit) -> PlannerVisit:
        """The visit with the token that another press is getting."""
        until = time.monotonic() + REFRESH_SECONDS
        while time.monotonic() < until:
            seen = self.opened(visit.handle)
            if seen.token.expires_at > self._clock() + 30:
                return seen
            if not seen.body.get("refreshing"):
                break
            time.sleep(0.05)
        raise HaltError("expired")

    def _refresh(self, visit: PlannerVisit) -> PlannerVisit:
        registration = self.services.oauth.listed.get(visit.iss)
        if registration is None:
            raise HaltError("unknown-iss")
        try:
            token = self.services.oauth.refresh(
                registration, str(visit.body["token_url"]), visit.token
            )
        except OauthFailedError:
            self.note(visit, "refreshing", 0)
            raise HaltError("expired") from None
        self.note(visit, "token", asdict(token))
        return self.opened(visit.handle)

    def csrf(self, visit: PlannerVisit) -> str:
        """A token that only a page of this session, in this browser, can hold."""
        return _signer(visit.browser).dumps(visit.handle)

    def require_csrf(self, visit: PlannerVisit) -> None:
        """HaltError("csrf") unless the posted form came from a page of ours in this session."""
        try:
            signed = _signer(visit.browser).loads(
                request.form.get("csrf", "")[:400], max_age=OPEN_SECONDS
            )
        except BadData:
            raise HaltError("csrf") from None
        if signed != visit.handle:
            raise HaltError("csrf")

    def _clock(self) -> float:
        return self.services.now().timestamp()


def _signer(browser: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(browser, salt="titration-form")
