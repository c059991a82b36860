"""Connections of users. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Id, Instant, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "connection",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("peer_organization_id", Id, nullable=False),
        sa.Column("peer_user_id", Id, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "peer_organization_id", "peer_user_id"),
    )
    op.create_table(
        "connection_offer",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("token_hash", Text, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id"),
        sa.UniqueConstraint("token_hash", name="connection_offer_token"),
    )
