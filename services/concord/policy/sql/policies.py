"""Policies, statements and quotas in SQL."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, insert, select, tuple_, update

from concord.kernel.database import UniqueViolation
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.errors import AlreadyExists, NotFound
from concord.kernel.ids import OrganizationId, PolicyId, ProjectId, StatementId
from concord.kernel.paging import Page, PageRequest
from concord.policy.model import BoundaryKind, Policy, PolicyFilter, Quota, Statement, Subject, SubjectKind
from concord.policy.sql.replicas import Stamping
from concord.policy.sql.rows import body_statement, policy_row, row_policy, statement_body
from concord.policy.sql.tables import policy, policy_project, policy_tag, quota, statement

# Both engines bound the parameters of a statement; longer lists are asked for in parts.
_CHUNK = 400

_THIS_POLICY = and_(policy.c.organization_id == bindparam("key_organization"), policy.c.id == bindparam("key_id"))


def _parts(table: Any) -> Any:
    return and_(table.c.organization_id == bindparam("key_organization"), table.c.policy_id == bindparam("key_id"))


_FIND = select(policy).where(_THIS_POLICY)
_INSERT = insert(policy)
_UPDATE = (
    update(policy)
    .where(_THIS_POLICY)
    .values({c.name: bindparam(c.name) for c in policy.c if c.name not in ("organization_id", "id")})
)
_DELETE = delete(policy).where(_THIS_POLICY)
_COUNT = (
    select(func.count())
    .select_from(policy)
    .where(
        policy.c.organization_id == bindparam("key_organization"),
        policy.c.catalogue == "",
        policy.c.inline.is_(False),
    )
)
_FIND_INLINE = select(policy).where(
    policy.c.organization_id == bindparam("key_organization"),
    policy.c.subject_kind == bindparam("subject_kind"),
    policy.c.subject_id == bindparam("subject_id"),
    policy.c.inline.is_(True),
)
_STATEMENTS = select(statement).where(_parts(statement)).order_by(statement.c.position)
_STATEMENTS_OF_MANY = (
    select(statement)
    .where(
        statement.c.organization_id == bindparam("key_organization"),
        statement.c.policy_id.in_(bindparam("ids", expanding=True)),
    )
    .order_by(statement.c.policy_id, statement.c.position)
)
_KNOWN_STATEMENTS = select(statement.c.id).where(
    statement.c.organization_id == bindparam("key_organization"),
    statement.c.id.in_(bindparam("ids", expanding=True)),
)
_DELETE_STATEMENTS = delete(statement).where(_parts(statement))
_DELETE_TAGS = delete(policy_tag).where(_parts(policy_tag))
_DELETE_PROJECTS = delete(policy_project).where(_parts(policy_project))
_OF_SUBJECTS = (
    select(policy)
    .where(
        policy.c.organization_id == bindparam("key_organization"),
        tuple_(policy.c.subject_kind, policy.c.subject_id).in_(bindparam("subjects", expanding=True)),
    )
    .order_by(policy.c.id)
)
_VERSIONS_OF_SUBJECTS = _OF_SUBJECTS.with_only_columns(policy.c.id, policy.c.version, maintain_column_froms=True)
_WITHIN = (
    select(policy)
    .join(
        policy_project,
        and_(policy_project.c.organization_id == policy.c.organization_id, policy_project.c.policy_id == policy.c.id),
    )
    .where(
        policy.c.organization_id == bindparam("key_organization"),
        policy_project.c.project_id == bindparam("project"),
    )
    .order_by(policy.c.id)
)

_LISTING = Listing(
    select(policy),
    identity=policy.c.id,
    orders={"name": policy.c.name_folded, "create_time": policy.c.create_time, "update_time": policy.c.update_time},
    filters={
        "organization_id": policy.c.organization_id == bindparam("organization_id"),
        "ids": any_of(policy.c.id, "ids"),
        "subjects": tuple_(policy.c.subject_kind, policy.c.subject_id).in_(bindparam("subjects", expanding=True)),
        "subject_kinds": any_of(policy.c.subject_kind, "subject_kinds"),
        "name": policy.c.name_folded.contains(bindparam("name"), escape="/"),
        "tag": exists().where(
            policy_tag.c.organization_id == policy.c.organization_id,
            policy_tag.c.policy_id == policy.c.id,
            policy_tag.c.tag == bindparam("tag"),
        ),
        "editable": policy.c.editable == bindparam("editable"),
        "catalogues": any_of(policy.c.catalogue, "catalogues"),
        "inline": policy.c.inline == bindparam("inline"),
        "besides": policy.c.subject_kind != bindparam("besides"),
    },
)
_STATEMENT_LISTING = Listing(
    select(statement),
    identity=statement.c.id,
    orders={"position": statement.c.position},
    filters={
        "organization_id": statement.c.organization_id == bindparam("organization_id"),
        "policy_id": statement.c.policy_id == bindparam("policy_id"),
    },
)

_THIS_QUOTA = and_(quota.c.organization_id == bindparam("key_organization"), quota.c.name == bindparam("key_name"))
_FIND_QUOTA = select(quota).where(_THIS_QUOTA)
_LIST_QUOTAS = select(quota).where(quota.c.organization_id == bindparam("key_organization")).order_by(quota.c.name)
_INSERT_QUOTA = insert(quota)
_UPDATE_QUOTA = (
    update(quota)
    .where(_THIS_QUOTA)
    .values({name: bindparam(name) for name in ("version", "create_time", "update_time", "maximum", "unlimited")})
)
_INSERT_POLICY_TAG = insert(policy_tag)
_INSERT_STATEMENT = insert(statement)
_INSERT_POLICY_PROJECT = insert(policy_project)


class SqlPolicies(Stamping):
    """The part of the SQL store that keeps what people write."""

    def add_policy(self, policy: Policy) -> None:
        try:
            self._connection.execute_unique(_INSERT, policy_row(policy))
        except UniqueViolation:
            raise AlreadyExists("policy", policy.id, "id") from None
        self._add_tags(policy)
        self._add_statements(policy)
        self._touch_organization(policy.organization_id)

    def find_policy(self, organization_id: OrganizationId, policy_id: PolicyId) -> Policy | None:
        key = _key(organization_id, policy_id)
        row = self._connection.execute(_FIND, key).first()
        if row is None:
            return None
        statements = tuple(body_statement(each.id, each.body) for each in self._connection.execute(_STATEMENTS, key))
        return row_policy(row, statements)

    def list_policies(
        self,
        organization_id: OrganizationId,
        wanted: PolicyFilter,
        page: PageRequest,
        *,
        with_statements: bool = False,
    ) -> Page[Policy]:
        filters = {
            "organization_id": organization_id,
            "ids": wanted.ids,
            "subjects": None if wanted.subjects is None else _pairs(wanted.subjects),
            "subject_kinds": None if wanted.subject_kinds is None else [each.value for each in wanted.subject_kinds],
            "name": None if wanted.name is None else _escaped(wanted.name.casefold()),
            "tag": wanted.tag,
            "editable": wanted.editable,
            "catalogues": wanted.catalogues,
            "inline": wanted.inline,
            "besides": SubjectKind.EVERYONE.value if wanted.inline else None,
        }
        found = _LISTING.page(self._connection, page, filters, lambda row: row_policy(row, None))
        if not with_statements:
            return found
        said = self._statements_of(organization_id, [each.id for each in found.items])
        return found.map(lambda each: each.saying(said.get(each.id, ())))

    def save_policy(self, policy: Policy) -> None:
        self._update(policy)
        self._connection.execute(_DELETE_TAGS, _key(policy.organization_id, policy.id))
        self._add_tags(policy)

    def replace_statements(self, policy: Policy) -> None:
        self._update(policy)
        key = _key(policy.organization_id, policy.id)
        self._connection.execute(_DELETE_STATEMENTS, key)
        self._connection.execute(_DELETE_PROJECTS, key)
        self._add_statements(policy)

    def delete_policy(self, organization_id: OrganizationId, policy_id: PolicyId) -> bool:
        self._touch_organization(organization_id)
        return self._connection.execute(_DELETE, _key(organization_id, policy_id)).rowcount > 0

    def count_policies(self, organization_id: OrganizationId) -> int:
        return int(self._connection.execute(_COUNT, {"key_organization": organization_id}).scalar_one())

    def list_statements(
        self, organization_id: OrganizationId, policy_id: PolicyId, page: PageRequest
    ) -> Page[Statement]:
        filters = {"organization_id": organization_id, "policy_id": policy_id}
        return _STATEMENT_LISTING.page(self._connection, page, filters, lambda row: body_statement(row.id, row.body))

    def policies_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sequence[Policy]:
        return self._whole(organization_id, self._held_by(_OF_SUBJECTS, organization_id, subjects))

    def find_inline_policy(self, organization_id: OrganizationId, subject: Subject) -> Policy | None:
        key = {"key_organization": organization_id, "subject_kind": subject.kind.value, "subject_id": subject.id}
        found = self._whole(organization_id, self._connection.execute(_FIND_INLINE, key).all())
        return found[0] if found else None

    def _policy_versions(
        self, organization_id: OrganizationId, subjects: Iterable[Subject]
    ) -> tuple[tuple[PolicyId, int], ...]:
        rows = self._held_by(_VERSIONS_OF_SUBJECTS, organization_id, subjects)
        return tuple((PolicyId(row.id), row.version) for row in rows)

    def _held_by(self, query: Any, organization_id: OrganizationId, subjects: Iterable[Subject]) -> list[Any]:
        wanted = _pairs(sorted(set(subjects)))
        rows: list[Any] = []
        for start in range(0, len(wanted), _CHUNK):
            part = {"key_organization": organization_id, "subjects": wanted[start : start + _CHUNK]}
            rows.extend(self._connection.execute(query, part))
        return sorted(rows, key=lambda row: str(row.id))

    def policies_within(self, organization_id: OrganizationId, project_id: ProjectId) -> Sequence[Policy]:
        rows = self._connection.execute(_WITHIN, {"key_organization": organization_id, "project": project_id})
        return self._whole(organization_id, rows.all())

    def known_statement_ids(self, organization_id: OrganizationId, ids: Iterable[StatementId]) -> frozenset[str]:
        wanted = sorted(set(ids))
        found: set[str] = set()
        for start in range(0, len(wanted), _CHUNK):
            part = {"key_organization": organization_id, "ids": wanted[start : start + _CHUNK]}
            found.update(row.id for row in self._connection.execute(_KNOWN_STATEMENTS, part))
        return frozenset(found)

    def find_quota(self, organization_id: OrganizationId, name: str) -> Quota | None:
        key = {"key_organization": organization_id, "key_name": name}
        row = self._connection.execute(_FIND_QUOTA, key).first()
        return None if row is None else _quota(row)

    def list_quotas(self, organization_id: OrganizationId) -> Sequence[Quota]:
        rows = self._connection.execute(_LIST_QUOTAS, {"key_organization": organization_id})
        return [_quota(row) for row in rows]

    def put_quota(self, quota: Quota) -> None:
        values = {
            "version": quota.version,
            "create_time": quota.create_time,
            "update_time": quota.update_time,
            "maximum": quota.limit,
            "unlimited": quota.unlimited,
        }
        if self.find_quota(quota.organization_id, quota.name) is None:
            row = {"organization_id": quota.organization_id, "name": quota.name, **values}
            self._connection.execute(_INSERT_QUOTA, row)
        else:
            key = {"key_organization": quota.organization_id, "key_name": quota.name}
            self._connection.execute(_UPDATE_QUOTA, {**key, **values})

    def _update(self, policy: Policy) -> None:
        row = policy_row(policy)
        key = _key(row.pop("organization_id"), row.pop("id"))
        if self._connection.execute(_UPDATE, {**key, **row}).rowcount == 0:
            raise NotFound("policy", policy.id)
        self._touch_organization(policy.organization_id)

    def _add_tags(self, policy: Policy) -> None:
        rows = [
            {"organization_id": policy.organization_id, "tag": tag, "policy_id": policy.id}
            for tag in dict.fromkeys(policy.tags)
        ]
        if rows:
            self._connection.execute(_INSERT_POLICY_TAG, rows)

    def _add_statements(self, policy: Policy) -> None:
        said = policy.statements or ()
        rows = [
            {
                "organization_id": policy.organization_id,
                "id": each.id,
                "policy_id": policy.id,
                "position": position,
                "body": statement_body(each),
            }
            for position, each in enumerate(said)
        ]
        if rows:
            self._connection.execute(_INSERT_STATEMENT, rows)
        projects = {
            project
            for each in said
            if each.boundary is not None and each.boundary.kind is BoundaryKind.PROJECTS
            for project in each.boundary.project_ids
        }
        named = [
            {"organization_id": policy.organization_id, "project_id": project, "policy_id": policy.id}
            for project in sorted(projects)
        ]
        if named:
            self._connection.execute(_INSERT_POLICY_PROJECT, named)

    def _statements_of(
        self, organization_id: OrganizationId, ids: Sequence[PolicyId]
    ) -> dict[PolicyId, tuple[Statement, ...]]:
        said: dict[PolicyId, list[Statement]] = {}
        for start in range(0, len(ids), _CHUNK):
            part = {"key_organization": organization_id, "ids": list(ids[start : start + _CHUNK])}
            for row in self._connection.execute(_STATEMENTS_OF_MANY, part):
                said.setdefault(PolicyId(row.policy_id), []).append(body_statement(row.id, row.body))
        return {policy_id: tuple(statements) for policy_id, statements in said.items()}

    def _whole(self, organization_id: OrganizationId, rows: Sequence[Any]) -> Sequence[Policy]:
        said = self._statements_of(organization_id, [PolicyId(row.id) for row in rows])
        return [row_policy(row, said.get(PolicyId(row.id), ())) for row in rows]


def _key(organization_id: OrganizationId, policy_id: PolicyId) -> dict[str, Any]:
    return {"key_organization": organization_id, "key_id": policy_id}


def _pairs(subjects: Iterable[Subject]) -> list[tuple[str, str]]:
    return [(each.kind.value, each.id) for each in subjects]


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _quota(row: Any) -> Quota:
    return Quota(
        name=row.name,
        organization_id=OrganizationId(row.organization_id),
        limit=row.maximum,
        unlimited=row.unlimited,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
    )
