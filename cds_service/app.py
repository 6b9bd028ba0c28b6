"""Composition root: settings in, a WSGI application out. Read from top to bottom."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask
from flask_cors import CORS

from cds_service import content, terminology
from cds_service import settings as configuration
from cds_service.pipeline import Desk
from cds_service.settings import Settings
from cds_service.web import wire
from cds_service.web.hooks import HookPorts, make_hooks


def utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, now: Callable[[], datetime] = utc_now) -> Flask:
    """The whole service for one worker process."""
    app = Flask("cds_service", static_folder=None)
    desk = Desk(terminology.load(), content.load(settings.content_overlay), settings.zone, settings.base_url,
                lambda: str(uuid.uuid4()))
    wire.install(app, settings)
    app.register_blueprint(make_hooks(desk, settings, HookPorts(now=now)))
    CORS(app, origins=list(settings.cors_origins), methods=["GET", "POST", "OPTIONS"],
         allow_headers=["Authorization", "Content-Type"], max_age=600, send_wildcard=False, vary_header=True)
    app.wsgi_app = wire.MergeSlashes(app.wsgi_app)  # type: ignore[method-assign]
    return app


def worker() -> Flask:
    """Factory for the WSGI server: the settings file and overrides come through the environment."""
    return create_app(configuration.load_for_worker())
