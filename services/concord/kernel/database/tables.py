"""The tables every service has for the kernel: outbox, feed registry and cursors, request records."""

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, Table
from sqlalchemy.schema import PrimaryKeyConstraint

from concord.kernel.database.columns import Bytes, Counter, Id, Instant, Text

_KERNEL = MetaData()

outbox_event = Table(
    "outbox_event",
    _KERNEL,
    # AUTOINCREMENT: a number is never given twice, even after the newest rows were trimmed.
    Column("revision", Counter, primary_key=True, autoincrement=True),
    Column("organization_id", Text, nullable=False),
    Column("time", Instant, nullable=False),
    Column("payload", Bytes, nullable=False),
    sqlite_autoincrement=True,
)

# Producer side: who watches. A registered consumer that is absent keeps writes "spreading".
feed_consumer = Table(
    "feed_consumer",
    _KERNEL,
    Column("name", Text, primary_key=True),
    Column("applied_revision", BigInteger, nullable=False),
    Column("seen_time", Instant, nullable=False),
)

# Consumer side: how far each source has been applied.
feed_cursor = Table(
    "feed_cursor",
    _KERNEL,
    Column("source", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

request_record = Table(
    "request_record",
    _KERNEL,
    Column("principal", Text, nullable=False),
    Column("request_id", Id, nullable=False),
    Column("rpc", Text, nullable=False),
    Column("body_hash", Bytes, nullable=False),
    Column("answer_type", Text, nullable=False),
    Column("answer", Bytes, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("awaited", Boolean, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    PrimaryKeyConstraint("principal", "request_id"),
    Index("request_record_expire_time", "expire_time"),
)


def kernel_tables(metadata: MetaData) -> None:
    """Add the kernel's tables to a service's metadata, so that its history can be compared with it."""
    for table in _KERNEL.sorted_tables:
        if table.name not in metadata.tables:
            table.to_metadata(metadata)
