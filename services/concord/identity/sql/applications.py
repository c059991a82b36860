"""Applications and the tags they are found by."""

from typing import Any, Final

from sqlalchemy import bindparam, case, delete, func, insert, select, update

from concord.identity.model import Application, ApplicationState
from concord.identity.rules import fold
from concord.identity.sql.shared import (
    add_tags,
    carries_tag,
    contains,
    drop_tags,
    entity_columns,
    entity_fields,
    keep_tags,
    pattern,
    place,
    scalar,
    within,
)
from concord.identity.sql.tables import application
from concord.identity.store import ApplicationFilter
from concord.kernel.database import Connection
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.ids import ApplicationId, OrganizationId
from concord.kernel.paging import Page, PageRequest

_TYPE: Final = "application"
_ADD: Final = insert(application)
_FIND: Final = select(application).where(within(application))
_REPLACE: Final = update(application).where(within(application))
_REMOVE: Final = delete(application).where(within(application))
_MOVED: Final = application.c.api_key_count + bindparam("step", type_=application.c.api_key_count.type)
_MOVE_KEYS: Final = (
    update(application).where(within(application)).values(api_key_count=case((_MOVED < 0, 0), else_=_MOVED))
)
_COUNT: Final = (
    select(func.count())
    .select_from(application)
    .where(application.c.organization_id == bindparam("in_organization"), application.c.catalogue == "")
)
_LIST: Final = Listing(
    select(application),
    identity=application.c.id,
    orders={name: application.c[name] for name in ("create_time", "update_time", "name", "folded_name")},
    filters={
        "organization": application.c.organization_id == bindparam("organization"),
        "only": any_of(application.c.id, "only"),
        "states": any_of(application.c.state, "states"),
        "name": contains(application.c.folded_name, "name"),
        "tag": carries_tag(application, _TYPE),
        "editable": application.c.editable == bindparam("editable"),
    },
)


class SqlApplicationStore:
    """Applications of one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Application) -> None:
        """Keep a new application."""
        self._connection.execute(_ADD, {**_columns(new), "api_key_count": new.api_key_count})
        add_tags(self._connection, new.organization_id, _TYPE, new.id, new.tags)

    def find(self, organization_id: OrganizationId, application_id: ApplicationId) -> Application | None:
        """Return the application."""
        row = self._connection.execute(_FIND, place(organization_id, application_id)).one_or_none()
        return None if row is None else _application(row)

    def replace(self, changed: Application) -> None:
        """Keep new values; the key count is not the caller's to set."""
        values = _columns(changed)
        del values["id"], values["organization_id"]
        self._connection.execute(_REPLACE, {**values, **place(changed.organization_id, changed.id)})
        keep_tags(self._connection, changed.organization_id, _TYPE, changed.id, changed.tags)

    def add_to_key_count(self, organization_id: OrganizationId, application_id: ApplicationId, step: int) -> None:
        """Move the key count."""
        self._connection.execute(_MOVE_KEYS, {**place(organization_id, application_id), "step": step})

    def remove(self, organization_id: OrganizationId, application_id: ApplicationId) -> None:
        """Forget the application."""
        self._connection.execute(_REMOVE, place(organization_id, application_id))
        drop_tags(self._connection, organization_id, _TYPE, application_id)

    def count_counted(self, organization_id: OrganizationId) -> int:
        """Return how many people made."""
        return scalar(self._connection, _COUNT, organization_id)

    def page(
        self, organization_id: OrganizationId, chosen: ApplicationFilter, request: PageRequest
    ) -> Page[Application]:
        """Return one page."""
        filters = {
            "organization": organization_id,
            "only": chosen.only,
            "states": [state.value for state in chosen.states] or None,
            "name": pattern(chosen.name),
            "tag": chosen.tag or None,
            "editable": chosen.editable,
        }
        return _LIST.page(self._connection, request, filters, _application)


def _columns(value: Application) -> dict[str, Any]:
    return {
        "id": value.id,
        "name": value.name,
        "folded_name": fold(value.name),
        "description": value.description,
        "tags": list(value.tags),
        "state": value.state.value,
        **entity_columns(value),
    }


def _application(row: Any) -> Application:
    return Application(
        id=row.id,
        name=row.name,
        description=row.description,
        tags=tuple(row.tags),
        state=ApplicationState(row.state),
        api_key_count=row.api_key_count,
        **entity_fields(row),
    )
