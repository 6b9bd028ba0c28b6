"""The real server with a fixed clock, for tests: ``python -m tests.serving`` reads NALTREXONE_CDS_* variables."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from flask import Flask

from cds_service import settings
from cds_service.app import create_app, write_at_the_end

AS_OF = datetime.fromisoformat(
    os.environ.get("TEST_AS_OF", "2026-11-21T12:00:00+00:00")
).astimezone(UTC)


def application() -> Flask:
    app = create_app(settings.load_for_worker(), now=lambda: AS_OF)
    write_at_the_end(app)
    return app


if __name__ == "__main__":
    from cds_service.serving import run

    run(settings.load_for_worker(), target="tests.serving:application")
