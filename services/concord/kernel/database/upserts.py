"""Statements that add a row or deal with the one already there; each engine has its own form."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import Executable

_INSERTS: Final[Mapping[str, Callable[[Any], Any]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upserts(
    table: Table, *, unless: ColumnElement[bool] | None = None, counted: str | None = None
) -> dict[str, Executable]:
    """Return, for each engine, what stores a row in place of the one with its primary key.

    A row already there of which `unless` is true stays as it is. The `counted` column is one more
    than it was with each change; a row that says nothing new is no change.
    """
    keys = [column.name for column in table.primary_key]
    found: dict[str, Executable] = {}
    for dialect, make in _INSERTS.items():
        statement = make(table)
        others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
        if others:
            where = None if unless is None else ~unless
            if counted is not None:
                del others[counted]
                changed = or_(*(table.c[name].is_distinct_from(value) for name, value in others.items()))
                where = changed if where is None else and_(where, changed)
                others[counted] = table.c[counted] + 1
            found[dialect] = statement.on_conflict_do_update(index_elements=keys, set_=others, where=where)
        else:
            found[dialect] = statement.on_conflict_do_nothing(index_elements=keys)
    return found
