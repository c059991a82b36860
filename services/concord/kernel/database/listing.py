"""Pages over keysets for `sql.py`: filters come and go, each combination is one cached statement."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.sql.base import Executable

from concord.kernel.database.contract import Connection, Row
from concord.kernel.paging import MAX_SIZE, Order, Page, PageRequest

T = TypeVar("T")

# One expression per name; filters hold bind parameters of their own name.
Orders = Mapping[str, ColumnElement[Any]]
Filters = Mapping[str, ColumnElement[bool]]

_MAX_CACHED = 512
# What policies name, unlike what one request does, may be more than a page; every engine takes this many parameters.
_MAX_WIDE = 30_000


def fold_case(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Sort by the column without regard to ASCII case; the same on every engine."""
    return func.lower(column, type_=column.type)


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The filter `name`: the column is one of a bounded list of values. An empty list admits no row."""
    return column.in_(bindparam(name, expanding=True))


def none_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The filter `name`: the column is none of a bounded list of values. An empty list admits every row."""
    return column.not_in(bindparam(name, expanding=True))


class Listing:
    """One list that a store offers: what it selects, how it may be sorted and filtered.

    Order expressions must never be NULL (coalesce them). Their values are appended to each row,
    behind the selected columns, under names that start with an underscore. `wide` names the filters
    whose lists come from decisions, not from a request.
    """

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]],
        *,
        identity: ColumnElement[Any],
        orders: Orders,
        filters: Filters,
        wide: Collection[str] = (),
    ) -> None:
        self._statement = statement
        self._identity = identity
        self._orders = dict(orders)
        self._filters = dict(filters)
        self._wide = frozenset(wide)
        self._cache: dict[Any, Executable] = {}

    def page(
        self,
        connection: Connection,
        request: PageRequest,
        filters: Mapping[str, Any],
        row: Callable[[Row], T],
    ) -> Page[T]:
        """Return one page. Filters whose value is None do not apply."""
        values = {name: value for name, value in filters.items() if value is not None}
        for name, value in values.items():
            most = _MAX_WIDE if name in self._wide else MAX_SIZE
            if isinstance(value, (list, tuple, set, frozenset)) and len(value) > most:
                raise ValueError(f"filter {name} holds more than {most} values")
        names = frozenset(values)
        parameters = {name: _sequence(value) for name, value in values.items()}
        total = 0
        if request.with_total:
            total = connection.execute(self._count(names), parameters).scalar_one()
        if request.after is not None:
            parameters.update({f"_after_{at}": value for at, value in enumerate(request.after)})
        parameters["_limit"] = request.size + 1
        parameters["_skip"] = request.skip
        statement = self._slice(names, request.order, request.after is not None)
        rows = connection.execute(statement, parameters).all()
        items = [row(each) for each in rows[: request.size]]
        if len(rows) <= request.size:
            return Page(items, total_size=total)
        after = tuple(rows[request.size - 1][-1 - len(request.order) :])
        return Page(items, request.issue(after), total, after)

    def _count(self, names: frozenset[str]) -> Executable:
        key = ("count", names)
        found = self._cache.get(key)
        if found is None:
            inner = self._where(self._statement, names).with_only_columns(self._identity, maintain_column_froms=True)
            found = self._remember(key, select(func.count()).select_from(inner.order_by(None).subquery()))
        return found

    def _slice(self, names: frozenset[str], order: Order, continued: bool) -> Executable:
        key = (names, order, continued)
        found = self._cache.get(key)
        if found is None:
            keys = [(self._orders[name], descends) for name, descends in order] + [(self._identity, False)]
            statement = self._where(self._statement, names)
            statement = statement.add_columns(*(each.label(f"_order_{at}") for at, (each, _) in enumerate(keys)))
            if continued:
                statement = statement.where(_beyond(keys))
            statement = statement.order_by(*(each.desc() if descends else each.asc() for each, descends in keys))
            found = self._remember(key, statement.limit(bindparam("_limit")).offset(bindparam("_skip")))
        return found

    def _where(self, statement: Select[*tuple[Any, ...]], names: frozenset[str]) -> Select[*tuple[Any, ...]]:
        return statement.where(*(self._filters[name] for name in sorted(names)))

    def _remember(self, key: Any, statement: Executable) -> Executable:
        # Orders come from callers: without a bound, asking for every permutation would be a leak.
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[key] = statement
        return statement


def _sequence(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def _beyond(keys: list[tuple[ColumnElement[Any], bool]]) -> ColumnElement[bool]:
    """Rows after a place: later in the first key, or equal there and later in the second, and so on."""
    places = [bindparam(f"_after_{at}", type_=each.type) for at, (each, _) in enumerate(keys)]
    ways = []
    for at, (each, descends) in enumerate(keys):
        equal = [earlier == place for (earlier, _), place in zip(keys[:at], places[:at], strict=True)]
        ways.append(and_(*equal, each < places[at] if descends else each > places[at]))
    return or_(*ways)
