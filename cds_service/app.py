"""Composition root: settings in, a WSGI application out. Read from top to bottom."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from flask import Blueprint, Flask
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from cds_service import settings as configuration
from cds_service import signing, terminology
from cds_service.auth import used_tokens
from cds_service.auth.client_auth import ClientAuthentication, known_clients
from cds_service.auth.jwks import JwksCache
from cds_service.console.blueprint import make_console
from cds_service.ehr.client import FhirClient
from cds_service.ehr.missing_data import DEMO_BASES, MissingData
from cds_service.errors import Unavailable
from cds_service.fhir import write
from cds_service.hooks.feedback import read_feedback
from cds_service.hooks.services import Service
from cds_service.journal.audit import AuditLog
from cds_service.journal.audit_chain import written
from cds_service.journal.completeness import reconcile
from cds_service.journal.feedback import FeedbackJournal
from cds_service.journal.high_water import HighWater
from cds_service.journal.metrics import CLOCK_JUMPS, FEEDBACK, TOKENS_UNSHARED, Metrics
from cds_service.journal.overridden import OverriddenCards
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.journal.telemetry import open_log
from cds_service.journal.traces import Traces
from cds_service.journal.unknown_names import UnknownNames
from cds_service.journal.versions import package_version, rules_version
from cds_service.observing import Watched
from cds_service.outbound.addresses import read_place
from cds_service.outbound.http import Outbound, usual_trust
from cds_service.pipeline import Engine
from cds_service.planner.blueprint import SmartServices, make_smart
from cds_service.planner.door import LaunchDoor
from cds_service.planner.ehr_server import EhrServer
from cds_service.planner.judge import HookJudge
from cds_service.planner.oauth import SmartOauth, registrations
from cds_service.planner.sessions import SmartSessions, read_or_make_key
from cds_service.reporting import Reporter, Seldom
from cds_service.rules import RULES, Rule
from cds_service.settings import Client, Settings
from cds_service.store.call_counts import add_up
from cds_service.store.store import Store, open_store
from cds_service.web import wire
from cds_service.web.admission import make_admit
from cds_service.web.call_journal import Recorder
from cds_service.web.call_metrics import CallMetrics
from cds_service.web.call_names import CallNames
from cds_service.web.call_traces import CallTraces
from cds_service.web.health import Health
from cds_service.web.health_door import open_door
from cds_service.web.hooks import HookDesk, HookDoor, HookPorts, Observer, make_hooks
from cds_service.web.ops import make_ops

Clock = Callable[[], datetime]
_GARBAGE_BEFORE_A_LOOK = 10_000
LAST_SECONDS = 3  # that a worker takes to write what waits, less than the server gives it


def utc_now() -> datetime:
    return datetime.now(UTC)


def make_ids() -> Callable[[], str]:
    """Version 4 UUIDs as lower-case text, from a generator that the system seeds once per worker.

    Ids of cards are unique, not secret; asking the system for each would hand the interpreter lock over four times a call.
    """
    chance = random.Random()  # noqa: S311 - not for secrets
    return lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4))


@dataclass(frozen=True, slots=True)
class Parts:
    """What one worker keeps for its life: the engine, the store and what writes to it, and who may call."""

    engine: Engine
    store: Store
    audit: AuditLog
    feedback: FeedbackJournal
    pseudonyms: Pseudonyms
    overridden: OverriddenCards
    fhir: FhirClient
    keys: JwksCache
    authentication: ClientAuthentication | None
    reporter: Reporter
    water: HighWater
    smart_key: bytes = field(repr=False)  # of the planner's sessions
    smart_key_fault: str = ""  # why that key ends with this worker; "" where it is kept
    overlay_refused: tuple[str, ...] = ()  # why the site's own content is not used

    @property
    def log(self) -> Any:
        return self.reporter.log


def create_app(settings: Settings, now: Clock = utc_now, rules: tuple[Rule, ...] = RULES) -> Flask:
    """The whole service for one worker process."""
    parts = make_parts(settings, now, rules)
    app = Flask("cds_service", static_folder=None)
    app.extensions["naltrexone_cds"] = parts

    wire.install(app, settings, parts.log)
    recorder = Recorder(
        parts.audit,
        parts.pseudonyms,
        parts.log,
        now,
        parts.engine.content.version,
        required=settings.audit == "required",
        trouble=parts.reporter.trouble,
        prescribers=settings.audit_prescribers,
        rules_version=rules_version(),
        terminology_version=parts.engine.terminology.version,
    )
    counting = CallMetrics(parts.reporter.numbers, parts.log, parts.reporter.trouble)
    desk = HookDesk(
        parts.engine,
        settings,
        HookPorts(
            now=now,
            admit=make_admit(
                settings,
                parts.authentication,
                lambda counts: add_up(parts.store, counts),
                parts.reporter.token_refused,
            ),
            fetch_for=lambda call: counting.timed(
                MissingData(parts.fhir, settings, call.client).fetch, call.request_id
            ),
            recall_for=lambda client: partial(
                parts.overridden.recall, client.issuer if client else ""
            ),
            record_feedback=_feedback_into(parts, settings, now),
            begin=recorder.begin,
            watch=recorder.watch,
            observers=[*_observers(parts, settings, counting), recorder],
        ),
    )
    app.register_blueprint(make_hooks(desk))
    app.register_blueprint(_make_ops(app, parts, settings, now))
    app.register_blueprint(
        make_console(parts.engine, settings, now, package_version(), parts.store)
    )
    app.register_blueprint(
        make_smart(settings, _smart_services(parts, settings, now)), url_prefix="/smart"
    )
    CORS(
        app,
        resources=r"/cds-services.*",
        methods=["GET", "POST", "OPTIONS"],
        max_age=600,
        origins=[
            re.compile(re.escape(origin) + r"\Z") for origin in settings.cors_origins
        ],  # letter for letter
        allow_headers=["Authorization", "Content-Type"],
        send_wildcard=False,
        always_send=False,
        vary_header=False,
    )
    # not a daemon: an interpreter that ends while it is in the models' native code would be aborted
    threading.Thread(target=write.warm_up, name="warm-up").start()
    doors = LaunchDoor(app.wsgi_app, parts.smart_key, _launches_refused(parts.log))
    app.wsgi_app = _middleware(HookDoor(doors, desk), settings)  # type: ignore[method-assign]
    if settings.health_port:
        open_door(app.wsgi_app, settings.host, settings.health_port)
    return app


def _observers(parts: Parts, settings: Settings, counting: CallMetrics) -> list[Observer]:
    """Those who see every call end, as the settings ask for them."""
    found: list[Observer] = []
    if settings.unknown_names_file:
        listed = UnknownNames(Path(settings.unknown_names_file), parts.pseudonyms)
        found.append(CallNames(listed, parts.log))
    if settings.traces_endpoint:
        found.append(CallTraces(Traces(settings.traces_endpoint, package_version()), parts.log))
    if settings.has_metrics:
        parts.reporter.say_if_unshared(settings.workers)
        found.append(counting)
    return found


def worker() -> Flask:
    """Factory for the WSGI server: the settings file and overrides come through the environment.

    What was loaded stays for good, so the garbage collector need not walk it again with every few calls.
    """
    app = create_app(configuration.load_for_worker())
    start_watching(app)
    write_at_the_end(app)
    watched = app.extensions["watched"]
    watched.reporter.log.info("started", pid=os.getpid(), versions=watched.versions())
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_BEFORE_A_LOOK)
    return app


def write_at_the_end(app: Flask) -> None:
    """When this worker ends, write what waits; the audit of the last calls is still in its queue.

    The server's workers are processes of multiprocessing, which ends them without atexit.
    """
    parts: Parts = app.extensions["naltrexone_cds"]
    Finalize(None, _write_what_waits, (parts,), exitpriority=1)


def _write_what_waits(parts: Parts) -> None:
    parts.audit.close(LAST_SECONDS)
    parts.water.save(at_once=True)
    parts.store.close()
    parts.reporter.sink.close()


def start_watching(app: Flask) -> None:
    """Look at the health of everything in the background, have the clients' keys before their first calls, and count
    what the store holds for the page that shows it."""
    app.extensions["health"].start()
    threading.Thread(
        target=app.extensions["watched"].ask_for_keys, name="first-keys", daemon=True
    ).start()
    if (tally := app.extensions.get("use_tally")) is not None:
        threading.Thread(target=tally.warm_up, name="first-count", daemon=True).start()


def _make_ops(app: Flask, parts: Parts, settings: Settings, now: Clock) -> Blueprint:
    reporter = parts.reporter
    watched = Watched(
        settings,
        parts.engine,
        parts.store,
        parts.audit,
        parts.pseudonyms,
        parts.water,
        parts.fhir,
        parts.keys,
        parts.authentication is not None,
        reporter,
        parts.overlay_refused,
        parts.smart_key_fault,
    )
    health = Health(
        watched.checks(),
        parts.log,
        now,
        gauges=watched.set_gauges,
        on_jump=lambda: reporter.numbers.count(CLOCK_JUMPS),
    )
    app.extensions |= {"health": health, "watched": watched}
    return make_ops(
        health,
        watched.started,
        watched.versions(),
        reporter.numbers if settings.has_metrics else None,
    )


def make_parts(settings: Settings, now: Clock = utc_now, rules: tuple[Rule, ...] = RULES) -> Parts:
    """Everything that a worker opens; raises SettingsError, ContentError or StoreError for what no waiting mends."""
    configuration.check_topics(settings, {rule.id for rule in rules})
    log, sink = open_log(settings.log_level)
    content = signing.in_force(settings, rules)
    if content.refused:
        log.error(
            "content-overlay-refused", complaints=len(content.refused), first=content.refused[0]
        )
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    water = HighWater(settings.high_water)
    reporter = Reporter(log, sink, Metrics(), water)
    reporter.begin()
    store = open_store(settings.database, now, reporter.witness)
    _compare_with_mark(store, water, reporter, now)
    audit = AuditLog(
        store,
        settings.audit,
        retention_days=settings.audit_retention_days,
        clock=now,
        water=water,
        retention_file=settings.high_water.with_name("retention.json"),
        on_loss=reporter.lost,
    )
    outbound = make_outbound(settings)
    keys = JwksCache(jwks_getter(settings, outbound))
    pseudonyms = Pseudonyms(settings.audit_key, make=not settings.audit_key_file)
    smart_key, smart_key_fault = _smart_key(settings, log)
    return Parts(
        engine=Engine(
            terminology.load(settings.terminology_dir),
            content.content,
            settings.zone,
            settings.base_url,
            make_ids(),
            rules,
        ),
        store=store,
        audit=audit,
        feedback=FeedbackJournal(
            store, cards_recorded=audit.records_cards, water=water, on_loss=reporter.lost
        ),
        pseudonyms=pseudonyms,
        overridden=OverriddenCards(store, pseudonyms, now),
        fhir=FhirClient(
            settings.limits,
            (*settings.fhir_bases, *(DEMO_BASES if settings.is_demo else ())),
            outbound=outbound,
        ),
        keys=keys,
        authentication=_authentication(settings, keys, store, now, reporter),
        reporter=reporter,
        water=water,
        smart_key=smart_key,
        smart_key_fault=smart_key_fault,
        overlay_refused=content.refused,
    )


def _compare_with_mark(store: Store, water: HighWater, reporter: Reporter, now: Clock) -> None:
    """Say at once what the store no longer holds; a store that cannot be read now is compared by its next write."""
    try:
        with store.read() as connection:
            for loss in reconcile(connection, water, written(now())):
                reporter.lost(loss)
    except Unavailable:
        return
    water.save(at_once=True)


def _authentication(
    settings: Settings, keys: JwksCache, store: Store, now: Clock, reporter: Reporter
) -> ClientAuthentication | None:
    if settings.auth_mode == "off":
        return None
    keys.keep_fresh(
        source
        for c in known_clients(settings)
        for source in (c.jwks_file or c.jwks_url, *c.jku)
        if source
    )
    unshared = Seldom(lambda times: reporter.log.error("used-tokens-unavailable", times=times))

    def on_failure() -> None:
        unshared.happened()
        reporter.numbers.count(TOKENS_UNSHARED)

    seen = used_tokens.SeenTokens(
        store.writer,
        lambda: now().timestamp(),
        durable=settings.audit == "required",
        on_failure=on_failure,
    )
    return ClientAuthentication(
        settings,
        keys,
        seen,
        lambda: now().timestamp(),
    )


def make_outbound(settings: Settings) -> Outbound:
    """How this site gets out: its authorities and its proxy. Nothing is listed yet; threads and connections of its own."""
    return Outbound(
        (),
        settings.is_demo,
        trust=usual_trust(settings.ca_file) if settings.ca_file else None,
        proxy=read_place(settings.outbound_proxy) if settings.outbound_proxy else None,
    )


def jwks_getter(settings: Settings, outbound: Outbound | None = None) -> Callable[[str], bytes]:
    """Key documents come through the same guarded door as FHIR data: listed URLs, pinned addresses, no redirects."""
    listed = tuple(url for c in known_clients(settings) for url in (c.jwks_url, *c.jku) if url)
    door = replace(outbound or make_outbound(settings), listed=listed, max_bytes=256_000)
    seconds = settings.limits.jwks_timeout_ms / 1_000

    def get(url: str) -> bytes:
        answer = door.call("GET", url, seconds=seconds, headers={"Accept": "application/json"})
        if answer.status != 200:
            raise LookupError("no key document")
        return answer.body

    return get


def _feedback_into(
    parts: Parts, settings: Settings, now: Clock
) -> Callable[[Service, object, Client | None], None]:
    def record(service: Service, body: object, client: Client | None) -> None:
        items = read_feedback(body, service.id, settings.limits.feedback_items)
        issuer, quota = (
            (client.issuer, client.feedback_quota)
            if client
            else ("", Client(issuer="").feedback_quota)
        )
        parts.feedback.record(items, issuer=issuer, now=now(), quota=quota)
        with contextlib.suppress(
            Exception
        ):  # what is on disk is acknowledged, whatever a number does
            for item in items:
                parts.reporter.numbers.count(FEEDBACK, item.outcome)

    return record


def _smart_services(parts: Parts, settings: Settings, now: Clock) -> SmartServices:
    """The titration app on the same engine and the same store as the hooks."""

    def clock() -> float:
        return now().timestamp()

    listed = registrations(settings)
    outbound = make_outbound(
        settings
    )  # an EHR that hangs in a launch takes no thread from the hooks
    return SmartServices(
        content=parts.engine.content,
        sessions=SmartSessions(parts.store, parts.smart_key, clock),
        oauth=SmartOauth(
            listed,
            f"{settings.base_url}/smart/callback",
            allow_http=settings.is_demo,
            clock=clock,
            outbound=lambda urls: replace(outbound, listed=urls),
        ),
        ehr=EhrServer(
            listed,
            allow_http=settings.is_demo,
            limits=settings.limits,
            outbound=lambda urls, cap: replace(outbound, listed=urls, max_bytes=cap),
        ),
        judge=HookJudge(parts.engine),
        now=now,
        log=parts.log.warning,
    )


def _smart_key(settings: Settings, log: Any) -> tuple[bytes, str]:
    """The key of the app's sessions, and why it is not kept. A full or read-only disk must not cost a card: then the
    key lives with this worker.
    """
    try:
        file = settings.smart.key_file or Path(settings.data_dir) / "smart.key"
        return read_or_make_key(Path(file)), ""
    except OSError as error:
        fault = type(error).__name__
        log.error("smart-key-unavailable", why=fault)
        return Fernet.generate_key(), fault


def _launches_refused(log: Any) -> Callable[[], None]:
    """Say now and then that launches come faster than they are admitted."""
    return Seldom(lambda times: log.warning("smart-launches-refused", times=times)).happened


def _middleware(application: Any, settings: Settings) -> Any:
    wrapped = wire.MergeSlashes(application)
    return (
        ProxyFix(wrapped, x_for=1, x_proto=1, x_host=0, x_port=0)
        if settings.trusted_proxy
        else wrapped
    )
