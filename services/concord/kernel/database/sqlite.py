"""SQLite: a file for each service, one connection that reads on the event loop, one that writes.

Reads run inline. Writes are left to the writer, which runs many in one transaction.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection as CoreConnection
from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.pool import NullPool

from concord.kernel.database.contract import Connection, DatabaseSettings, Key, Written
from concord.kernel.database.facade import Look, Session, UnitConnection
from concord.kernel.database.migrate import migrate
from concord.kernel.database.sqlite_lock import FileLock
from concord.kernel.database.sqlite_writer import BUSY_MILLISECONDS, Job, Writer, driver_of
from concord.kernel.database.wakes import Wakes
from concord.kernel.errors import RateLimited, Unavailable

T = TypeVar("T")

_STATEMENTS: Final = 512
_FAST_POLL_SECONDS: Final = 0.005
_IDLE_POLL_SECONDS: Final = 0.05
_FAST_POLLS: Final = 400


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
    lock = FileLock(path.with_name(path.name + ".lock"))
    writer = _engine(path, read_only=False, synchronous="OFF" if settings.ephemeral else "FULL").connect()
    with lock.held():
        migrate(writer, metadata, migrations, begin="BEGIN IMMEDIATE")
    reader = _engine(path, read_only=True, synchronous="FULL").connect()
    return SqliteDatabase(writer, reader, lock, loop, settings.queue_limit, settings.alone)


def _engine(path: Path, *, read_only: bool, synchronous: str) -> Engine:
    mode = "ro" if read_only else "rwc"

    def connect() -> sqlite3.Connection:
        # isolation_level None: reads and the writer say BEGIN, SAVEPOINT and COMMIT themselves; the
        # driver's own idea of transactions loses savepoints.
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
            f"busy_timeout={BUSY_MILLISECONDS}",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "cache_size=-32768",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # hide_parameters: error texts must not repeat values.
    return create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


class SqliteDatabase:
    """One SQLite file. Belongs to the event loop it was opened in."""

    dialect = "sqlite"

    def __init__(
        self,
        writer: CoreConnection,
        reader: CoreConnection,
        lock: FileLock,
        loop: asyncio.AbstractEventLoop,
        queue_limit: int,
        alone: bool,
    ) -> None:
        self._loop = loop
        self._reader = reader
        self._reading: sqlite3.Connection = driver_of(reader)
        self._session = Session(reader)
        self._wakes = Wakes()
        self._queue_limit = queue_limit
        self._pending = 0
        self._alone = alone
        self._commits = 0
        self._closed = False
        self._writer = Writer(writer, lock, loop, self._deliver)
        self._seen_version = self._writer.data_version()
        self._look_again = 0.0
        self._poll_task: asyncio.Task[None] | None = None

    @property
    def generation(self) -> int:
        """See the contract."""
        return self._wakes.generation

    @property
    def commits(self) -> int | None:
        """See the contract."""
        return self._commits if self._alone else None

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
        job = Job(fn, rollback, self._loop.create_future(), aside=aside)
        self._pending += 1
        self._writer.submit(job)
        # Cancelling the caller cancels the future, which the writer sees before it starts the unit.
        return await job.future

    async def close(self) -> None:
        """See the contract."""
        if self._closed:
            return
        self._closed = True
        # What was kept of it is not told any more either.
        self._commits += 1
        if self._poll_task is not None:
            self._poll_task.cancel()
            await asyncio.gather(self._poll_task, return_exceptions=True)
        await self._writer.close()
        self._reader.close()
        self._wakes.notify()

    def _deliver(self, jobs: list[Job]) -> None:
        self._pending -= len(jobs)
        self._commits += 1
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
