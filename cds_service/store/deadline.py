"""How long a server of ours may take to answer one statement before its connection is given up."""

from __future__ import annotations

DEADLINE_SECONDS = 5.0  # above the server's own time-outs, which say more
