"""Rights that were frozen for sessions. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Id, Instant, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create what keeps them."""
    op.create_table(
        "rights_snapshot",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("content_hash", Text, nullable=False),
        sa.Column("capture_time", Instant, nullable=False),
        sa.Column("sources", Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="rights_snapshot_key"),
    )
    op.create_index("rights_snapshot_capture_time", "rights_snapshot", ["capture_time"])
    op.create_table(
        "frozen_session",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("snapshot_id", Id, nullable=False),
        sa.Column("principal_kind", Text, nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("api_key_id", Id, nullable=True),
        sa.Column("expire_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="frozen_session_key"),
    )
    op.create_index("frozen_session_snapshot", "frozen_session", ["organization_id", "snapshot_id"])
    op.create_index("frozen_session_principal", "frozen_session", ["organization_id", "principal_kind", "principal_id"])
    op.create_index("frozen_session_api_key", "frozen_session", ["organization_id", "api_key_id"])
    op.create_index("frozen_session_expire_time", "frozen_session", ["expire_time"])
