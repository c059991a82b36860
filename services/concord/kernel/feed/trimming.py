"""Letting go of events that every consumer has applied long ago, a little at a time.

How far that went stands in the registry of consumers, in the row without a name: whoever
stands before it can no longer be told everything, and must hear so instead of missing it.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from concord.kernel.database.contract import Connection
from concord.kernel.database.tables import feed_consumer, outbox_event

KEPT: Final = timedelta(days=7)
AT_ONCE: Final = 1000
NOBODY: Final = ""

_FLOOR = select(feed_consumer.c.applied_revision).where(feed_consumer.c.name == NOBODY)
_APPLIED = select(func.min(feed_consumer.c.applied_revision)).where(
    feed_consumer.c.name != NOBODY,
    feed_consumer.c.seen_time >= bindparam("since", type_=feed_consumer.c.seen_time.type),
)
_HEAD = select(func.max(outbox_event.c.revision))
_OLDEST = (
    select(outbox_event.c.revision, outbox_event.c.time).order_by(outbox_event.c.revision).limit(bindparam("most"))
)
_DELETE = delete(outbox_event).where(outbox_event.c.revision <= bindparam("last"))
_BEGIN = insert(feed_consumer)
_MOVE = (
    update(feed_consumer)
    .where(feed_consumer.c.name == bindparam("of"))
    .values(applied_revision=bindparam("last"), seen_time=bindparam("at", type_=feed_consumer.c.seen_time.type))
)


def floor(connection: Connection) -> int:
    """Return up to where events are gone; 0 where all are there."""
    return connection.execute(_FLOOR).scalar() or 0


def trim(connection: Connection, now: datetime, since: datetime) -> bool:
    """Delete some old events that all consumers seen since then have applied; tell whether more are due."""
    applied, head = connection.execute(_APPLIED, {"since": since}).scalar(), connection.execute(_HEAD).scalar()
    if applied is None or head is None:
        return False
    last, count = 0, 0
    for revision, time in connection.execute(_OLDEST, {"most": AT_ONCE}):
        # Only from the front, so that one number says what is gone. The newest stays: it tells where the feed stands.
        if revision > applied or revision == head or time > now - KEPT:
            break
        last, count = revision, count + 1
    if not count:
        return False
    connection.execute(_DELETE, {"last": last})
    if not connection.execute(_MOVE, {"of": NOBODY, "last": last, "at": now}).rowcount:
        connection.execute(_BEGIN, {"name": NOBODY, "applied_revision": last, "seen_time": now})
    return count == AT_ONCE
