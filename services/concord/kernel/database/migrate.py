"""Brings a schema up to date: one Alembic history for each service, its environment supplied here.

A service's folder holds nothing but `versions/*.py`.
"""

import re
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, MetaData, inspect, text

from concord.kernel.database.tables import kernel_tables

_ASSIGNED: Final = re.compile(r"""^(revision|down_revision)\b[^=\n]*=\s*(?:["']([^"']+)["']|None)""", re.MULTILINE)
# `alembic.op` is one global for the process: two upgrades side by side would write into each other's databases.
_ONE_AT_A_TIME: Final = Lock()
_VERSION: Final = text("SELECT version_num FROM alembic_version")


class BadHistory(Exception):
    """The files of a history do not make one line."""


def head_revision(migrations: Path) -> str:
    """Return the newest revision of a history, read without importing Alembic or the files."""
    revisions: set[str] = set()
    below: set[str] = set()
    for path in sorted((migrations / "versions").glob("*.py")):
        found: dict[str, str] = dict(_ASSIGNED.findall(path.read_text(encoding="utf-8")))
        if found.get("revision"):
            revisions.add(found["revision"])
            below.add(found.get("down_revision", ""))
    heads = revisions - below
    if len(heads) != 1:
        raise BadHistory(f"{migrations.parent.name} has {len(heads)} newest migrations instead of one")
    return heads.pop()


def migrate(connection: Connection, metadata: MetaData, migrations: Path | None, *, begin: str) -> None:
    """Upgrade a schema when it is behind. The caller holds the lock that keeps other processes out.

    `begin` is the engine's statement that starts a transaction; the driver is in autocommit.
    """
    kernel_tables(metadata)
    driver: Any = connection.connection.driver_connection
    # SQLAlchemy believes itself in a transaction from its first statement on. So neither it nor
    # Alembic commits: the transaction that counts is the one said here.
    connection.execute(text("SELECT 1"))
    if migrations is not None and _current(connection) == head_revision(migrations):
        return
    driver.execute(begin)
    try:
        if migrations is None:
            metadata.create_all(connection)
        else:
            _upgrade(connection, metadata, migrations)
        driver.execute("COMMIT")
    except BaseException:
        driver.execute("ROLLBACK")
        raise


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(_VERSION).scalar()


def _upgrade(connection: Connection, metadata: MetaData, migrations: Path) -> None:
    # Lazy: 0.14 s that an up-to-date database does not need.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(migrations))
    environment = EnvironmentContext(
        Config(), script, fn=lambda revision, context: script._upgrade_revs("head", revision), destination_rev="head"
    )
    with _ONE_AT_A_TIME, environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
        environment.run_migrations()


def create_kernel_tables_1() -> None:
    """Create the kernel's tables as of their first form; called by each service's first migration.

    Written out and never edited: a later form is a later function and a later migration.
    """
    import sqlalchemy as sa
    from alembic import op

    from concord.kernel.database.columns import Bytes, Counter, Id, Instant, Text

    op.create_table(
        "outbox_event",
        sa.Column("revision", Counter, primary_key=True, autoincrement=True),
        sa.Column("organization_id", Text, nullable=False),
        sa.Column("time", Instant, nullable=False),
        sa.Column("payload", Bytes, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "feed_consumer",
        sa.Column("name", Text, primary_key=True),
        sa.Column("applied_revision", sa.BigInteger, nullable=False),
        sa.Column("seen_time", Instant, nullable=False),
    )
    op.create_table(
        "feed_cursor",
        sa.Column("source", Text, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "request_record",
        sa.Column("principal", Text, nullable=False),
        sa.Column("request_id", Id, nullable=False),
        sa.Column("rpc", Text, nullable=False),
        sa.Column("body_hash", Bytes, nullable=False),
        sa.Column("answer_type", Text, nullable=False),
        sa.Column("answer", Bytes, nullable=False),
        sa.Column("sealed", sa.Boolean, nullable=False),
        sa.Column("awaited", sa.Boolean, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("principal", "request_id"),
    )
    op.create_index("request_record_expire_time", "request_record", ["expire_time"])
