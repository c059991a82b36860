"""Finding roles by what they are called. Supplied ones come first: nobody else may have their handles."""

from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import OrganizationId, RoleId
from concord.policy.model import BoundaryKind, Role, normal_handle
from concord.policy.reading import supplied_by_handle, supplied_roles
from concord.policy.store import PolicyStore


def get_role(store: PolicyStore, organization_id: OrganizationId, locator: str) -> Role:
    """Return the role with this id or handle, supplied or made by people."""
    role = find_role(store, organization_id, locator)
    if role is None:
        raise NotFound("role", locator)
    return role


def find_role(store: PolicyStore, organization_id: OrganizationId, locator: str) -> Role | None:
    """Return the role with this id or handle, or None."""
    folded = locator.lower()
    if ids.is_canonical(folded):
        return supplied_roles().get(RoleId(folded)) or store.find_role(organization_id, RoleId(folded))
    if not locator or "\x00" in locator:
        return None
    handle = normal_handle(locator)
    return supplied_by_handle().get(handle) or store.find_role_by_handle(organization_id, handle)


def boundary_kind_of(role_names: tuple[str, ...]) -> BoundaryKind | None:
    """Return the boundary kind that the named roles share; the first known one's decides."""
    known = supplied_by_handle()
    return next((known[name].boundary_kind for name in role_names if name in known), None)
