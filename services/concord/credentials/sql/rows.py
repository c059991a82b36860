"""What the mixins of the SQL store share: the connection, principals as text, filters as parameters."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, insert, update

from concord.credentials.model.holders import Sight
from concord.credentials.sql.tables import counter
from concord.kernel.database import Connection
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalKind, PrincipalRef

# Sorts what has no instant as the latest of all. A list's sort keys are never NULL.
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)

_BUMP: Final = (
    update(counter)
    .where(counter.c.organization_id == bindparam("org"), counter.c.name == bindparam("of"))
    .values(value=counter.c.value + 1)
    .returning(counter.c.value)
)
_START: Final = insert(counter)


class SqlPart:
    """A mixin of the store: some statements over one unit's connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def next_number(self, organization_id: OrganizationId, name: str) -> int:
        found = self._connection.execute(_BUMP, {"org": organization_id, "of": name}).scalar()
        if found is None:
            self._connection.execute(_START, {"organization_id": organization_id, "name": name, "value": 1})
            return 1
        return int(found)


def ref_text(principal: PrincipalRef) -> str:
    """Return the text that stands for a principal in a column."""
    return f"{principal.kind.value}:{principal.id}"


def ref_texts(principals: Iterable[PrincipalRef] | None) -> frozenset[str] | None:
    """Return the texts of several principals; None stays None."""
    return None if principals is None else frozenset(ref_text(each) for each in principals)


def ref_from(text: str) -> PrincipalRef:
    """Return the principal of a column's text."""
    kind, _, id = text.partition(":")
    return PrincipalRef(PrincipalKind(kind), id)


def optional_ref_text(principal: PrincipalRef | None) -> str | None:
    """Return the text of a principal that may be missing."""
    return None if principal is None else ref_text(principal)


def optional_ref_from(text: str | None) -> PrincipalRef | None:
    """Return the principal of a column that may be NULL."""
    return None if text is None else ref_from(text)


def sight_values(sight: Sight) -> dict[str, Any]:
    """Return the values of the filters `included` and `excluded` that together mean this sight."""
    if not sight.others:
        return {"included": ref_texts(sight.included)}
    hidden = sight.excluded - sight.included
    return {"excluded": ref_texts(hidden)} if hidden else {}


def sight_filters(column: ColumnElement[str]) -> dict[str, ColumnElement[bool]]:
    """Return the two filters of a sight over the column that tells whose a row is."""
    return {
        "included": column.in_(bindparam("included", expanding=True)),
        "excluded": column.not_in(bindparam("excluded", expanding=True)),
    }


def contains(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """The filter `name`: the column holds a text, in any ASCII case. Its value comes from `pattern`."""
    return func.lower(column).like(bindparam(name), escape="\\")


def pattern(text: str | None) -> str | None:
    """Return the value of a `contains` filter. Only ASCII is folded, as both engines do it."""
    if text is None:
        return None
    folded = "".join(each.lower() if each.isascii() else each for each in text)
    for special in ("\\", "%", "_"):
        folded = folded.replace(special, "\\" + special)
    return f"%{folded}%"
