"""Core statements run on the driver: compiled once each, bound and read without Core's execution layer.

Core takes 20 µs and more to carry a statement to the driver, the driver 3 to 5 µs to run it. What
is out of the ordinary (text, DDL, Python-side defaults, lists of tuples) still goes Core's way.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import CompoundSelect, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TupleType

from concord.kernel.database.contract import Row

Process = Callable[[Any], Any]

_SHAPES: Final = 64
_PLANS: Final = "_concord_plans"


class Unplanned(Exception):
    """This execution has to go Core's way."""


def row_type(names: Iterable[str | None]) -> type[Row]:
    """Return the class of rows with these columns: a tuple whose items are attributes too."""
    members: dict[str, Any] = {"__slots__": ()}
    for at, name in enumerate(names):
        if name is not None and not hasattr(tuple, name):
            members.setdefault(name, property(itemgetter(at)))
    return type("Row", (Row,), members)


def plan_for(
    statement: Executable, dialect: Dialect, parameters: Mapping[str, Any] | None, *, many: bool
) -> "Plan | None":
    """Return the plan of a statement that comes again and again; None for one to run Core's way.

    A statement's first run is left to Core: most that are seen once are never seen again.
    """
    # Not by the statement's hash: a copy made with `.where()` inherits the attribute, so its owner is looked at.
    plans: _Plans | None = statement.__dict__.get(_PLANS)
    if plans is None or plans.owner() is not statement:
        if isinstance(statement, (Select, Insert, Update, Delete, CompoundSelect)):
            statement.__dict__[_PLANS] = _Plans(statement)
        return None
    # What is selected does not depend on the parameters; what is written does.
    columns = tuple(parameters) if plans.is_write and parameters else ()
    key = (dialect.name, many, columns)
    try:
        return plans.known[key]
    except KeyError:
        plan = plans.known[key] = _plan(statement, dialect, columns, many=many)
        return plan


class _Plans:
    """The plans of one statement."""

    __slots__ = ("is_write", "known", "owner")

    def __init__(self, statement: Executable) -> None:
        self.owner = weakref.ref(statement)
        self.is_write = isinstance(statement, (Insert, Update, Delete))
        self.known: dict[tuple[str, bool, tuple[str, ...]], Plan | None] = {}


def _plan(statement: Any, dialect: Dialect, columns: tuple[str, ...], *, many: bool) -> "Plan | None":
    try:
        compiled = statement.compile(dialect=dialect, column_keys=sorted(columns), for_executemany=many)
    except CompileError:
        return None  # Core says the same, in its own words
    unusual = (
        not isinstance(compiled, SQLCompiler)
        or compiled.insert_prefetch
        or compiled.update_prefetch
        or compiled.literal_execute_params
        or compiled.escaped_bind_names
        or any(isinstance(bind.type, TupleType) for bind in compiled.bind_names)
        or (many and compiled.post_compile_params)
    )
    return None if unusual else Plan(statement, compiled, dialect)


