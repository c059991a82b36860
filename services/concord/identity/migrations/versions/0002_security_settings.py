"""Demanded second factors, and locks to show. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; what exists demands no second factor, and is not locked as far as is known."""
    op.add_column("security_settings", sa.Column("enforce_mfa", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("user", sa.Column("password_locked", sa.Boolean, nullable=False, server_default=sa.false()))
