"""Projects."""

from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from concord.identity.model import Project
from concord.identity.rules import fold
from concord.identity.sql.shared import contains, entity_columns, entity_fields, pattern, place, scalar, within
from concord.identity.sql.tables import project
from concord.identity.store import ProjectFilter
from concord.kernel.database import Connection
from concord.kernel.database.listing import Listing, any_of, none_of
from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.paging import Page, PageRequest

_ADD: Final = insert(project)
_FIND: Final = select(project).where(within(project))
_REPLACE: Final = update(project).where(within(project))
_REMOVE: Final = delete(project).where(within(project))
_COUNT: Final = (
    select(func.count())
    .select_from(project)
    .where(project.c.organization_id == bindparam("in_organization"), project.c.catalogue == "")
)
_LIST: Final = Listing(
    select(project),
    identity=project.c.id,
    orders={name: project.c[name] for name in ("create_time", "update_time", "name", "folded_name")},
    filters={
        "organization": project.c.organization_id == bindparam("organization"),
        "only": any_of(project.c.id, "only"),
        "without": none_of(project.c.id, "without"),
        "name": contains(project.c.folded_name, "name"),
    },
    wide=("only", "without"),
)


class SqlProjectStore:
    """Projects of one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Project) -> None:
        """Keep a new project."""
        self._connection.execute(_ADD, _columns(new))

    def find(self, organization_id: OrganizationId, project_id: ProjectId) -> Project | None:
        """Return the project."""
        row = self._connection.execute(_FIND, place(organization_id, project_id)).one_or_none()
        return None if row is None else _project(row)

    def replace(self, changed: Project) -> None:
        """Keep new values."""
        values = _columns(changed)
        del values["id"], values["organization_id"]
        self._connection.execute(_REPLACE, {**values, **place(changed.organization_id, changed.id)})

    def remove(self, organization_id: OrganizationId, project_id: ProjectId) -> None:
        """Forget the project."""
        self._connection.execute(_REMOVE, place(organization_id, project_id))

    def count_counted(self, organization_id: OrganizationId) -> int:
        """Return how many people made."""
        return scalar(self._connection, _COUNT, organization_id)

    def page(self, organization_id: OrganizationId, chosen: ProjectFilter, request: PageRequest) -> Page[Project]:
        """Return one page."""
        filters = {
            "organization": organization_id,
            "only": chosen.only,
            "without": chosen.without,
            "name": pattern(chosen.name),
        }
        return _LIST.page(self._connection, request, filters, _project)


def _columns(value: Project) -> dict[str, Any]:
    return {
        "id": value.id,
        "name": value.name,
        "folded_name": fold(value.name),
        "description": value.description,
        "group_id": value.group_id,
        **entity_columns(value),
    }


def _project(row: Any) -> Project:
    return Project(id=row.id, name=row.name, description=row.description, group_id=row.group_id, **entity_fields(row))
