"""What documents and statements say, and whether it may be stored."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from concord.kernel import ids
from concord.kernel.errors import Invalid, NotFound, Violation
from concord.kernel.ids import GroupId, OrganizationId, ProjectId, StatementId
from concord.policy.compiling import check_statements
from concord.policy.languages import get_language
from concord.policy.model import Boundary, BoundaryKind, Statement
from concord.policy.reading import statement_of
from concord.policy.store import PolicyStore

# Together, in one policy or role: each may be asked at every call of its holders.
MAX_CONDITIONS = 64 * 1024


def said(
    store: PolicyStore,
    organization_id: OrganizationId,
    language: str,
    document: str,
    statements: Sequence[Statement],
    field: str = "policy.language",
) -> tuple[Statement, ...]:
    """Return the statements given, or those of the document given instead, with fresh ids and whole boundaries.

    Raises for what is wrong in them, and for places that are not in the organization.
    """
    get_language(language, field)
    if document and statements:
        raise Invalid(Violation("document", "is given instead of statements, not beside them", rule="constraint"))
    read = read_document(language, document) if document else tuple(statements)
    require_storable(language, read)
    require_places(store, organization_id, [each.boundary for each in read if each.boundary is not None])
    return tuple(
        replace(each, id=ids.new(StatementId), boundary=whole(each.boundary, organization_id)) for each in read
    )


def read_document(language: str, document: str) -> tuple[Statement, ...]:
    """Return what a document says, or raise Invalid with everything that is wrong with its form."""
    return tuple(statement_of(each) for each in get_language(language).parse(document))


def require_storable(language: str, statements: Sequence[Statement]) -> None:
    """Raise Invalid with everything that forbids storing these statements, wherever they hold."""
    if sum(len(each.condition) for each in statements) > MAX_CONDITIONS:
        told = f"must have conditions of at most {MAX_CONDITIONS} characters together"
        raise Invalid(Violation("statements", told, rule="length"))
    check_statements(language, statements)


def validate_document(language: str, document: str) -> tuple[tuple[Statement, ...], tuple[Violation, ...]]:
    """Return what a document says, or what is wrong with it. Raises Invalid for an unknown language."""
    get_language(language)
    try:
        statements = read_document(language, document)
        require_storable(language, statements)
    except Invalid as refused:
        return (), refused.violations
    return statements, ()


def whole(boundary: Boundary | None, organization_id: OrganizationId) -> Boundary:
    """Return the boundary as it is stored: none is the whole organization, and no project stands twice."""
    if boundary is None or boundary.kind is BoundaryKind.ORGANIZATION:
        return Boundary(BoundaryKind.ORGANIZATION, organization_id=organization_id)
    return replace(boundary, organization_id="", project_ids=tuple(dict.fromkeys(boundary.project_ids)))


def require_places(store: PolicyStore, organization_id: OrganizationId, boundaries: Iterable[Boundary]) -> None:
    """Raise NotFound for the first place that is not in the organization."""
    projects: dict[ProjectId, None] = {}
    for boundary in boundaries:
        if boundary.organization_id and boundary.organization_id != organization_id:
            raise NotFound("organization", boundary.organization_id)
        projects.update(dict.fromkeys(boundary.project_ids))
        if boundary.kind is BoundaryKind.GROUP_SUBTREE:
            _require_group(store, organization_id, boundary.group_id)
        if boundary.kind is BoundaryKind.OWNER_ACCOUNT:
            known = store.find_organization(organization_id)
            if known is None or known.owner_user_id != boundary.owner_user_id:
                raise NotFound("user", boundary.owner_user_id)
    for project in projects:
        # A document may hold any text there.
        if not ids.is_canonical(project):
            raise NotFound("project", project)
    known_projects = store.known_projects(organization_id, projects)
    for project in projects:
        if project not in known_projects:
            raise NotFound("project", project)


def _require_group(store: PolicyStore, organization_id: OrganizationId, group_id: str) -> None:
    if not ids.is_canonical(group_id) or not store.has_group(organization_id, GroupId(group_id)):
        raise NotFound("group", group_id)
