"""Units of work: the one way handlers read and write, and consumers apply what others committed."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import bindparam, insert, select, update

from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.clock import Clock
from concord.kernel.database.columns import to_microseconds
from concord.kernel.database.contract import Connection, Database, OutboxRow
from concord.kernel.database.tables import feed_cursor
from concord.kernel.errors import Invalid, NotFound, Unavailable
from concord.kernel.feed.revision import SPREADING, add_trailing
from concord.kernel.ids import OrganizationId
from concord.kernel.keyring import Keyring
from concord.kernel.paging import PageRequest, PageTokens
from concord.kernel.principal import Author, PrincipalRef, Reach
from concord.kernel.requests import Replay, RequestRecords
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.wire import author_from_wire, author_to_wire

if TYPE_CHECKING:
    from concord.kernel.feed.consumer import Consumer
    from concord.kernel.feed.producer import Feed

_EVERYTHING: Final = Reach()
_NOBODY: Final = Author(principal=None)
_UNTOLD: Final = author_to_wire(_NOBODY)
_NOWHERE: Final = OrganizationId("")

S = TypeVar("S")
T = TypeVar("T")
M = TypeVar("M", bound=Message)

_ANY_PREFIX: Final = "type.googleapis.com/"
# More changes than that take too long for the event loop; what is new has nothing hanging on it yet.
_SHORT_PAGE: Final = 64
# Values kept between two commits.
_MOST_KEPT: Final = 4_096
_NEW: Final = ".created"

_CURSOR = select(feed_cursor.c.revision).where(feed_cursor.c.source == bindparam("source"))
# Locked so that two processes of one service cannot apply the same page side by side.
_CURSOR_LOCKED = _CURSOR.with_for_update()
_MOVE_CURSOR = update(feed_cursor).where(feed_cursor.c.source == bindparam("of")).values(revision=bindparam("to"))
_NEW_CURSOR = insert(feed_cursor)


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation did to one resource. `before` and `after` are domain objects."""

    type: str
    resource_type: str
    resource_id: str
    resource_name: str = ""
    before: object | None = None
    after: object | None = None
    security_relevant: bool = False
    """Takes rights away, or may: the answer waits for live consumers."""
    awaited: bool = False
    """The answer waits although nothing is taken away."""
    organization_id: OrganizationId | None = None
    """Where the change happened, when not in the unit's own organization."""
    unattributed: bool = False
    """Not told who did it: somebody of another organization, of whom only the change itself may be known."""


def _admit_everyone(principal: PrincipalRef) -> None:
    """Consumers act for the suite: whom they touch was decided by the producer."""


@dataclass
class Unit(Generic[S]):
    """What an operation works with. It may run twice, so it touches the store and nothing else."""

    store: S
    organization_id: OrganizationId
    now: datetime
    author: Author
    reach: Reach
    admit: Callable[[PrincipalRef], None] = field(default=_admit_everyone, repr=False)
    changes: list[Change] = field(default_factory=list)

    def record(self, change: Change) -> None:
        """Say what was done; the audit fact and the event to others are made from it."""
        self.changes.append(change)

    def require_target(self, principal: PrincipalRef) -> None:
        """Raise Denied unless the decision admits a thing of this principal."""
        self.admit(principal)


class _Following(Unit[S]):
    """A unit that follows from changes, one after the other: their authors are its own, by no rpc of this service."""

    def follow(self, event: ChangeEvent) -> None:
        """Go on to the next change."""
        self._event = event
        self.organization_id = OrganizationId(event.organization_id)
        if self.changes:
            self.changes = []

    # Read from its message only when asked for: most of what is followed changes nothing of one's own.
    @property
    def author(self) -> Author:
        """Who made the change."""
        return replace(author_from_wire(cast(Any, self._event.author)), rpc="")

    @author.setter
    def author(self, author: Author) -> None:
        """Pass over what a unit is made with."""


@dataclass(slots=True)
class _Outcome(Generic[M]):
    answer: M
    awaited: bool
    # A replayed answer was committed by an earlier call, at the latest at this revision.
    committed: int | None = None


