"""What several of identity's tables have in common: entity columns, tags, searching folded text."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, insert, select
from sqlalchemy.sql.base import Executable

from concord.identity.model import Entity
from concord.identity.rules import fold
from concord.identity.sql.tables import tagged
from concord.kernel.database import Connection
from concord.kernel.ids import OrganizationId

_ADD_TAG: Final = insert(tagged)
_DROP_TAGS: Final = delete(tagged).where(
    tagged.c.organization_id == bindparam("in_organization"),
    tagged.c.resource_type == bindparam("of_type"),
    tagged.c.resource_id == bindparam("of_resource"),
)


def within(table: Table) -> ColumnElement[bool]:
    """The one row of an organization with an id: parameters `in_organization` and `with_id`."""
    return and_(table.c.organization_id == bindparam("in_organization"), table.c.id == bindparam("with_id"))


def place(organization_id: OrganizationId, resource_id: str) -> dict[str, Any]:
    """The parameters of `within`."""
    return {"in_organization": organization_id, "with_id": resource_id}


def entity_columns(entity: Entity) -> dict[str, Any]:
    """The columns that every entity has."""
    return {
        "organization_id": entity.organization_id,
        "attributes": dict(entity.attributes),
        "catalogue": entity.catalogue,
        "editable": entity.editable,
        "deletable": entity.deletable,
        "version": entity.version,
        "create_time": entity.create_time,
        "update_time": entity.update_time,
    }


def entity_fields(row: Any) -> dict[str, Any]:
    """The fields that every entity has, from its row."""
    return {
        "organization_id": row.organization_id,
        "attributes": row.attributes,
        "catalogue": row.catalogue,
        "editable": row.editable,
        "deletable": row.deletable,
        "version": row.version,
        "create_time": row.create_time,
        "update_time": row.update_time,
    }


def contains(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The filter `name`: the folded column contains the pattern made by `pattern`."""
    return column.like(bindparam(name), escape="\\")


def pattern(text: str) -> str | None:
    """Return the LIKE pattern that finds the text as it stands, without regard to case; None for no text."""
    if not text:
        return None
    plain = fold(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"


def carries_tag(table: Table, resource_type: str) -> ColumnElement[bool]:
    """The filter `tag`: the row carries this very tag."""
    return (
        select(tagged.c.tag)
        .where(
            tagged.c.organization_id == table.c.organization_id,
            tagged.c.resource_type == resource_type,
            tagged.c.resource_id == table.c.id,
            tagged.c.tag == bindparam("tag"),
        )
        .exists()
    )


def keep_tags(
    connection: Connection, organization_id: OrganizationId, resource_type: str, resource_id: str, tags: Sequence[str]
) -> None:
    """Make these the tags that the resource is found by."""
    drop_tags(connection, organization_id, resource_type, resource_id)
    add_tags(connection, organization_id, resource_type, resource_id, tags)


def add_tags(
    connection: Connection, organization_id: OrganizationId, resource_type: str, resource_id: str, tags: Sequence[str]
) -> None:
    """Let a resource that has no tags yet be found by these."""
    if tags:
        rows = [
            {
                "organization_id": organization_id,
                "resource_type": resource_type,
                "resource_id": resource_id,
                "tag": tag,
            }
            for tag in tags
        ]
        connection.execute(_ADD_TAG, rows)


def drop_tags(connection: Connection, organization_id: OrganizationId, resource_type: str, resource_id: str) -> None:
    """Forget the resource's tags."""
    parameters = {"in_organization": organization_id, "of_type": resource_type, "of_resource": resource_id}
    connection.execute(_DROP_TAGS, parameters)


def scalar(connection: Connection, statement: Executable, organization_id: OrganizationId) -> int:
    """Return the number that a counting statement over one organization gives."""
    return int(connection.execute(statement, {"in_organization": organization_id}).scalar_one())
