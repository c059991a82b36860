"""What statements say, where they hold, and who holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from concord.kernel.ids import ProjectId, StatementId
from concord.kernel.principal import PrincipalKind, PrincipalRef

MAX_STATEMENTS = 1000
MAX_STATEMENT_ITEMS = 1000


class Effect(StrEnum):
    """What a statement says about the acts it matches."""

    ALLOW = "allow"
    DENY = "deny"


class BoundaryKind(StrEnum):
    """What a boundary is made of."""

    ORGANIZATION = "organization"
    PROJECTS = "projects"
    GROUP_SUBTREE = "group_subtree"
    OWN_DIVISIONS = "own_divisions"
    OWNER_ACCOUNT = "owner_account"


@dataclass(frozen=True, slots=True)
class Boundary:
    """The part of an organization that a statement covers."""

    kind: BoundaryKind
    organization_id: str = ""
    project_ids: tuple[ProjectId, ...] = ()
    group_id: str = ""
    owner_user_id: str = ""

    def parts(self) -> frozenset[tuple[str, str]]:
        """Return what a count of boundaries counts: each project for itself, anything else as one."""
        if self.kind is BoundaryKind.PROJECTS:
            return frozenset(("project", each) for each in self.project_ids)
        return frozenset({(self.kind.value, self.organization_id or self.group_id or self.owner_user_id)})

    @property
    def key(self) -> str:
        """What is equal for equal boundaries and for no others, and short."""
        if self.kind is BoundaryKind.ORGANIZATION:
            return self.kind.value
        named = (*sorted(set(self.project_ids)), self.group_id, self.owner_user_id)
        return f"{self.kind.value}:{sha256(' '.join(named).encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A class of HTTP calls, for languages that speak of paths."""

    base_path: str = ""
    path_pattern: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """Part of a policy: allows or denies what it matches."""

    id: StatementId
    effect: Effect = Effect.ALLOW
    permissions: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    denied_endpoints: tuple[Endpoint, ...] = ()
    source_network: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    role_names: tuple[str, ...] = ()
    boundary: Boundary | None = None
    condition: str = ""


class SubjectKind(StrEnum):
    """What kind of holder a policy has."""

    USER = "user"
    APPLICATION = "application"
    DEVICE = "device"
    GROUP = "group"
    EVERYONE = "everyone"
    NONE = "none"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """The one holder of a policy. `id` is empty for everyone and nobody."""

    kind: SubjectKind = SubjectKind.NONE
    id: str = ""

    @classmethod
    def of(cls, principal: PrincipalRef) -> "Subject":
        """Return the subject that is this principal."""
        return cls(SubjectKind(principal.kind.value), principal.id)

    @property
    def principal(self) -> PrincipalRef | None:
        """The principal, where the subject is one."""
        if self.kind in (SubjectKind.USER, SubjectKind.APPLICATION, SubjectKind.DEVICE):
            return PrincipalRef(PrincipalKind(self.kind.value), self.id)
        return None


NOBODY = Subject()
EVERYONE = Subject(SubjectKind.EVERYONE)