class Units(Generic[S]):
    """A service's units of work: its database, its store over it, and its feed."""

    def __init__(
        self,
        *,
        service: str,
        database: Database,
        store: Callable[[Connection], S],
        snapshot: Callable[[Any], Message],
        clock: Clock,
        feed: "Feed",
        seal: Keyring,
        page_tokens: PageTokens,
        catch_up: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.service = service
        self.database = database
        self.feed = feed
        self.clock = clock
        self._store = store
        self._snapshot = snapshot
        self._records = RequestRecords(service, seal)
        self._page_tokens = page_tokens
        self._catch_up = catch_up or self._catch_up_consumer
        self._consumers: dict[str, Consumer] = {}
        self._kept: dict[Hashable, Any] = {}
        self._kept_since = -1

    def attach(self, consumer: "Consumer") -> None:
        """Let reads and unknown references wait for this consumer."""
        self._consumers[consumer.source] = consumer

    def page_request(
        self,
        request: Message,
        *,
        orders: Sequence[str],
        default_order: str,
        organization_id: OrganizationId | None = None,
    ) -> PageRequest:
        """Read the paging fields of a List request of the current call."""
        organization = organization_id or Call.current().organization_id
        return self._page_tokens.request(
            request, organization_id=organization, orders=orders, default_order=default_order
        )

    async def read(self, fn: Callable[[S], T]) -> T:
        """Run a function over one snapshot of the store."""
        return await self.database.read(lambda connection: fn(self._store(connection)))

    def look(self, fn: Callable[[S], T]) -> Awaitable[T]:
        """Run a function that reads the store with one statement at most. It costs less than a snapshot."""
        store = self._store
        return self.database.look(lambda connection: fn(store(connection)))

    async def recall(self, key: Hashable, look: Callable[[S], T]) -> T:
        """Run a function as `look` does, or return what it found last, if nothing was committed since.

        What is kept is shared: it must not be changed. Where other processes may commit, nothing is kept.
        """
        database, kept = self.database, self._kept
        commits = database.commits
        if commits is None:
            return await self.look(look)
        if commits != self._kept_since:
            kept.clear()
            self._kept_since = commits
        elif key in kept:
            found: T = kept[key]
            return found
        value = await self.look(look)
        # A commit meanwhile may have come before or after the look.
        if database.commits == self._kept_since == commits:
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            kept[key] = value
        return value

    async def wait_until_fresh(self, vector: Mapping[str, int], seconds: float = 5.0) -> None:
        """Wait until what this service copied from others is at least as fresh; its own rows always are.

        What was concluded from its own rows is not: where another process on the same database has
        committed since, that is noticed here.
        """
        if vector.get(self.service, 0) > self.feed.head:
            await self.feed.read_head()
        for source, revision in vector.items():
            consumer = self._consumers.get(source)
            if consumer is not None and consumer.cursor < revision:
                await consumer.wait_until(revision, seconds)

    async def write(
        self,
        request: Message,
        operation: Callable[[Unit[S]], T],
        pack: Callable[[T], M] | None = None,
        *,
        secret: bool = False,
        organization_id: OrganizationId | None = None,
        awaits: Sequence[str] = (),
    ) -> M:
        """Carry out a write rpc: the one way a handler writes.

        Honours `validate_only` and `request_id`, writes events, and answers a change that must
        be seen by others only after they have applied it, or with `concord-spreading: true`.
        Without `pack` the answer is what others are told about the operation's result.
        With `secret` the answer is kept sealed and replayed for ten minutes only. An operation
        that fails on a reference is tried once more after the sources in `awaits` have been
        caught up with: what is unknown here may merely be on its way.
        """
        call = Call.current()
        organization = call.organization_id if organization_id is None else organization_id
        try:
            try:
                outcome, revision = await self._attempt(call, organization, request, operation, pack, secret)
            except (NotFound, Invalid) as error:
                if not awaits or not _may_be_a_reference(error):
                    raise
                for source in awaits:
                    await self._catch_up(source)
                outcome, revision = await self._attempt(call, organization, request, operation, pack, secret)
        except Exception:
            add_trailing(call.trailing, self.service, self.feed.head)
            raise
        add_trailing(call.trailing, self.service, max(self.feed.head, revision or 0))
        if outcome.awaited and revision is not None and not await self.feed.barrier(revision):
            call.trailing[:] = [each for each in call.trailing if each[0] != SPREADING] + [(SPREADING, "true")]
        return outcome.answer

    async def _attempt(
        self,
        call: Call,
        organization: OrganizationId,
        request: Any,
        operation: Callable[[Unit[S]], T],
        pack: Callable[[T], M] | None,
        secret: bool,
    ) -> tuple[_Outcome[M], int | None]:
        now = self.clock.now()
        author, reach = call.author, call.reach
        validate_only = bool(getattr(request, "validate_only", False))
        request_id: str = getattr(request, "request_id", "")
        record = None
        if request_id and not validate_only:
            record = self._records.begin(request, author, organization, secret=secret, now=now)

        def body(connection: Connection) -> _Outcome[M]:
            if record is not None:
                replay: Replay | None = record.find(connection)
                if replay is not None:
                    return _Outcome(replay.answer, replay.awaited, replay.revision)
            unit = Unit(self._store(connection), organization, now, author, reach, call.require_target)
            value = operation(unit)
            told: Any = self._snapshot(value) if pack is None else None
            answer: M = told if pack is None else pack(value)
            awaited = self._publish(connection, unit, value, told)
            if record is not None:
                record.keep(connection, answer, awaited)
            return _Outcome(answer, awaited)

        written = await self.database.write(organization, body, rollback=validate_only)
        outcome = written.value
        if validate_only:
            return outcome, None
        revision = written.revision if outcome.committed is None else outcome.committed
        if written.revision is not None:
            self.feed.advance(written.revision, urgent=outcome.awaited)
        return outcome, revision

    async def system(self, organization_id: OrganizationId, operation: Callable[[Unit[S]], T], author: Author) -> T:
        """Run an operation that no call asked for: sweeps, births. Its changes are published, nothing waits."""
        now = self.clock.now()

        def body(connection: Connection) -> tuple[T, bool]:
            unit = Unit(self._store(connection), organization_id, now, author, Reach())
            value = operation(unit)
            return value, self._publish(connection, unit)

        written = await self.database.write(organization_id, body, aside=True)
        value, urgent = written.value
        if written.revision is not None:
            self.feed.advance(written.revision, urgent=urgent)
        return value

    async def cursor(self, source: str) -> int:
        """Return up to where a source's changes have been applied here."""
        return await self.database.read(
            lambda connection: connection.execute(_CURSOR, {"source": source}).scalar() or 0
        )

    async def apply(
        self, source: str, events: Sequence[ChangeEvent], fn: Callable[[Unit[S], ChangeEvent], None]
    ) -> int:
        """Apply changes of another service and move the cursor in one transaction; return the cursor.

        Changes at or before the cursor are passed over, so each takes effect exactly once
        whoever delivers it, and however often.
        """
        if not events:
            return await self.cursor(source)
        now = self.clock.now()

        def body(connection: Connection) -> tuple[int, bool]:
            urgent = False
            unit = _Following(self._store(connection), _NOWHERE, now, _NOBODY, _EVERYTHING)
            known = connection.execute(_CURSOR_LOCKED, {"source": source}).scalar()
            cursor = known or 0
            for event in events:
                if event.revision <= cursor:
                    continue
                cursor = event.revision
                unit.follow(event)
                fn(unit, event)
                if unit.changes:
                    urgent = self._publish(connection, unit) or urgent
            if known is None:
                connection.execute(_NEW_CURSOR, {"source": source, "revision": cursor})
            elif cursor > known:
                connection.execute(_MOVE_CURSOR, {"of": source, "to": cursor})
            return cursor, urgent

        # Every organization on the page: effects must not overlap with what its callers write.
        key = tuple(sorted({event.organization_id for event in events}))
        long = len(events) > _SHORT_PAGE and sum(not event.type.endswith(_NEW) for event in events) > _SHORT_PAGE
        written = await self.database.write(key, body, aside=long)
        cursor, urgent = written.value
        if written.revision is not None:
            self.feed.advance(written.revision, urgent=urgent)
        return cursor

    def _publish(
        self, connection: Connection, unit: Unit[S], known: object = None, told: Message | None = None
    ) -> bool:
        """Put the unit's changes into the outbox; tell whether the answer must wait for consumers.

        Of one value it may be known already what others are told about it.
        """
        awaited = False
        if not unit.changes:
            return awaited
        author = author_to_wire(unit.author)
        seconds, microseconds = divmod(to_microseconds(unit.now), 1_000_000)
        time = Timestamp(seconds=seconds, nanos=microseconds * 1000)
        for change in unit.changes:
            awaited = awaited or change.security_relevant or change.awaited
            event = ChangeEvent(
                organization_id=change.organization_id or unit.organization_id,
                type=change.type,
                resource_type=change.resource_type,
                resource_id=change.resource_id,
                resource_name=change.resource_name,
                security_relevant=change.security_relevant,
                author=_UNTOLD if change.unattributed else author,
                time=time,
                before=self._packed(change.before, known, told),
                after=self._packed(change.after, known, told),
            )
            connection.publish(OutboxRow(event.organization_id, unit.now, event.SerializeToString()))
        return awaited

    def _packed(self, value: object, known: object, told: Message | None) -> AnyMessage | None:
        if value is None:
            return None
        message = told if told is not None and value is known else self._snapshot(value)
        return AnyMessage(type_url=_ANY_PREFIX + message.DESCRIPTOR.full_name, value=message.SerializeToString())

    async def _catch_up_consumer(self, source: str) -> None:
        consumer = self._consumers.get(source)
        if consumer is None:
            raise Unavailable(f"changes of `{source}` are not followed yet")
        await consumer.catch_up()


def _may_be_a_reference(error: NotFound | Invalid) -> bool:
    return isinstance(error, NotFound) or any(each.rule in ("unknown", "reference") for each in error.violations)
