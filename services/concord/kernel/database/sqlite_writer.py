"""Writing to SQLite: short units on the loop, commits and long units in a thread, many units in each transaction.

The driver lets go of the interpreter around every statement. A thread that runs statements beside
a busy loop therefore waits for its turn at each of them, and so does the loop: the thread is for
what takes long in the engine (the commit) or altogether (units that say so), and for waiting until
another writer is done.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from sqlalchemy import Connection as CoreConnection

from concord.kernel.database.columns import to_microseconds
from concord.kernel.database.contract import Connection, Written
from concord.kernel.database.facade import Session, UnitConnection, fault
from concord.kernel.database.sqlite_lock import FileLock
from concord.kernel.errors import Unavailable

BATCH: Final = 256
BUSY_MILLISECONDS: Final = 5000
_NO_PATIENCE: Final = "PRAGMA busy_timeout=0"
_PATIENCE: Final = f"PRAGMA busy_timeout={BUSY_MILLISECONDS}"
# So long a batch may keep the loop; what is left of it is for the next.
_LOOP_SECONDS: Final = 0.005

_LOG = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Job:
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


class Writer:
    """Takes what is queued, runs it in one transaction, commits, then answers all."""

    def __init__(
        self,
        core: CoreConnection,
        lock: FileLock,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Job]], None],
    ) -> None:
        self._core = core
        self._driver = driver_of(core)
        self._session = Session(core)
        # The loop never waits for a foreign writer; the thread does.
        self._driver.execute(_NO_PATIENCE)
        self._lock = lock
        self._loop = loop
        self._deliver = deliver
        self._queue: deque[Job] = deque()
        self._busy = False
        self._running = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="concord-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
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

    def _begin(self, jobs: list[Job]) -> int:
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

    def _finish_batch(self, jobs: list[Job]) -> None:
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

    def _run_batch(self, jobs: list[Job]) -> None:
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

    def _run_one_by_one(self, jobs: list[Job]) -> None:
        # Whoever filled the disk took the others down: alone, the innocent succeed.
        for job in jobs:
            self._run_alone(job)

    def _fail(self, jobs: list[Job], error: BaseException) -> None:
        _LOG.error("the writer failed", exc_info=error)
        for job in jobs:
            if job.written is None and job.error is None:
                job.error = fault(error)

    def _hand_over(self, jobs: list[Job]) -> None:
        with suppress(RuntimeError):  # the loop is gone, and everybody who waited in it
            self._loop.call_soon_threadsafe(self._done, jobs)

    def _done(self, jobs: list[Job]) -> None:
        self._running = False
        self._deliver(jobs)
        if self._queue:
            self._loop.call_soon(self._turn)
        else:
            self._busy = False
            self._idle.set()

    def _run_alone(self, job: Job) -> None:
        job.written, job.events = None, False
        try:
            self._transact([job])
        except _Lost as lost:
            job.written, job.events = None, False
            if job.error is None:
                job.error = lost.__cause__ or lost

    def _transact(self, jobs: list[Job]) -> None:
        """Run units in one transaction. Raises _Lost when none of them took effect."""
        self._driver.execute(_PATIENCE)
        try:
            self._driver.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _Lost from _unavailable(error)
        finally:
            self._driver.execute(_NO_PATIENCE)
        self._end_transaction(jobs)

    def _end_transaction(self, jobs: Sequence[Job]) -> None:
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

    def _run_unit(self, job: Job) -> None:
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


def driver_of(core: CoreConnection) -> sqlite3.Connection:
    """Return the driver's connection under one of SQLAlchemy's."""
    driver = core.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _unavailable(error: sqlite3.Error) -> Unavailable:
    _LOG.error("the database cannot commit: %s", fault(error))
    return Unavailable("the database cannot take writes now")
