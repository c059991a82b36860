"""SQLite: reads inline on a held connection, writes by one thread that commits them in groups."""

import asyncio
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection as CoreConnection
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.pool import NullPool

from concord.kernel.database.columns import to_microseconds
from concord.kernel.database.contract import Connection, DatabaseSettings, Key, Written
from concord.kernel.database.facade import UnitConnection, fault
from concord.kernel.database.migrate import migrate
from concord.kernel.database.wakes import Wakes
from concord.kernel.errors import RateLimited, Unavailable

T = TypeVar("T")

BATCH: Final = 256
_BUSY_MILLISECONDS: Final = 5000
_FAST_POLL_SECONDS: Final = 0.005
_IDLE_POLL_SECONDS: Final = 0.05
_FAST_POLLS: Final = 400

_LOG = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    """A unit waiting for the writer, and what became of it."""

    fn: Callable[[Connection], Any]
    rollback: bool
    future: "asyncio.Future[Written[Any]]"
    written: Written[Any] | None = None
    error: BaseException | None = None
    events: bool = False


class _Lost(Exception):
    """SQLite rolled back the whole transaction, and with it every unit of the batch."""


async def open_sqlite(
    settings: DatabaseSettings, service: str, metadata: MetaData, migrations: Path | None
) -> "SqliteDatabase":
    """Open `<data-dir>/<service>.db`, up to date."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.data_dir / f"{service}.db"
    database = await asyncio.to_thread(_open, settings, path, metadata, migrations, asyncio.get_running_loop())
    database.start_polling()
    return database


def _open(
    settings: DatabaseSettings,
    path: Path,
    metadata: MetaData,
    migrations: Path | None,
    loop: asyncio.AbstractEventLoop,
) -> "SqliteDatabase":
    lock = _FileLock(path.with_name(path.name + ".lock"))
    writer = _engine(path, read_only=False, synchronous="OFF" if settings.ephemeral else "FULL").connect()
    with lock.held():
        migrate(writer, metadata, migrations, begin="BEGIN IMMEDIATE")
    reader = _engine(path, read_only=True, synchronous="FULL").connect()
    return SqliteDatabase(writer, reader, lock, loop, settings.queue_limit)


def _engine(path: Path, *, read_only: bool, synchronous: str) -> Engine:
    mode = "ro" if read_only else "rwc"

    def connect() -> sqlite3.Connection:
        # isolation_level None: this module says BEGIN, SAVEPOINT and COMMIT; the driver's own
        # idea of transactions loses savepoints.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
        for pragma in (f"busy_timeout={_BUSY_MILLISECONDS}", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # hide_parameters: error texts must not repeat values.
    return create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


class _FileLock:
    """Makes processes take turns. SQLite's own waiting sleeps and retries, which starves one of them."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class SqliteDatabase:
    """One SQLite file. Belongs to the event loop it was opened in."""

    dialect = "sqlite"

    def __init__(
        self,
        writer: CoreConnection,
        reader: CoreConnection,
        lock: _FileLock,
        loop: asyncio.AbstractEventLoop,
        queue_limit: int,
    ) -> None:
        self._loop = loop
        self._reader = reader
        self._reading: sqlite3.Connection = _driver(reader)
        self._wakes = Wakes()
        self._queue_limit = queue_limit
        self._pending = 0
        self._closed = False
        self._seen_version = self._data_version()
        self._writer = _Writer(writer, lock, self._hand_over)
        self._poll_task: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int:
        """See the contract."""
        return self._wakes.generation

    async def wait_for_commit(self, generation: int, seconds: float) -> int:
        """See the contract."""
        return await self._wakes.wait(generation, seconds)

    def notify(self) -> None:
        """See the contract."""
        self._wakes.notify()

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """See the contract. Runs inline: a point read takes 20 µs, a thread would cost more."""
        if self._closed:
            raise Unavailable("the database is closed")
        self._reading.execute("BEGIN")
        try:
            return UnitConnection(self._reader, self.dialect).run(fn)
        finally:
            self._reading.execute("ROLLBACK")

    async def write(self, key: Key, fn: Callable[[Connection], T], *, rollback: bool = False) -> Written[T]:
        """See the contract. One thread writes, so units never overlap whatever their keys."""
        if self._closed:
            raise Unavailable("the database is closed")
        if self._pending >= self._queue_limit:
            raise RateLimited(1.0, "too many writes are waiting")
        job = _Job(fn, rollback, self._loop.create_future())
        self._pending += 1
        self._writer.submit(job)
        # Cancelling the caller cancels the future, which the writer sees before it starts the unit.
        return await job.future

    async def close(self) -> None:
        """See the contract."""
        if self._closed:
            return
        self._closed = True
        if self._poll_task is not None:
            self._poll_task.cancel()
            await asyncio.gather(self._poll_task, return_exceptions=True)
        await asyncio.to_thread(self._writer.close)
        # The last batch's answers are on their way to this loop: let them arrive.
        await asyncio.sleep(0)
        self._reader.close()
        self._wakes.notify()

    def _hand_over(self, jobs: list[_Job]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and everybody who waited in it
            self._loop.call_soon_threadsafe(self._deliver, jobs)

    def _deliver(self, jobs: list[_Job]) -> None:
        self._pending -= len(jobs)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            elif job.written is not None:
                job.future.set_result(job.written)
        if any(job.events for job in jobs):
            # Whatever else was committed until now, those woken will see it too.
            self._seen_version = self._data_version()
            self._wakes.notify()

    def start_polling(self) -> None:
        """Begin to look for other processes' commits."""
        self._poll_task = self._loop.create_task(self._poll())

    async def _poll(self) -> None:
        """Notice what other processes commit: often while things happen, seldom when idle."""
        fast = 0
        while True:
            await asyncio.sleep(_FAST_POLL_SECONDS if fast else _IDLE_POLL_SECONDS)
            if not self._wakes.is_awaited:
                continue
            version = self._data_version()
            if version != self._seen_version:
                self._seen_version = version
                self._wakes.notify()
                fast = _FAST_POLLS
            elif fast:
                fast -= 1

    def _data_version(self) -> int:
        version: int = self._reading.execute("PRAGMA data_version").fetchone()[0]
        return version


class _Writer:
    """The writing thread. Takes what is queued, runs it in one transaction, commits, then answers all."""

    def __init__(self, core: CoreConnection, lock: _FileLock, deliver: Callable[[list[_Job]], None]) -> None:
        self._core = core
        self._driver = _driver(core)
        self._lock = lock
        self._deliver = deliver
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="concord-writer", daemon=True)
        self._thread.start()

    def submit(self, job: _Job) -> None:
        """Queue a unit."""
        self._queue.put(job)

    def close(self) -> None:
        """Run what is queued, then end."""
        self._queue.put(None)
        self._thread.join()
        self._core.close()
        self._lock.close()

    def _run(self) -> None:
        going_on = True
        while going_on:
            jobs: list[_Job] = []
            job = self._queue.get()
            with suppress(Empty):
                while job is not None:
                    jobs.append(job)
                    if len(jobs) >= BATCH:
                        break
                    job = self._queue.get_nowait()
            going_on = job is not None
            if jobs:
                self._run_batch(jobs)
                self._deliver(jobs)

    def _run_batch(self, jobs: list[_Job]) -> None:
        try:
            with self._lock.held():
                try:
                    self._transact(jobs)
                except _Lost:
                    # Whoever filled the disk took the others down: alone, the innocent succeed.
                    for job in jobs:
                        self._run_alone(job)
        except BaseException as error:
            _LOG.exception("the writer failed")
            for job in jobs:
                if job.written is None and job.error is None:
                    job.error = fault(error)

    def _run_alone(self, job: _Job) -> None:
        job.written, job.events = None, False
        try:
            self._transact([job])
        except _Lost as lost:
            job.written, job.events = None, False
            if job.error is None:
                job.error = lost.__cause__ or lost

    def _transact(self, jobs: list[_Job]) -> None:
        """Run units in one transaction. Raises _Lost when none of them took effect."""
        try:
            self._driver.execute("BEGIN IMMEDIATE")
            for job in jobs:
                # Given up before it started: nobody wants it any more.
                if not job.future.cancelled():
                    self._run_unit(job)
            self._driver.execute("COMMIT")
        except sqlite3.Error as error:
            if self._driver.in_transaction:
                self._driver.execute("ROLLBACK")
            raise _Lost from _unavailable(error)

    def _run_unit(self, job: _Job) -> None:
        job.error, job.events = None, False
        connection = UnitConnection(self._core, "sqlite")
        self._driver.execute("SAVEPOINT unit")
        try:
            value = connection.run(job.fn)
            if job.rollback:
                job.written = Written(value, None)
                self._undo()
            else:
                revision = self._write_events(connection)
                self._driver.execute("RELEASE unit")
                job.written = Written(value, revision)
                job.events = revision is not None
        except BaseException as error:
            job.written = None
            job.error = fault(error) if isinstance(error, sqlite3.Error) else error
            if not self._driver.in_transaction:
                raise _Lost from job.error
            self._undo()

    def _undo(self) -> None:
        self._driver.execute("ROLLBACK TO unit")
        self._driver.execute("RELEASE unit")

    def _write_events(self, connection: UnitConnection) -> int | None:
        # On the driver: Core would cost as much as the rest of a small unit.
        revision = None
        for event in connection.events:
            cursor = self._driver.execute(
                "INSERT INTO outbox_event (organization_id, time, payload) VALUES (?, ?, ?)",
                (event.organization_id, to_microseconds(event.time), event.payload),
            )
            revision = cursor.lastrowid
        return revision


def _driver(core: CoreConnection) -> sqlite3.Connection:
    driver = core.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _unavailable(error: sqlite3.Error) -> Unavailable:
    _LOG.error("the database cannot commit: %s", fault(error))
    return Unavailable("the database cannot take writes now")
