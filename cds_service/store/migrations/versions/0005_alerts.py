"""What a shown card rests on, as a keyed hash: an alert that was overridden can be known again.

Only where a client asks for repeats in one line; NULL otherwise, and for cards that were shown before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("shown_card", sa.Column("alert", sa.Text))
    op.create_index("shown_card_alert", "shown_card", ["alert"])
