"""What a database promises to the kernel and to stores. No engine lives here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from sqlalchemy.sql.base import Executable

from concord.kernel.secret import Secret

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Key = str | None | tuple[str, ...]
"""What a unit of work is serial with: an organization, several, or (None) what spans organizations."""


@dataclass(frozen=True)
class DatabaseSettings:
    """Where a service keeps its rows: an SQLite file in the data directory, or PostgreSQL where a URL is set."""

    url: Secret | None
    data_dir: Path
    pool_size: int = 8
    queue_limit: int = 4096
    ephemeral: bool = False
    # Whether no other process writes to these rows, which who opens them has made sure of.
    alone: bool = False


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One change event on its way into the outbox; the database gives it its revision."""

    organization_id: str
    time: datetime
    payload: bytes


@dataclass(frozen=True, slots=True)
class Written(Generic[T_co]):
    """What a write came to. `revision` is None when nothing was published."""

    value: T_co
    revision: int | None


class DatabaseFault(Exception):
    """The engine refused or failed. The text names the kind of fault, never parameters or the address."""

    code: str = ""
    """The engine's own code: an SQLSTATE, or the name of SQLite's error."""


class UniqueViolation(Exception):
    """Something unique is taken. Stores turn it into AlreadyExists.

    `columns` are the columns of the constraint without their table; `constraint` is its
    name where the engine tells it (PostgreSQL does, SQLite for indexes on expressions).
    """

    def __init__(self, columns: Sequence[str] = (), constraint: str = "") -> None:
        super().__init__(f"unique ({', '.join(columns)}) {constraint}".strip())
        self.columns = tuple(columns)
        self.constraint = constraint

    def concerns(self, *names: str) -> bool:
        """Tell whether any of these columns (or the index of that name) is what was violated."""
        return any(name in self.columns or name == self.constraint for name in names)


class MoreThanALook(RuntimeError):
    """A function that said it looks with one statement did more: the unit's own mistake."""


class Row(tuple[Any, ...]):
    """One row: a tuple whose items are attributes too, by their columns' names."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class WrongCount(LookupError):
    """There is another number of rows than was asked for: the unit's own mistake."""


class Result:
    """What a statement gave: rows, all fetched, and how many rows it touched. Dies with its unit."""

    __slots__ = ("_rows", "closed", "rowcount")

    def __init__(self, rows: list[Row], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount
        self.closed = False

    def __iter__(self) -> Iterator[Row]:
        return iter(self.all())

    def all(self) -> list[Row]:
        """Return every row."""
        if self.closed:
            self._refuse("the unit is over")
        return self._rows

    def first(self) -> Row | None:
        """Return the first row, if any."""
        rows = self.all()
        return rows[0] if rows else None

    def one_or_none(self) -> Row | None:
        """Return the only row; None when there is none."""
        rows = self.all()
        if len(rows) > 1:
            self._refuse("there is more than one row")
        return rows[0] if rows else None

    def one(self) -> Row:
        """Return the only row."""
        row = self.one_or_none()
        if row is None:
            self._refuse("there is no row")
        return row

    def scalar(self) -> Any:
        """Return the first column of the first row; None when there is no row."""
        rows = self.all()
        return rows[0][0] if rows else None

    def scalar_one(self) -> Any:
        """Return the first column of the only row."""
        return self.one()[0]

    def scalars(self) -> "Scalars":
        """Return the first column of every row."""
        return Scalars(row[0] for row in self.all())

    def close(self) -> None:
        """Let go of the rows."""
        self.closed = True
        self._rows = []

    def _refuse(self, why: str) -> NoReturn:
        raise WrongCount(why)


class Scalars(list[Any]):
    """One column of a result."""

    def all(self) -> list[Any]:
        """Return every value."""
        return self


class Connection(Protocol):
    """What a unit of work may do to the database: never a SQLAlchemy Connection, nothing that commits."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Result:
        """Run a statement. Raises UniqueViolation, else DatabaseFault; after either the unit must end."""

    def execute_unique(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Result:
        """Run a statement whose UniqueViolation the unit may catch and go on after, on every engine."""

    def execute_later(self, statement: Executable, row: Mapping[str, Any]) -> None:
        """Run a statement for this row before any other statement or the end of this unit, whichever is first.

        Rows that one statement is to take one after another go to the engine together.
        """

    def publish(self, event: OutboxRow) -> None:
        """Put an event into the outbox at the end of this unit."""


class Database(Protocol):
    """One service's rows. Units of work are plain functions that may run twice and touch nothing else."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a function over one snapshot. It may not return an unread result."""

    async def look(self, fn: Callable[[Connection], T]) -> T:
        """Run a function that reads with one statement at most: that one has a snapshot of its own.

        It spares the engine a transaction. Anything beyond is MoreThanALook.
        """

    async def write(
        self, key: Key, fn: Callable[[Connection], T], *, rollback: bool = False, aside: bool = False
    ) -> Written[T]:
        """Run a unit of work, durably committed when this returns. Units of one key never overlap.

        With `rollback` the unit runs and is undone. With `aside` it may take long: it never runs on
        the event loop, which short units may do. A caller that gives up before the unit has
        started stops it; afterwards the unit commits all the same. Too long a queue is RateLimited.
        """

    @property
    def generation(self) -> int:
        """Grows whenever something may have been committed, by any process."""

    @property
    def commits(self) -> int | None:
        """Grows with every commit, before that is answered; None where others may commit without our knowing."""

    async def wait_for_commit(self, generation: int, seconds: float) -> int:
        """Wait until `generation` has moved beyond the given one, or for so many seconds; return it."""

    def notify(self) -> None:
        """Wake whoever waits for a commit."""

    async def close(self) -> None:
        """Finish what is queued and let go of the engine."""


def refuse_result(value: T) -> T:
    """Return the value unless it is an unread result, which would pin a snapshot or a connection."""
    if isinstance(value, Result):
        raise TypeError("a unit of work returns values, not an unread result")
    return value
