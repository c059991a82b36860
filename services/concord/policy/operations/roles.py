"""Reading roles. All of them are supplied, so there is nothing to ask the store."""

from functools import cache

from concord.kernel.errors import NotFound
from concord.kernel.paging import Page, PageRequest
from concord.policy.catalogues.loader import load_catalogue
from concord.policy.compiling import supplied_roles
from concord.policy.model import BoundaryKind, Role, RoleFilter
from concord.policy.operations.listing import listed


@cache
def all_roles() -> tuple[Role, ...]:
    """Return every role."""
    return tuple(
        Role(
            id=role.id,
            handle=role.name,
            name=role.name,
            description=role.description,
            catalogue=catalogue,
            boundary_kind=BoundaryKind(role.boundary_kind.value),
            permissions=role.permissions,
            categories=role.categories,
            language=load_catalogue(catalogue).language,
        )
        for catalogue, role in supplied_roles()
    )


def get_role(name: str) -> Role:
    """Return the role with this id or handle."""
    for role in all_roles():
        if name in (role.id, role.handle):
            return role
    raise NotFound("role", name)


def list_roles(wanted: RoleFilter, page: PageRequest) -> Page[Role]:
    """Return a page of the roles that pass the filter."""
    found = [role for role in all_roles() if _passes(role, wanted)]
    return listed(found, page, {"name": lambda role: role.name.casefold()}, lambda role: role.id)


def boundary_kind_of(role_names: tuple[str, ...]) -> BoundaryKind | None:
    """Return the boundary kind that the named roles share; the first known one's decides."""
    kinds = _kinds()
    return next((kinds[name] for name in role_names if name in kinds), None)


@cache
def _kinds() -> dict[str, BoundaryKind]:
    return {role.handle: role.boundary_kind for role in all_roles()}


def _passes(role: Role, wanted: RoleFilter) -> bool:
    return (
        (wanted.ids is None or role.id in wanted.ids)
        and (wanted.handles is None or role.handle in wanted.handles)
        and (wanted.catalogues is None or role.catalogue in wanted.catalogues)
        and (wanted.boundary_kinds is None or role.boundary_kind in wanted.boundary_kinds)
        and (wanted.language is None or role.language == wanted.language)
        and (wanted.name is None or wanted.name.casefold() in role.name.casefold())
    )
