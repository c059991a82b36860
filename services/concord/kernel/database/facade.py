"""The facade that units see, over a held connection, and the translation of driver errors."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection as CoreConnection
from sqlalchemy import SelectBase
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable

from concord.kernel.database.contract import (
    DatabaseFault,
    MoreThanALook,
    OutboxRow,
    Result,
    UniqueViolation,
    refuse_result,
)
from concord.kernel.database.statements import Unplanned, plan_for, row_type

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_SQLITE_INDEX = re.compile(r"index '(.+)'")
_PG_KEY = re.compile(r"Key \((.+?)\)=")
_PG_UNIQUE = "23505"
# Without it Core forgets how many rows an INSERT made.
_COUNTED: Final = {"preserve_rowcount": True}


class Session:
    """A held connection, ready to run statements: on the driver where they are planned, else through Core."""

    __slots__ = ("_dialect", "_driver", "core", "error", "name")

    def __init__(self, core: CoreConnection) -> None:
        self.core = core
        # Transactions are said on the driver. One that Core believes in keeps it from rolling back on its own.
        if not core.in_transaction():
            core.begin()
        self._driver: Any = core.connection.driver_connection
        self._dialect = core.dialect
        self.name = core.dialect.name
        self.error: type[Exception] = core.dialect.loaded_dbapi.Error
        """The driver's own errors."""

    def run(self, statement: Executable, parameters: Parameters) -> Result:
        """Run a statement and fetch what it gives. Raises DBAPIError or the driver's own error."""
        if type(parameters) is list and len(parameters) == 1:
            parameters = parameters[0]
        try:
            if parameters is None or isinstance(parameters, dict):
                plan = plan_for(statement, self._dialect, parameters, many=False)
                if plan is not None:
                    cursor = self._driver.execute(*plan.bind(parameters))
                    rows = plan.rows(cursor)
                    return Result(rows, cursor.rowcount)
            elif parameters and type(parameters) is list:
                plan = plan_for(statement, self._dialect, parameters[0], many=True)
                if plan is not None:
                    cursor = self._driver.cursor()
                    cursor.executemany(*plan.bind_many(parameters))
                    return Result([], cursor.rowcount)
        except Unplanned:
            pass
        return self._run_by_core(statement, parameters)

    def say(self, text: str) -> None:
        """Run a word of transaction control."""
        self._driver.execute(text)

    def _run_by_core(self, statement: Executable, parameters: Parameters) -> Result:
        result = self.core.execute(statement, parameters, execution_options=_COUNTED)
        try:
            if not result.returns_rows:
                return Result([], result.rowcount)
            row = row_type(result.keys())
            return Result([row(each) for each in result.fetchall()], result.rowcount)
        finally:
            # One left open would pin its snapshot: later reads on the connection would stay stale.
            result.close()


class UnitConnection:
    """What one unit of work sees. Its results die with it."""

    __slots__ = ("_later", "_results", "_rows", "_session", "dialect", "events")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._results: list[Result] = []
        self._later: Executable | None = None
        self._rows: list[Mapping[str, Any]] = []
        self.dialect = session.name
        self.events: list[OutboxRow] = []

    def execute(self, statement: Executable, parameters: Parameters = None) -> Result:
        """See the contract."""
        if self._later is not None:
            self._catch_up()
        return self._execute(statement, parameters)

    def _execute(self, statement: Executable, parameters: Parameters) -> Result:
        try:
            result = self._session.run(statement, parameters)
        except DBAPIError as error:
            failure = translated(error if error.orig is None else error.orig)
        except self._session.error as error:
            failure = translated(error)
        else:
            self._results.append(result)
            return result
        # Raised out here: as an exception's context the driver's text would travel along.
        raise failure

    def execute_unique(self, statement: Executable, parameters: Parameters = None) -> Result:
        """See the contract."""
        if self.dialect == "sqlite":
            # SQLite undoes the one statement and goes on.
            return self.execute(statement, parameters)
        if self._later is not None:
            self._catch_up()
        # PostgreSQL refuses everything after an error, up to the next savepoint.
        self._session.say("SAVEPOINT statement")
        try:
            result = self.execute(statement, parameters)
        except UniqueViolation:
            self._session.say("ROLLBACK TO SAVEPOINT statement")
            raise
        self._session.say("RELEASE SAVEPOINT statement")
        return result

    def execute_later(self, statement: Executable, row: Mapping[str, Any]) -> None:
        """See the contract."""
        # Another statement must find what came before it.
        if self._later is not statement:
            if self._later is not None:
                self._catch_up()
            self._later = statement
        self._rows.append(row)

    def _catch_up(self) -> None:
        statement, rows = self._later, self._rows
        self._later, self._rows = None, []
        if statement is not None:
            self._execute(statement, rows)

    def publish(self, event: OutboxRow) -> None:
        """See the contract."""
        self.events.append(event)

    def run(self, fn: Callable[["UnitConnection"], T]) -> T:
        """Run the unit's function, refuse a result as its value, and end those it got."""
        try:
            value = refuse_result(fn(self))
            if self._later is not None:
                self._catch_up()
            return value
        finally:
            for result in self._results:
                result.close()
            self._results.clear()


class Look:
    """What a function sees that reads with one statement, outside of any transaction."""

    __slots__ = ("_result", "_session", "dialect")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._result: Result | None = None
        self.dialect = session.name

    def execute(self, statement: Executable, parameters: Parameters = None) -> Result:
        """See the contract."""
        if self._result is not None:
            raise MoreThanALook("a second statement needs the snapshot of a read")
        if not isinstance(statement, SelectBase):
            raise MoreThanALook("a look changes nothing")
        try:
            result = self._result = self._session.run(statement, parameters)
        except DBAPIError as error:
            failure = translated(error if error.orig is None else error.orig)
        except self._session.error as error:
            failure = translated(error)
        else:
            return result
        raise failure

    def execute_unique(self, statement: Executable, parameters: Parameters = None) -> Result:
        """See the contract."""
        raise MoreThanALook("a look changes nothing")

    def execute_later(self, statement: Executable, row: Mapping[str, Any]) -> None:
        """See the contract."""
        raise MoreThanALook("a look changes nothing")

    def publish(self, event: OutboxRow) -> None:
        """See the contract."""
        raise MoreThanALook("a look changes nothing")

    def run(self, fn: Callable[["Look"], T]) -> T:
        """Run the function, refuse a result as its value, and end the one it got."""
        try:
            return refuse_result(fn(self))
        finally:
            if self._result is not None:
                self._result.close()


def translated(error: BaseException) -> UniqueViolation | DatabaseFault:
    """Return what the kernel calls this driver error. Driver texts may hold values, so they stop here."""
    return _unique_violation(error) or fault(error)


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
    if not getattr(origin, "sqlite_errorname", "").startswith("SQLITE_CONSTRAINT"):
        return None
    failed = _SQLITE_UNIQUE.search(str(origin))
    if failed is None:
        return None
    index = _SQLITE_INDEX.search(failed.group(1))
    if index is not None:
        return UniqueViolation((), index.group(1))
    return UniqueViolation([name.strip().rpartition(".")[2] for name in failed.group(1).split(",")])
