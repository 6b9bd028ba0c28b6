"""Composition root: settings in, a WSGI application out. Read from top to bottom."""

from __future__ import annotations

import gc
import random
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from flask import Flask, g
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from cds_service import clinical, terminology
from cds_service import settings as configuration
from cds_service.auth import used_tokens
from cds_service.auth.client_auth import ClientAuthentication, known_clients
from cds_service.auth.jwks import JwksCache
from cds_service.ehr.client import FhirClient
from cds_service.ehr.missing_data import DEMO_BASES, MissingData
from cds_service.fhir import write
from cds_service.hooks.feedback import read_feedback
from cds_service.hooks.services import Service
from cds_service.journal.audit import AuditLog
from cds_service.journal.feedback import FeedbackJournal
from cds_service.journal.pseudonyms import Pseudonyms
from cds_service.journal.telemetry import open_log
from cds_service.outbound.addresses import read_place
from cds_service.outbound.http import Outbound, usual_trust
from cds_service.pipeline import Engine
from cds_service.planner.blueprint import SmartServices, make_smart
from cds_service.planner.ehr_server import EhrServer
from cds_service.planner.judge import HookJudge
from cds_service.planner.oauth import SmartOauth, registrations
from cds_service.planner.sessions import SmartSessions, read_or_make_key
from cds_service.rules import RULES, Rule
from cds_service.settings import Client, Settings
from cds_service.store.store import Store, open_store
from cds_service.web import wire
from cds_service.web.admission import make_admit
from cds_service.web.call_journal import Recorder
from cds_service.web.health_door import open_door
from cds_service.web.hooks import HookPorts, make_hooks
from cds_service.web.ops import make_ops
from cds_service.web.refusals import TakeUnreadBodies

Clock = Callable[[], datetime]
_GARBAGE_BEFORE_A_LOOK = 10_000


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
    fhir: FhirClient
    keys: JwksCache
    authentication: ClientAuthentication | None
    log: Any
    overlay_refused: tuple[str, ...] = ()  # why the site's own content is not used


def create_app(settings: Settings, now: Clock = utc_now, rules: tuple[Rule, ...] = RULES) -> Flask:
    """The whole service for one worker process."""
    parts = make_parts(settings, now, rules)
    app = Flask("cds_service", static_folder=None)
    app.extensions["naltrexone_cds"] = parts

    wire.install(app, settings)
    recorder = Recorder(
        parts.audit,
        parts.pseudonyms,
        parts.log,
        now,
        parts.engine.content.version,
        required=settings.audit == "required",
    )
    recorder.install(app)
    app.register_blueprint(
        make_hooks(
            parts.engine,
            settings,
            HookPorts(
                now=now,
                admit=make_admit(settings, parts.authentication),
                fetch_for=lambda client: MissingData(parts.fhir, settings, client).fetch,
                watch=recorder.watch,
                record_feedback=_feedback_into(parts.feedback, settings, now),
            ),
        )
    )
    app.register_blueprint(make_ops(_checks(parts, settings)))
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
    threading.Thread(target=write.warm_up, name="warm-up", daemon=True).start()
    app.wsgi_app = _middleware(app.wsgi_app, settings)  # type: ignore[method-assign]
    if settings.health_port:
        open_door(app.wsgi_app, settings.host, settings.health_port)
    return app


def worker() -> Flask:
    """Factory for the WSGI server: the settings file and overrides come through the environment.

    What was loaded stays for good, so the garbage collector need not walk it again with every few calls.
    """
    app = create_app(configuration.load_for_worker())
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_BEFORE_A_LOOK)
    return app