class Plan:
    """One statement compiled for one dialect and one set of columns."""

    __slots__ = ("_compiled", "_defaults", "_dialect", "_lists", "_output", "_readers", "_row", "_shape", "_shapes")

    def __init__(self, statement: Any, compiled: SQLCompiler, dialect: Dialect) -> None:
        self._compiled = compiled
        self._dialect = dialect
        # Values that are part of the statement itself.
        self._defaults = {
            bind.key: bind.effective_value for bind in compiled.bind_names if not bind.required and not bind.expanding
        }
        self._lists = [
            (name, bind.key, bind.effective_value)
            for bind, name in compiled.bind_names.items()
            if bind in compiled.post_compile_params
        ]
        processors = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for bind, name in compiled.bind_names.items()
        }
        self._shape = _Shape(
            compiled.string,
            {name: bind.key for bind, name in compiled.bind_names.items()},
            processors,
            compiled.positiontup if compiled.positional else None,
        )
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        self._output = [(column.key, column.type) for column in statement.exported_columns]
        self._row: type[Row] | None = None
        self._readers: list[tuple[int, Process]] = []

    def bind(self, parameters: Mapping[str, Any] | None) -> tuple[str, Any]:
        """Return the text for the driver and the values for it."""
        given: Mapping[Any, Any] = parameters or {}
        shape = self._shape
        if self._defaults:
            given = {**self._defaults, **given}
        if self._lists:
            given, shape = self._expand(dict(given))
        return shape.text, shape.values(given)

    def bind_many(self, rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
        """Return the text for the driver and the values of every row."""
        values = self._shape.values
        if self._defaults:
            return self._shape.text, [values({**self._defaults, **row}) for row in rows]
        return self._shape.text, [values(row) for row in rows]

    def rows(self, cursor: Any) -> list[Row]:
        """Return what the statement gave."""
        if not self._output or cursor.description is None:
            return []
        fetched = cursor.fetchall()
        if not fetched:
            return []
        row = self._row or self._prepare(cursor.description)
        readers = self._readers
        if not readers:
            return [row(each) for each in fetched]
        rows = []
        for each in fetched:
            values = list(each)
            for at, read in readers:
                values[at] = read(values[at])
            rows.append(row(values))
        return rows

    def _prepare(self, description: Sequence[Any]) -> type[Row]:
        """Learn how to read rows; some types depend on what the driver says about a column."""
        for at, ((_, type_), column) in enumerate(zip(self._output, description, strict=True)):
            reader = type_.dialect_impl(self._dialect).result_processor(self._dialect, column[1])
            if reader is not None:
                self._readers.append((at, reader))
        self._row = row_type(name for name, _ in self._output)
        return self._row

    def _expand(self, given: dict[Any, Any]) -> tuple[dict[Any, Any], "_Shape"]:
        """Put every list's items under names of their own, into the shape for so many items."""
        lists: list[tuple[str, Any, Any]] = [(name, key, given.get(key, value)) for name, key, value in self._lists]
        if any(values is None or (values and isinstance(values[0], tuple)) for _, _, values in lists):
            raise Unplanned
        lengths = tuple(len(values) for _, _, values in lists)
        shape = self._shapes.get(lengths)
        if shape is None:
            shape = self._shape_for({name: values for name, _, values in lists}, given)
            if len(self._shapes) < _SHAPES:
                self._shapes[lengths] = shape
        for name, _, values in lists:
            for at, value in enumerate(values):
                given[name, at] = value
        return given, shape

    def _shape_for(self, lists: dict[str, Sequence[Any]], given: dict[Any, Any]) -> "_Shape":
        state = self._compiled.construct_expanded_state({**given, **lists})
        keys: dict[str, Any] = {name: bind.key for bind, name in self._compiled.bind_names.items()}
        processors = dict(self._shape.processors)
        for name, expanded in state.parameter_expansion.items():
            for at, each in enumerate(expanded):
                keys[each] = (name, at)
                processors[each] = processors[name]
            del keys[name]
        return _Shape(state.statement, keys, processors, state.positiontup if self._compiled.positional else None)


class _Shape:
    """A text, and which values go into it in which order or under which name."""

    __slots__ = ("_named", "_pick", "_process", "processors", "text")

    def __init__(
        self,
        text: str,
        keys: Mapping[str, Any],
        processors: Mapping[str, Process | None],
        positions: Sequence[str] | None,
    ) -> None:
        self.text = text
        self.processors = processors
        self._named = None if positions is not None else tuple(keys)
        names = tuple(keys if positions is None else positions)
        # One call of a function in C fetches all values; few need to be processed.
        self._pick = _picker([keys[name] for name in names])
        self._process = [(at, process) for at, name in enumerate(names) if (process := processors[name]) is not None]

    def values(self, given: Mapping[Any, Any]) -> Any:
        """Return the values as the driver wants them. A missing one is for Core to complain about."""
        try:
            values = self._pick(given)
        except KeyError:
            raise Unplanned from None
        if self._process:
            values = list(values)
            for at, process in self._process:
                values[at] = process(values[at])
        return values if self._named is None else dict(zip(self._named, values, strict=True))


def _picker(keys: Sequence[Any]) -> Callable[[Mapping[Any, Any]], Sequence[Any]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda given: [given[key] for key in keys]
