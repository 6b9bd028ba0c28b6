"""The server as shipped, but that a worker remembers fewer tokens by itself: ``python -m tests.soak.serving``

That memory grows for two hours or 50,000 tokens, and would hide for as long whether anything else grows. The store
remembers every token as ever.
"""

from __future__ import annotations

from flask import Flask

from cds_service import app, settings
from cds_service.auth import used_tokens
from cds_service.serving import run

TOKENS = 1_000


def worker() -> Flask:
    used_tokens.RECENT_TOKENS = TOKENS
    return app.worker()


if __name__ == "__main__":
    run(settings.load_for_worker(), target="tests.soak.serving:worker")
