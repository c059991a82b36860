"""SQLite: reads and short writes on the loop, commits in a thread, many units in each.

The driver lets go of the interpreter around every statement. A thread that runs statements beside
a busy loop therefore waits for its turn at each of them, and so does the loop: the thread is for
what takes long in the engine (the commit) or altogether (units that say so).
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection as CoreConnection
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.pool import NullPool

from concord.kernel.database.columns import to_microseconds
from concord.kernel.database.contract import Connection, DatabaseSettings, Key, Written
from concord.kernel.database.facade import Look, Session, UnitConnection, fault
from concord.kernel.database.migrate import migrate
from concord.kernel.database.wakes import Wakes
from concord.kernel.errors import RateLimited, Unavailable

T = TypeVar("T")

BATCH: Final = 256
_STATEMENTS: Final = 512
_BUSY_MILLISECONDS: Final = 5000
_NO_PATIENCE: Final = "PRAGMA busy_timeout=0"
_PATIENCE: Final = f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}"
# So long a batch may keep the loop; what is left of it is for the next.
_LOOP_SECONDS: Final = 0.005
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
    aside: bool = False


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
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
        for pragma in (
            f"busy_timeout={_BUSY_MILLISECONDS}",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "cache_size=-32768",
        ):
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
            self.release()

    def try_hold(self) -> bool:
        """Hold the lock if nobody else does."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Hold the lock no more."""
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
        self._session = Session(reader)
        self._wakes = Wakes()
        self._queue_limit = queue_limit
        self._pending = 0
        self._closed = False
        self._writer = _Writer(writer, lock, loop, self._deliver)
        self._seen_version = self._writer.data_version()
        self._look_again = 0.0
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
            return UnitConnection(self._session).run(fn)
        finally:
            self._reading.execute("ROLLBACK")

    async def look(self, fn: Callable[[Connection], T]) -> T:
        """See the contract. No BEGIN, no ROLLBACK: each would hand the interpreter to other threads and back."""
        if self._closed:
            raise Unavailable("the database is closed")
        return Look(self._session).run(fn)

    async def write(
        self, key: Key, fn: Callable[[Connection], T], *, rollback: bool = False, aside: bool = False
    ) -> Written[T]:
        """See the contract. One batch runs at a time, so units never overlap whatever their keys."""
        if self._closed:
            raise Unavailable("the database is closed")
        if self._pending >= self._queue_limit:
            raise RateLimited(1.0, "too many writes are waiting")
        job = _Job(fn, rollback, self._loop.create_future(), aside=aside)
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
        await self._writer.close()
        self._reader.close()
        self._wakes.notify()

    def _deliver(self, jobs: list[_Job]) -> None:
        self._pending -= len(jobs)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            elif job.written is not None:
                job.future.set_result(job.written)
        # Between two batches is the time to look, however busy the writer is.
        if self._others_committed() or any(job.events for job in jobs):
            self._wakes.notify()

    def _others_committed(self) -> bool:
        now = time.monotonic()
        if now < self._look_again:
            return False
        self._look_again = now + _FAST_POLL_SECONDS / 2
        # Asked of the writing connection: its number moves with the commits of other processes only.
        version = self._writer.data_version()
        if version is None or version == self._seen_version:
            return False
        self._seen_version = version
        return True

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
            if self._others_committed():
                self._wakes.notify()
                fast = _FAST_POLLS
            elif fast:
                fast -= 1


class _Writer:
    """Takes what is queued, runs it in one transaction, commits, then answers all."""

    def __init__(
        self,
        core: CoreConnection,
        lock: _FileLock,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[_Job]], None],
    ) -> None:
        self._core = core
        self._driver = _driver(core)
        self._session = Session(core)
        # The loop never waits for a foreign writer; the thread does.
        self._driver.execute(_NO_PATIENCE)
        self._lock = lock
        self._loop = loop
        self._deliver = deliver
        self._queue: deque[_Job] = deque()
        self._busy = False
        self._running = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="concord-writer", daemon=True)
        self._thread.start()

    def submit(self, job: _Job) -> None:
        """Queue a unit."""
        self._queue.append(job)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            # Not at once: what else this turn of the loop asks for belongs into the same commit.
            self._loop.call_soon(self._turn)

    async def close(self) -> None:
        """Run what is queued, then end."""
        await self._idle.wait()
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join)
        self._core.close()
        self._lock.close()

    def data_version(self) -> int | None:
        """Return a number that moves when others commit; None while a batch is under way."""
        if self._running:
            return None
        version: int = self._driver.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _turn(self) -> None:
        """Run a batch's short units here, and leave what takes long to the thread."""
        self._running = True
        jobs = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
        if not jobs[0].aside and self._lock.try_hold():
            try:
                begun = self._begin(jobs)
            except BaseException as error:
                self._lock.release()
                self._fail(jobs, error)
                self._done(jobs)
                return
            if begun:
                # The next batch takes what this one has no time for: the thread would run it beside a busy loop.
                self._queue.extendleft(reversed(jobs[begun:]))
                self._orders.put(partial(self._finish_batch, jobs[:begun]))
                return
            self._lock.release()
        # Somebody else is writing, or a long unit comes first: waiting is for the thread.
        self._orders.put(partial(self._run_batch, jobs))

    def _begin(self, jobs: list[_Job]) -> int:
        """Run units until one may take long or time is up; return how many there were, 0 when nothing could begin."""
        try:
            self._driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return 0
        end = time.perf_counter() + _LOOP_SECONDS
        for at, job in enumerate(jobs):
            if at and (job.aside or time.perf_counter() > end):
                return at
            if not job.future.cancelled():
                try:
                    self._run_unit(job)
                except _Lost as lost:
                    job.error = lost.__cause__
                    return at + 1
        return len(jobs)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            order()

    def _finish_batch(self, jobs: list[_Job]) -> None:
        """In the thread: commit what the loop ran, holding the lock."""
        try:
            try:
                self._end_transaction(())
            except _Lost:
                self._run_one_by_one(jobs)
            finally:
                self._lock.release()
        except BaseException as error:
            self._fail(jobs, error)
        self._hand_over(jobs)

    def _run_batch(self, jobs: list[_Job]) -> None:
        """In the thread: a whole batch."""
        try:
            with self._lock.held():
                try:
                    self._transact(jobs)
                except _Lost:
                    self._run_one_by_one(jobs)
        except BaseException as error:
            self._fail(jobs, error)
        self._hand_over(jobs)

    def _run_one_by_one(self, jobs: list[_Job]) -> None:
        # Whoever filled the disk took the others down: alone, the innocent succeed.
        for job in jobs:
            self._run_alone(job)

    def _fail(self, jobs: list[_Job], error: BaseException) -> None:
        _LOG.error("the writer failed", exc_info=error)
        for job in jobs:
            if job.written is None and job.error is None:
                job.error = fault(error)

    def _hand_over(self, jobs: list[_Job]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and everybody who waited in it
            self._loop.call_soon_threadsafe(self._done, jobs)

    def _done(self, jobs: list[_Job]) -> None:
        self._running = False
        self._deliver(jobs)
        if self._queue:
            self._loop.call_soon(self._turn)
        else:
            self._busy = False
            self._idle.set()

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
        self._driver.execute(_PATIENCE)
        try:
            self._driver.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _Lost from _unavailable(error)
        finally:
            self._driver.execute(_NO_PATIENCE)
        self._end_transaction(jobs)

    def _end_transaction(self, jobs: Sequence[_Job]) -> None:
        """Run units in the transaction that is open, and commit it."""
        try:
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
        connection = UnitConnection(self._session)
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
