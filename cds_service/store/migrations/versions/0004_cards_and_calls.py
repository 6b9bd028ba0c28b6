"""What a dashboard needs of each shown card, without clinical text, and how many calls each client made lately.

Cards that were shown before are left without these facts: nobody can tell them any more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXTS = (
    "rule",
    "situation",
    "indicator",
    "hook",
    "client",
    "release",
    "content_version",
    "rules_version",
    "prescriber",
)


def upgrade() -> None:
    """Add the columns and make the table of counts."""
    for name in TEXTS:
        op.add_column("shown_card", sa.Column(name, sa.Text))
    op.add_column("shown_card", sa.Column("shown_at", sa.DateTime(timezone=True)))
    op.create_table(
        "client_calls",
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
    )
