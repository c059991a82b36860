"""Statements that add a row or deal with the one already there; each engine has its own form."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import Executable

_INSERTS: Final[Mapping[str, Callable[[Any], Any]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upserts(table: Table, *, unless: ColumnElement[bool] | None = None) -> dict[str, Executable]:
    """Return, for each engine, what stores a row in place of the one with its primary key.

    A row already there of which `unless` is true stays as it is.
    """
    keys = [column.name for column in table.primary_key]
    found: dict[str, Executable] = {}
    for dialect, make in _INSERTS.items():
        statement = make(table)
        others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
        if others:
            where = None if unless is None else ~unless
            found[dialect] = statement.on_conflict_do_update(index_elements=keys, set_=others, where=where)
        else:
            found[dialect] = statement.on_conflict_do_nothing(index_elements=keys)
    return found


def additions(table: Table) -> dict[str, Executable]:
    """Return, for each engine, what adds a row unless its primary key is there; the row count tells which."""
    keys = [column.name for column in table.primary_key]
    return {dialect: make(table).on_conflict_do_nothing(index_elements=keys) for dialect, make in _INSERTS.items()}
