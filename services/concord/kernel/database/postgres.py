"""PostgreSQL: one schema for each service, a bounded pool of threads, a lock for each organization.

READ COMMITTED under the lock: the lock is taken in the BEGIN message, so every statement's
snapshot is newer than it. (REPEATABLE READ would take its snapshot before the wait.)
"""

import asyncio
import logging
import random
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import Connection as CoreConnection
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.pool import NullPool

from concord.kernel.database.columns import to_microseconds
from concord.kernel.database.contract import Connection, DatabaseFault, DatabaseSettings, Key, OutboxRow, Written
from concord.kernel.database.facade import Look, Session, UnitConnection, fault
from concord.kernel.database.listener import Listener
from concord.kernel.database.migrate import migrate
from concord.kernel.database.wakes import Wakes
from concord.kernel.errors import RateLimited, Unavailable
from concord.kernel.secret import Secret

T = TypeVar("T")

_TRIES: Final = 8
_AGAIN: Final = frozenset({"40001", "40P01"})
_LOCK_TIMEOUT: Final = "55P03"
_NOTIFY_SECONDS: Final = 0.001
_CONNECT_SECONDS: Final = 10
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_LOG = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    key: Key
    fn: Callable[[Connection], Any]
    rollback: bool
    future: "asyncio.Future[Written[Any]]"


class _Address:
    """Where the server is. Errors about it never repeat it: it holds a password."""

    def __init__(self, url: Secret, schema: str) -> None:
        self._url = url
        self.schema = schema

    def connect(self) -> "psycopg.Connection[Any]":
        """Return a connection in autocommit whose names are the schema's."""
        failed: BaseException
        try:
            connection = psycopg.connect(
                self._url.reveal().replace("postgresql+psycopg://", "postgresql://", 1),
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
            )
            # A process that stops in the middle of a unit must not hold its organization for ever.
            setup = "SET search_path TO {}; SET lock_timeout TO '10s'; SET idle_in_transaction_session_timeout TO '60s'"
            connection.execute(sql.SQL(setup).format(sql.Identifier(self.schema)))
        except Exception as error:
            failed = fault(error)
        else:
            return connection
        # Raised out here: an exception's context is an exception's text waiting to be logged.
        _LOG.error("no connection to the database: %s", failed)
        raise Unavailable(f"no connection to the database ({failed}); is CONCORD_DATABASE_URL right?")


async def open_postgres(
    settings: DatabaseSettings, service: str, metadata: MetaData, migrations: Path | None
) -> "PostgresDatabase":
    """Open the schema named like the service, up to date."""
    assert settings.url is not None
    address = _Address(settings.url, service)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=address.connect,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        hide_parameters=True,
    )
    await asyncio.to_thread(_prepare, address, engine, metadata, migrations)
    database = PostgresDatabase(address, engine, settings)
    await database.start()
    return database


def _prepare(address: _Address, engine: Engine, metadata: MetaData, migrations: Path | None) -> None:
    guard = address.connect()
    try:
        # Held by the session until it closes: processes that start together migrate one by one.
        guard.execute("SET lock_timeout TO 0")
        guard.execute("SELECT pg_advisory_lock(%s)", [_hash64(f"{address.schema}:migrate")])
        guard.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(address.schema)))
        with engine.connect() as connection:
            migrate(connection, metadata, migrations, begin="BEGIN")
    finally:
        guard.close()


