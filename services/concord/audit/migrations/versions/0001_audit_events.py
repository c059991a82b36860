"""Audit events, and the triggers that keep them as they are."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Bytes, Id, Instant, Text
from concord.kernel.database.migrate import create_kernel_tables_1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kernel_tables_1()
    _create_events()
    if op.get_context().dialect.name == "postgresql":
        _refuse_changes_on_postgresql()
    else:
        _refuse_changes_on_sqlite()


def _create_events() -> None:
    op.create_table(
        "audit_event",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("time", Instant, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("action", Text, nullable=False),
        sa.Column("resource_type", Text, nullable=False),
        sa.Column("resource_id", Text, nullable=False),
        sa.Column("resource_name", Text, nullable=False),
        sa.Column("actor_id", Text, nullable=False),
        sa.Column("record", Bytes, nullable=False),
        sa.Column("previous_hash", Bytes, nullable=False),
        sa.Column("hash", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "sequence", name="audit_event_pk"),
        sa.UniqueConstraint("id", name="audit_event_id"),
    )
    op.create_index("audit_event_time", "audit_event", ["organization_id", "time", "sequence"])
    op.create_index("audit_event_resource", "audit_event", ["resource_id"])


def _refuse_changes_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_event_no_{verb.lower()} BEFORE {verb} ON audit_event "
            "BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END"
        )


def _refuse_changes_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit events are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_refuse()"
    )
