"""The facade that units see, over a held SQLAlchemy connection, and the translation of driver errors."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection as CoreConnection
from sqlalchemy import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.sql.base import Executable

from concord.kernel.database.contract import DatabaseFault, OutboxRow, UniqueViolation, refuse_result

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_SQLITE_INDEX = re.compile(r"index '(.+)'")
_PG_KEY = re.compile(r"Key \((.+?)\)=")
_PG_UNIQUE = "23505"


class UnitConnection:
    """What one unit of work sees. Its results die with it."""

    def __init__(self, core: CoreConnection, dialect: str) -> None:
        self._core = core
        self._results: list[CursorResult[*tuple[Any, ...]]] = []
        self._dialect = dialect
        self.events: list[OutboxRow] = []

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._dialect

    def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[*tuple[Any, ...]]:
        """See the contract."""
        try:
            result = self._core.execute(statement, parameters)
        except DBAPIError as error:
            failure = translated(error)
        else:
            self._results.append(result)
            return result
        # Raised out here: as an exception's context the driver's text would travel along.
        raise failure

    def execute_unique(self, statement: Executable, parameters: Parameters = None) -> CursorResult[*tuple[Any, ...]]:
        """See the contract."""
        if self._dialect == "sqlite":
            # SQLite undoes the one statement and goes on.
            return self.execute(statement, parameters)
        # PostgreSQL refuses everything after an error, up to the next savepoint.
        self._core.exec_driver_sql("SAVEPOINT statement")
        try:
            result = self.execute(statement, parameters)
        except UniqueViolation:
            self._core.exec_driver_sql("ROLLBACK TO SAVEPOINT statement")
            raise
        self._core.exec_driver_sql("RELEASE SAVEPOINT statement")
        return result

    def publish(self, event: OutboxRow) -> None:
        """See the contract."""
        self.events.append(event)

    def run(self, fn: Callable[["UnitConnection"], T]) -> T:
        """Run the unit's function, refuse an unread result, and close those it left open.

        A result that is still open would pin its snapshot: later reads on the connection stay stale.
        """
        try:
            return refuse_result(fn(self))
        finally:
            for result in self._results:
                result.close()
            self._results.clear()


def translated(error: DBAPIError) -> UniqueViolation | DatabaseFault:
    """Return what the kernel calls this driver error. Driver texts may hold values, so they stop here."""
    origin = error.orig
    violation = _unique_violation(origin) if isinstance(error, IntegrityError) else None
    return violation or fault(error if origin is None else origin)


def fault(error: BaseException) -> DatabaseFault:
    """Return the fault for a driver error: its class and, where the engine gives one, its code."""
    code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    found = DatabaseFault(f"{type(error).__name__} {code}" if code else type(error).__name__)
    found.code = code or ""
    return found


def _unique_violation(origin: Any) -> UniqueViolation | None:
    if getattr(origin, "sqlstate", None) == _PG_UNIQUE:
        detail = _PG_KEY.search(origin.diag.message_detail or "")
        columns = [] if detail is None else [name.strip().strip('"') for name in detail.group(1).split(",")]
        return UniqueViolation(columns, origin.diag.constraint_name or "")
    failed = _SQLITE_UNIQUE.search(str(origin))
    if failed is None:
        return None
    index = _SQLITE_INDEX.search(failed.group(1))
    if index is not None:
        return UniqueViolation((), index.group(1))
    return UniqueViolation([name.strip().rpartition(".")[2] for name in failed.group(1).split(",")])