class PostgresDatabase:
    """One schema. Belongs to the event loop it was opened in."""

    dialect = "postgresql"

    def __init__(self, address: _Address, engine: Engine, settings: DatabaseSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._engine = engine
        self._queue_limit = settings.queue_limit
        self._threads = ThreadPoolExecutor(settings.pool_size, thread_name_prefix="concord-database")
        self._local = threading.local()
        self._sessions: list[_Session] = []
        self._queues: dict[Key, deque[_Job]] = {}
        self._pending = 0
        self._drains: set[asyncio.Task[None]] = set()
        self._wakes = Wakes()
        self._notifying = False
        self._closed = False
        self._channel = f"concord_{address.schema}"
        self._listener = Listener(address.connect, self._channel, self._heard)

    async def start(self) -> None:
        """Begin to listen for other processes' commits."""
        await asyncio.to_thread(self._listener.start)

    @property
    def generation(self) -> int:
        """See the contract."""
        return self._wakes.generation

    @property
    def commits(self) -> int | None:
        """See the contract. Any number of processes may write to one schema."""
        return None

    async def wait_for_commit(self, generation: int, seconds: float) -> int:
        """See the contract."""
        return await self._wakes.wait(generation, seconds)

    def notify(self) -> None:
        """See the contract."""
        self._wakes.notify()

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """See the contract."""
        if self._closed:
            raise Unavailable("the database is closed")
        return await self._loop.run_in_executor(self._threads, lambda: self._session().read(fn))

    async def look(self, fn: Callable[[Connection], T]) -> T:
        """See the contract."""
        if self._closed:
            raise Unavailable("the database is closed")
        return await self._loop.run_in_executor(self._threads, lambda: self._session().look(fn))

    async def write(
        self, key: Key, fn: Callable[[Connection], T], *, rollback: bool = False, aside: bool = False
    ) -> Written[T]:
        """See the contract. Units of one key queue here, so that waiting ones hold no thread."""
        if self._closed:
            raise Unavailable("the database is closed")
        if self._pending >= self._queue_limit:
            raise RateLimited(1.0, "too many writes are waiting")
        job = _Job(key, fn, rollback, self._loop.create_future())
        self._pending += 1
        queue = self._queues.get(key)
        if queue is not None:
            queue.append(job)
        else:
            queue = self._queues[key] = deque([job])
            task = self._loop.create_task(self._drain(key, queue))
            self._drains.add(task)
            task.add_done_callback(self._drains.discard)
        return await job.future

    async def close(self) -> None:
        """See the contract."""
        if self._closed:
            return
        self._closed = True
        while self._drains:
            await asyncio.gather(*self._drains)
        await asyncio.to_thread(self._close)
        self._wakes.notify()

    def _close(self) -> None:
        self._listener.stop()
        self._threads.shutdown()
        for session in self._sessions:
            session.close()
        self._engine.dispose()

    async def _drain(self, key: Key, queue: deque[_Job]) -> None:
        while queue:
            job = queue.popleft()
            try:
                # Given up before it started: nobody wants it any more.
                if not job.future.cancelled():
                    await self._run(job)
            finally:
                self._pending -= 1
        del self._queues[key]

    async def _run(self, job: _Job) -> None:
        try:
            written = await self._loop.run_in_executor(self._threads, lambda: self._session().write(job))
        except BaseException as error:
            if not job.future.done():
                job.future.set_exception(error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        if not job.future.done():
            job.future.set_result(written)
        if written.revision is not None:
            self._wakes.notify()
            if not self._notifying and not self._closed:
                self._notifying = True
                self._loop.call_later(_NOTIFY_SECONDS, self._tell_others)

    def _tell_others(self) -> None:
        """Notify once for all commits of the last moment: a NOTIFY in each would slow every write."""
        self._notifying = False
        if not self._closed:
            self._threads.submit(self._notify_channel)

    def _notify_channel(self) -> None:
        try:
            self._session().driver.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(self._channel)))
        except Exception as error:
            _LOG.warning("other processes were not woken: %s", fault(error))

    def _heard(self) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(self._wakes.notify)

    def _session(self) -> "_Session":
        session: _Session | None = getattr(self._local, "session", None)
        if session is None or session.is_broken:
            if session is not None:
                session.close()
                self._sessions.remove(session)
            session = self._local.session = _Session(self._engine.connect(), self._address.schema)
            self._sessions.append(session)
        return session


