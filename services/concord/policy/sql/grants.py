"""Grants in SQL, and all that a program is made of."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select, tuple_, update

from concord.kernel.database import UniqueViolation
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.errors import AlreadyExists, NotFound
from concord.kernel.ids import GroupId, OrganizationId, ProjectId, RoleId
from concord.kernel.paging import Page, PageRequest
from concord.policy.model import Grant, GrantFilter, GrantId, Sources, SourceStamp, Subject
from concord.policy.sql.policies import SqlPolicies
from concord.policy.sql.roles import SqlRoles
from concord.policy.sql.rows import grant_row, row_grant
from concord.policy.sql.tables import role_grant, role_grant_project

# Both engines bound the parameters of a statement; longer lists are asked for in parts.
_CHUNK = 400

_g = role_grant.c
_HERE = _g.organization_id == bindparam("key_organization")
_THIS = and_(_HERE, _g.id == bindparam("key_id"))

_FIND = select(role_grant).where(_THIS)
_FIND_KEY = select(role_grant).where(
    _HERE,
    _g.subject_kind == bindparam("subject_kind"),
    _g.subject_id == bindparam("subject_id"),
    _g.role_id == bindparam("role_id"),
    _g.boundary_key == bindparam("boundary_key"),
)
_INSERT = insert(role_grant)
_MOVE = (
    update(role_grant)
    .where(_THIS)
    .values({name: bindparam(name) for name in ("version", "update_time", "boundary_key", "boundary")})
)
_DELETE = delete(role_grant).where(_THIS)
_COUNT = select(func.count()).select_from(role_grant).where(_HERE, _g.catalogue == "")
_OF_SUBJECTS = select(role_grant).where(
    _HERE, tuple_(_g.subject_kind, _g.subject_id).in_(bindparam("subjects", expanding=True))
)
_HEADS_OF_SUBJECTS = _OF_SUBJECTS.with_only_columns(_g.id, _g.version, _g.role_id, maintain_column_froms=True)
_OF_ROLE = select(role_grant).where(_HERE, _g.role_id == bindparam("role_id")).order_by(_g.id)
_IN_GROUP = select(role_grant).where(_HERE, _g.boundary_group_id == bindparam("group_id")).order_by(_g.id)
_IN_PROJECT = (
    select(role_grant)
    .join(
        role_grant_project,
        and_(
            role_grant_project.c.organization_id == _g.organization_id,
            role_grant_project.c.grant_id == _g.id,
        ),
    )
    .where(_HERE, role_grant_project.c.project_id == bindparam("project_id"))
    .order_by(_g.id)
)
_INSERT_PROJECT = insert(role_grant_project)
_DELETE_PROJECTS = delete(role_grant_project).where(
    role_grant_project.c.organization_id == bindparam("key_organization"),
    role_grant_project.c.grant_id == bindparam("key_id"),
)
_LISTING = Listing(
    select(role_grant),
    identity=_g.id,
    orders={"create_time": _g.create_time},
    filters={
        "organization_id": _g.organization_id == bindparam("organization_id"),
        "ids": any_of(_g.id, "ids"),
        "subjects": tuple_(_g.subject_kind, _g.subject_id).in_(bindparam("subjects", expanding=True)),
        "role_ids": any_of(_g.role_id, "role_ids"),
        "boundary_key": _g.boundary_key == bindparam("boundary_key"),
        "role_languages": any_of(_g.role_language, "role_languages"),
        "role_catalogues": any_of(_g.role_catalogue, "role_catalogues"),
    },
)


class SqlGrants(SqlPolicies, SqlRoles):
    """The part of the SQL store that joins holders, roles and places."""

    def source_stamp(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> SourceStamp:
        wanted = sorted(set(subjects))
        grants = self._held(_HEADS_OF_SUBJECTS, organization_id, wanted)
        return SourceStamp(
            self._policy_versions(organization_id, wanted),
            tuple((GrantId(row.id), int(row.version)) for row in grants),
            self._role_versions(organization_id, [RoleId(row.role_id) for row in grants]) if grants else (),
        )

    def sources_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sources:
        wanted = sorted(set(subjects))
        grants = self.grants_of(organization_id, wanted)
        return Sources(
            tuple(self.policies_of(organization_id, wanted)),
            tuple(grants),
            self.roles_within(organization_id, [each.role_id for each in grants]) if grants else {},
        )

    def add_grant(self, grant: Grant) -> None:
        try:
            self._connection.execute_unique(_INSERT, grant_row(grant))
        except UniqueViolation:
            raise AlreadyExists("grant", grant.id) from None
        self._add_projects(grant)
        self._touch_holder(grant)

    def move_grant(self, grant: Grant) -> None:
        row = grant_row(grant)
        key = _key(grant.organization_id, grant.id)
        values = {name: row[name] for name in ("version", "update_time", "boundary_key", "boundary")}
        if self._connection.execute(_MOVE, {**key, **values}).rowcount == 0:
            raise NotFound("grant", grant.id)
        self._connection.execute(_DELETE_PROJECTS, key)
        self._add_projects(grant)
        self._touch_holder(grant)

    def delete_grant(self, grant: Grant) -> bool:
        self._touch_holder(grant)
        return self._connection.execute(_DELETE, _key(grant.organization_id, grant.id)).rowcount > 0

    def find_grant(self, organization_id: OrganizationId, grant_id: GrantId) -> Grant | None:
        row = self._connection.execute(_FIND, _key(organization_id, grant_id)).first()
        return None if row is None else row_grant(row)

    def find_grant_by_key(
        self, organization_id: OrganizationId, subject: Subject, role_id: RoleId, boundary_key: str
    ) -> Grant | None:
        key = {
            "key_organization": organization_id,
            "subject_kind": subject.kind.value,
            "subject_id": subject.id,
            "role_id": role_id,
            "boundary_key": boundary_key,
        }
        row = self._connection.execute(_FIND_KEY, key).first()
        return None if row is None else row_grant(row)

    def list_grants(self, organization_id: OrganizationId, wanted: GrantFilter, page: PageRequest) -> Page[Grant]:
        filters = {
            "organization_id": organization_id,
            "ids": wanted.ids,
            "subjects": None if wanted.subjects is None else [(each.kind.value, each.id) for each in wanted.subjects],
            "role_ids": wanted.role_ids,
            "boundary_key": wanted.boundary_key,
            "role_languages": wanted.role_languages,
            "role_catalogues": wanted.role_catalogues,
        }
        return _LISTING.page(self._connection, page, filters, row_grant)

    def grants_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sequence[Grant]:
        return [row_grant(row) for row in self._held(_OF_SUBJECTS, organization_id, sorted(set(subjects)))]

    def grants_of_role(self, organization_id: OrganizationId, role_id: RoleId) -> Sequence[Grant]:
        return self._grants(_OF_ROLE, organization_id, role_id=role_id)

    def grants_in_group(self, organization_id: OrganizationId, group_id: GroupId) -> Sequence[Grant]:
        return self._grants(_IN_GROUP, organization_id, group_id=group_id)

    def grants_in_project(self, organization_id: OrganizationId, project_id: ProjectId) -> Sequence[Grant]:
        return self._grants(_IN_PROJECT, organization_id, project_id=project_id)

    def count_grants(self, organization_id: OrganizationId) -> int:
        return int(self._connection.execute(_COUNT, {"key_organization": organization_id}).scalar_one())

    def _grants(self, query: Any, organization_id: OrganizationId, **named: str) -> Sequence[Grant]:
        rows = self._connection.execute(query, {"key_organization": organization_id, **named})
        return [row_grant(row) for row in rows]

    def _held(self, query: Any, organization_id: OrganizationId, subjects: Sequence[Subject]) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(subjects), _CHUNK):
            pairs = [(each.kind.value, each.id) for each in subjects[start : start + _CHUNK]]
            part = {"key_organization": organization_id, "subjects": pairs}
            rows.extend(self._connection.execute(query, part))
        return sorted(rows, key=lambda row: str(row.id))

    def _add_projects(self, grant: Grant) -> None:
        rows = [
            {"organization_id": grant.organization_id, "project_id": each, "grant_id": grant.id}
            for each in dict.fromkeys(grant.boundary.project_ids)
        ]
        if rows:
            self._connection.execute(_INSERT_PROJECT, rows)

    def _touch_holder(self, grant: Grant) -> None:
        principal = grant.subject.principal
        if principal is None:
            self._touch_organization(grant.organization_id)
        else:
            self._touch_principal(grant.organization_id, principal)


def _key(organization_id: OrganizationId, grant_id: GrantId) -> dict[str, Any]:
    return {"key_organization": organization_id, "key_id": grant_id}
