"""Which rows a decided call may touch, and which quotas bound what it makes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from concord.identity.store import IdentityStore, ProjectFilter
from concord.kernel.errors import Denied
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalKind, PrincipalRef, Reach, TargetClass
from concord.kernel.quotas import DEFAULT_LIMITS, require_room


@dataclass(frozen=True, slots=True)
class Sight:
    """What a call may see: what was decided about it, and who makes it."""

    reach: Reach
    principal: PrincipalRef | None = None

    def principals(self, kind: PrincipalKind, asked: frozenset[str] | None = None) -> frozenset[str] | None:
        """Return the ids of principals of a kind that a list may hold; None means all.

        Principals belong to no project, so a right bounded to projects shows none of them.
        """
        if self.reach.everything and TargetClass.ANY in self.reach.classes:
            return asked
        own: frozenset[str] = frozenset()
        if self._is_own(kind) and self.principal is not None:
            own = frozenset({self.principal.id})
        return own if asked is None else own & asked

    def projects(self, chosen: ProjectFilter) -> ProjectFilter:
        """Return the filter narrowed to the projects that a list may hold."""
        if TargetClass.ANY not in self.reach.classes:
            return replace(chosen, only=frozenset())
        only, without = self.reach.within(chosen.only)
        return replace(chosen, only=only, without=without)

    def require_principal(self, target: PrincipalRef, permission: str) -> None:
        """Refuse unless the call may see this principal."""
        allowed = self.principals(target.kind)
        if allowed is not None and target.id not in allowed:
            raise Denied(permission)

    def require_project(self, project_id: str, permission: str) -> None:
        """Refuse unless the call may touch this project."""
        if TargetClass.ANY not in self.reach.classes or not self.reach.holds_in(project_id):
            raise Denied(permission)

    def _is_own(self, kind: PrincipalKind) -> bool:
        if self.principal is None or self.principal.kind is not kind:
            return False
        return self.reach.everything and TargetClass.OWN in self.reach.classes


def require_everything(reach: Reach, permission: str) -> None:
    """Refuse a call whose right is bounded to projects: what it touches belongs to the whole organization."""
    if not reach.everything:
        raise Denied(permission)


def check_quota(
    store: IdentityStore, organization_id: OrganizationId, name: str, count: Callable[[OrganizationId], int]
) -> None:
    """Raise QuotaExceeded when the organization has no room for one more."""
    quota = store.quotas.find(organization_id, name)
    limit = DEFAULT_LIMITS[name] if quota is None else quota.limit
    require_room(name, limit, lambda: count(organization_id))