def make_parts(settings: Settings, now: Clock = utc_now, rules: tuple[Rule, ...] = RULES) -> Parts:
    """Everything that a worker opens; raises SettingsError, ContentError or StoreError for what no waiting mends."""
    configuration.check_topics(settings, {rule.id for rule in rules})
    log, _ = open_log(settings.log_level)
    content = clinical.load(settings.content_overlay, rules)
    if content.refused:
        log.error(
            "content-overlay-refused", complaints=len(content.refused), first=content.refused[0]
        )
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(settings.database, now)
    for alarm in store.alarms:
        log.error("store-alarm", alarm=alarm)
    audit = AuditLog(store, settings.audit, retention_days=settings.audit_retention_days, clock=now)
    outbound = make_outbound(settings)
    keys = JwksCache(jwks_getter(settings, outbound))
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
        feedback=FeedbackJournal(store, cards_recorded=audit.records_cards),
        pseudonyms=Pseudonyms(
            Path(settings.audit_key_file or Path(settings.data_dir) / "audit.key"),
            make=not settings.audit_key_file,
        ),
        fhir=FhirClient(
            settings.limits,
            (*settings.fhir_bases, *(DEMO_BASES if settings.is_demo else ())),
            outbound=outbound,
        ),
        keys=keys,
        authentication=_authentication(settings, keys, store, now, log),
        log=log,
        overlay_refused=content.refused,
    )


def _authentication(
    settings: Settings, keys: JwksCache, store: Store, now: Clock, log: Any
) -> ClientAuthentication | None:
    if settings.auth_mode == "off":
        return None
    keys.keep_fresh(
        source
        for c in known_clients(settings)
        for source in (c.jwks_file or c.jwks_url, *c.jku)
        if source
    )
    seen = used_tokens.SeenTokens(
        store.writer,
        lambda: now().timestamp(),
        durable=settings.audit == "required",
        on_failure=lambda: log.error("used-tokens-unavailable"),
    )
    return ClientAuthentication(
        settings,
        keys,
        seen,
        lambda: now().timestamp(),
        on_refusal=lambda why: log.warning("refused", why=why, request_id=g.get("request_id", "")),
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
    journal: FeedbackJournal, settings: Settings, now: Clock
) -> Callable[[Service, object, Client | None], None]:
    def record(service: Service, body: object, client: Client | None) -> None:
        items = read_feedback(body, service.id, settings.limits.feedback_items)
        issuer, quota = (
            (client.issuer, client.feedback_quota)
            if client
            else ("", Client(issuer="").feedback_quota)
        )
        journal.record(items, issuer=issuer, now=now(), quota=quota)

    return record


def _smart_services(parts: Parts, settings: Settings, now: Clock) -> SmartServices:
    """The titration app on the same engine and the same store as the hooks."""

    def clock() -> float:
        return now().timestamp()

    listed = registrations(settings)
    outbound = make_outbound(
        settings
    )  # an EHR that hangs in a launch takes no thread from the hooks
    key_file = Path(settings.smart.key_file or Path(settings.data_dir) / "smart.key")
    return SmartServices(
        content=parts.engine.content,
        sessions=SmartSessions(parts.store, _smart_key(key_file, parts.log), clock),
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
    )


def _smart_key(file: Path, log: Any) -> bytes:
    """The key of the app's sessions. A full or read-only disk must not cost a card: then the key lives with this worker."""
    try:
        return read_or_make_key(file)
    except OSError as error:
        log.error("smart-key-unavailable", why=type(error).__name__)
        return Fernet.generate_key()


def _checks(parts: Parts, settings: Settings) -> dict[str, Callable[[], str]]:
    """What readiness looks at. A store that cannot be written degrades: hooks still answer (L11)."""

    def rules() -> str:
        return (
            "ok"
            if parts.engine.terminology.version and parts.engine.content.cards
            else "not ready: no rules"
        )

    def content() -> str:
        faults = len(parts.overlay_refused)
        return (
            f"degraded: content overlay refused ({faults} complaints), packaged content in use"
            if faults
            else "ok"
        )

    def store() -> str:
        if parts.store.writable():
            return "ok"
        return (
            "not ready: audit is required"
            if settings.audit == "required"
            else "degraded: store not writable"
        )

    def keys() -> str:
        if parts.authentication is None:
            return "ok"
        sources = [c.jwks_url for c in known_clients(settings) if c.jwks_url]
        return "ok" if all(map(parts.keys.at_hand, sources)) else "degraded: keys not fetched yet"

    return {"rules": rules, "content": content, "store": store, "keys": keys}


def _middleware(application: Any, settings: Settings) -> Any:
    wrapped = TakeUnreadBodies(wire.MergeSlashes(application))
    return (
        ProxyFix(wrapped, x_for=1, x_proto=1, x_host=0, x_port=0)
        if settings.trusted_proxy
        else wrapped
    )
