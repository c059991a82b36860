"""What an explanation has to know of an organization, read from one snapshot and bounded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from concord.kernel.ids import GroupId, OrganizationId, RoleId
from concord.kernel.principal import PrincipalRef
from concord.policy.model import (
    Grant,
    KnownGroup,
    Policy,
    RightsSnapshotId,
    Role,
    Sources,
    Standing,
    Subject,
    SubjectKind,
)
from concord.policy.reading import supplied_roles
from concord.policy.store import PolicyStore

MAX_GROUPS: Final = 1000
MAX_ROLES: Final = 1000
# Statements of all groups' sources and of all roles together.
MAX_STATEMENTS: Final = 20_000
_CHUNK: Final = 16
_NOTHING: Final = Sources()


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one subject holds, and with `others` what else there is that it might."""

    standing: Standing
    sources: Sources
    names: Mapping[GroupId, str]
    """Names of the groups that the subject is in."""
    groups: Mapping[GroupId, KnownGroup] = field(default_factory=dict)
    by_group: Mapping[GroupId, Sources] = field(default_factory=dict)
    """What the groups hold that the subject is not in."""
    roles: Mapping[RoleId, Role] = field(default_factory=dict)
    """Roles that people made."""
    included: frozenset[RoleId] = frozenset()
    """Roles that others include, which therefore cannot be deleted."""
    all_groups: bool = True
    all_roles: bool = True

    @property
    def origins(self) -> tuple[Policy | Grant, ...]:
        """What the subject holds, in the order in which it is compiled."""
        return origins_of(self.sources)

    def role(self, role_id: RoleId) -> Role | None:
        """Return a role, supplied or made."""
        return supplied_roles().get(role_id) or self.sources.roles.get(role_id) or self.roles.get(role_id)


def origins_of(sources: Sources) -> tuple[Policy | Grant, ...]:
    """Return policies and grants in the order in which they are compiled."""
    found: list[Policy | Grant] = [*sources.policies]
    found.extend(sources.grants)
    return tuple(found)


def read_holdings(
    store: PolicyStore,
    organization_id: OrganizationId,
    subject: PrincipalRef,
    snapshot_id: str = "",
    *,
    roles: bool,
    groups: bool,
) -> Holdings | None:
    """Read what an explanation needs; None where the subject is unknown.

    With a snapshot it holds what was frozen instead of what it holds now.
    """
    standing = store.standing(organization_id, subject)
    if standing is None:
        return None
    # No source of anybody's touches the owner.
    owner = standing.principal.is_owner
    sources = _NOTHING if owner else _sources(store, organization_id, standing, snapshot_id)
    known = store.list_groups(organization_id, MAX_GROUPS + 1)
    by_id = {each.id: each for each in known[:MAX_GROUPS]}
    names = {each: _name(store, organization_id, by_id, each) for each in sorted(standing.group_ids)[:MAX_GROUPS]}
    if owner:
        return Holdings(standing, sources, names)
    by_group, all_held = _held(store, organization_id, standing, by_id) if groups else ({}, True)
    made, all_made = _made(store, organization_id) if roles else ({}, True)
    granted = {each.role_id for each in sources.grants} - supplied_roles().keys()
    return Holdings(
        standing,
        sources,
        names,
        by_id,
        by_group,
        made,
        frozenset(each for each in granted if store.including(organization_id, each)),
        all_groups=all_held and len(known) <= MAX_GROUPS,
        all_roles=all_made,
    )


def _sources(store: PolicyStore, organization_id: OrganizationId, standing: Standing, snapshot_id: str) -> Sources:
    if not snapshot_id:
        return store.sources_of(organization_id, standing.subjects)
    frozen = store.find_rights(organization_id, RightsSnapshotId(snapshot_id))
    return _NOTHING if frozen is None else frozen.sources


def _name(
    store: PolicyStore, organization_id: OrganizationId, known: Mapping[GroupId, KnownGroup], group_id: GroupId
) -> str:
    group = known.get(group_id)
    return store.name_of(organization_id, "groups.groups", group_id) if group is None else group.name


def _held(
    store: PolicyStore, organization_id: OrganizationId, standing: Standing, groups: Iterable[GroupId]
) -> tuple[dict[GroupId, Sources], bool]:
    others = [each for each in groups if each not in standing.group_ids]
    found: dict[GroupId, Sources] = {}
    room = MAX_STATEMENTS
    for start in range(0, len(others), _CHUNK):
        part = others[start : start + _CHUNK]
        sources = store.sources_of(organization_id, [Subject(SubjectKind.GROUP, each) for each in part])
        room -= _weight(sources)
        if room < 0:
            return found, False
        found.update(_by_group(sources))
    return found, True


def _by_group(sources: Sources) -> dict[GroupId, Sources]:
    held: dict[GroupId, Sources] = {}
    holders = [each.subject.id for each in sources.policies] + [each.subject.id for each in sources.grants]
    for group in map(GroupId, dict.fromkeys(holders)):
        held[group] = Sources(
            tuple(each for each in sources.policies if each.subject.id == group),
            tuple(each for each in sources.grants if each.subject.id == group),
            sources.roles,
        )
    return held


def _made(store: PolicyStore, organization_id: OrganizationId) -> tuple[dict[RoleId, Role], bool]:
    heads: Sequence[Role] = store.role_heads(organization_id)
    found: dict[RoleId, Role] = {}
    room = MAX_STATEMENTS
    for start in range(0, min(len(heads), MAX_ROLES), _CHUNK):
        part = store.roles_within(organization_id, [each.id for each in heads[start : start + _CHUNK]])
        room -= sum(1 + len(role.statements) for each, role in part.items() if each not in found)
        if room < 0:
            return found, False
        found.update(part)
    return found, len(heads) <= MAX_ROLES


def _weight(sources: Sources) -> int:
    said = sum(1 + len(each.statements or ()) for each in sources.policies)
    granted = sum(
        1 if role is None else 1 + len(role.statements)
        for role in (sources.roles.get(each.role_id) for each in sources.grants)
    )
    return said + granted