class _Session:
    """One thread's connection."""

    def __init__(self, core: CoreConnection, schema: str) -> None:
        self._core = core
        driver = core.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self.driver: psycopg.Connection[Any] = driver
        self._running = Session(core)
        # Two spaces of advisory locks: (schema, organization) in the first, publishing in the second.
        self._space = _hash32(schema)
        self._publish_lock = _hash64(f"{schema}:publish")

    @property
    def is_broken(self) -> bool:
        """Whether the connection is gone."""
        return self.driver.closed

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._core.invalidate()
        self._core.close()

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a function over one snapshot."""
        try:
            self.driver.execute(_READ)
            value = UnitConnection(self._running).run(fn)
            self.driver.execute("ROLLBACK")
        except BaseException as error:
            self._roll_back()
            failure = _translated(error)
        else:
            return value
        raise failure

    def look(self, fn: Callable[[Connection], T]) -> T:
        """Run a function of one statement, which commits by itself: one round trip instead of three."""
        try:
            return Look(self._running).run(fn)
        except BaseException as error:
            failure = _translated(error)
        raise failure

    def write(self, job: _Job) -> Written[Any]:
        """Run a unit in a transaction of its own; again when the engine asks for that."""
        for attempt in range(1, _TRIES + 1):
            try:
                return self._write_once(job)
            except DatabaseFault as error:
                if error.code == _LOCK_TIMEOUT:
                    raise Unavailable("others hold what this write needs") from None
                if error.code not in _AGAIN or attempt == _TRIES:
                    raise
                time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311 - spreads retries, guards nothing
        raise AssertionError("unreachable")

    def _write_once(self, job: _Job) -> Written[Any]:
        committing = False
        try:
            self.driver.execute(f"BEGIN; {self._lock(job.key)}".encode())
            connection = UnitConnection(self._running)
            value = connection.run(job.fn)
            if job.rollback:
                self.driver.execute("ROLLBACK")
                return Written(value, None)
            committing = True
            return Written(value, self._commit(connection.events))
        except BaseException as error:
            if committing and self.is_broken:
                failure: BaseException = Unavailable("the connection broke at the commit: the write may have happened")
            else:
                failure = _translated(error)
            self._roll_back()
        # Raised out here: as an exception's context the driver's text would travel along.
        raise failure

    def _lock(self, key: Key) -> str:
        keys = sorted({_hash32(each) for each in key}) if isinstance(key, tuple) else [_hash32(key or "")]
        # In the order of their numbers, so that two units cannot wait for each other.
        return "; ".join(f"SELECT pg_advisory_xact_lock({self._space}, {each})" for each in keys)

    def _commit(self, events: list[OutboxRow]) -> int | None:
        """Number the events and commit, in one message: the publishing lock never spans a round trip.

        The lock is held until the commit is visible, so numbers become visible in their order and
        a reader that asks for `revision > n` skips none.
        """
        if not events:
            _require_commit(self.driver.execute("COMMIT"))
            return None
        rows = sql.SQL(", ").join(
            sql.SQL("({}, {}, {})").format(
                sql.Literal(event.organization_id), sql.Literal(to_microseconds(event.time)), sql.Literal(event.payload)
            )
            for event in events
        )
        message = sql.SQL(
            "SELECT pg_advisory_xact_lock({}); "
            "INSERT INTO outbox_event (organization_id, time, payload) VALUES {} RETURNING revision; COMMIT"
        ).format(sql.Literal(self._publish_lock), rows)
        cursor = self.driver.execute(message)
        cursor.nextset()
        revision: int = max(row[0] for row in cursor.fetchall())
        cursor.nextset()
        _require_commit(cursor)
        return revision

    def _roll_back(self) -> None:
        try:
            if not self.driver.closed:
                self.driver.execute("ROLLBACK")
        except psycopg.Error:
            self.driver.close()


def _require_commit(cursor: "psycopg.Cursor[Any]") -> None:
    # COMMIT of a transaction that failed earlier (a unit went on after an error) answers ROLLBACK, politely.
    if cursor.statusmessage != "COMMIT":
        raise DatabaseFault("the unit went on after a failed statement; nothing was committed")


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return Unavailable("the connection to the database broke")
    return fault(error) if isinstance(error, psycopg.Error) else error


def _hash32(text: str) -> int:
    """A signed 32-bit number for a lock. Two organizations that share one merely wait for each other."""
    return zlib.crc32(text.encode()) - 2**31


def _hash64(text: str) -> int:
    return _hash32(text) * 2**31 + zlib.adler32(text.encode()) // 2
