"""Stored statements ↔ the form that languages read, and the roles that the catalogues supply."""

from collections.abc import Iterable, Mapping
from functools import cache

from concord.kernel.ids import ProjectId, RoleId, StatementId
from concord.policy import engine
from concord.policy.catalogues.loader import CATALOGUES, SuppliedRole, load_catalogue
from concord.policy.languages import RoleView, SourceStatement
from concord.policy.model import Boundary, BoundaryKind, Effect, Endpoint, LocalizedText, Role, Statement


def find_role(name: str) -> RoleView | None:
    """Return the role that a statement names, in whichever catalogue it is."""
    for catalogue in CATALOGUES:
        found = load_catalogue(catalogue).find_role(name)
        if found is not None:
            return found
    return None


@cache
def supplied_roles() -> Mapping[RoleId, Role]:
    """Return every supplied role by id. They are the same in every organization."""
    return {
        role.id: Role(
            id=role.id,
            handle=role.name,
            name=LocalizedText(role.name),
            description=LocalizedText(role.description),
            catalogue=catalogue,
            boundary_kind=BoundaryKind(role.boundary_kind.value),
            permissions=role.permissions,
            categories=role.categories,
            language=load_catalogue(catalogue).language,
        )
        for catalogue, role in _supplied()
    }


@cache
def supplied_by_handle() -> Mapping[str, Role]:
    """Return every supplied role by handle; of two catalogues with the same one, the first."""
    return {role.handle: role for role in reversed(tuple(supplied_roles().values()))}


def _supplied() -> Iterable[tuple[str, SuppliedRole]]:
    return ((name, role) for name in CATALOGUES for role in load_catalogue(name).roles())


def source_of(statement: Statement) -> SourceStatement:
    """Return a stored statement as languages read it."""
    return SourceStatement(
        id=statement.id,
        effect=engine.Effect(statement.effect.value),
        permissions=statement.permissions,
        operations=statement.operations,
        role_names=statement.role_names,
        boundary=place_of(statement.boundary),
        condition=statement.condition,
        endpoints=tuple(_engine_endpoint(each) for each in statement.endpoints),
        denied_endpoints=tuple(_engine_endpoint(each) for each in statement.denied_endpoints),
        source_network=statement.source_network,
        parameters=tuple((name, str(value)) for name, value in sorted(statement.parameters.items())),
    )


def statement_of(source: SourceStatement) -> Statement:
    """Return what a language read from a document as it is stored; it has no id yet."""
    boundary = source.boundary
    return Statement(
        id=StatementId(""),
        effect=Effect(source.effect.value),
        permissions=source.permissions,
        operations=source.operations,
        role_names=source.role_names,
        boundary=Boundary(
            BoundaryKind(boundary.kind.value),
            project_ids=tuple(ProjectId(project) for project in sorted(boundary.project_ids)),
            group_id=boundary.group_id,
            owner_user_id=boundary.owner_user_id,
        ),
        condition=source.condition,
        endpoints=tuple(Endpoint(each.base_path, each.path, each.method) for each in source.endpoints),
        denied_endpoints=tuple(Endpoint(each.base_path, each.path, each.method) for each in source.denied_endpoints),
        source_network=source.source_network,
        parameters=dict(source.parameters),
    )


def place_of(boundary: Boundary | None) -> engine.Boundary:
    """Return a boundary as decisions look at it."""
    if boundary is None:
        return engine.Boundary()
    # The organization is left out: a program is one organization's, and so are all questions put to it.
    return engine.Boundary(
        kind=engine.BoundaryKind(boundary.kind.value),
        project_ids=frozenset(boundary.project_ids),
        group_id=boundary.group_id,
        owner_user_id=boundary.owner_user_id,
    )


def _engine_endpoint(endpoint: Endpoint) -> engine.Endpoint:
    return engine.Endpoint(endpoint.path_pattern, endpoint.method or "*", endpoint.base_path)
