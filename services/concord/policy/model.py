"""What the policy service keeps, and the rules that hold for each thing alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId, RoleId, StatementId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef

MAX_NAME = 256
MAX_DESCRIPTION = 1000
MAX_TAGS = 50
MAX_TAG = 128
MAX_ATTRIBUTE_BYTES = 16 * 1024
MAX_ATTRIBUTES_BYTES = 64 * 1024
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


@dataclass(frozen=True, slots=True)
class Policy:
    """A named document of statements, attached to at most one subject."""

    id: PolicyId
    organization_id: OrganizationId
    version: int
    create_time: datetime
    update_time: datetime
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    subject: Subject = NOBODY
    inline: bool = False
    language: str = "statements"
    document: str = ""
    # None where they were not read: lists leave them out unless asked.
    statements: tuple[Statement, ...] | None = ()
    statement_count: int = 0
    boundary_count: int = 0
    role_count: int = 0
    catalogue: str = ""
    editable: bool = True
    deletable: bool = True

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def managed(self) -> bool:
        """Whether the platform supplied it and keeps it."""
        return bool(self.catalogue) and not self.editable

    def saying(self, statements: Iterable[Statement]) -> "Policy":
        """Return the policy with other statements and the counts that follow from them."""
        listed = tuple(statements)
        parts: set[tuple[str, str]] = set()
        for each in listed:
            if each.boundary is not None:
                parts |= each.boundary.parts()
        return replace(
            self,
            statements=listed,
            statement_count=len(listed),
            boundary_count=len(parts),
            role_count=sum(len(each.role_names) for each in listed),
        )


@dataclass(frozen=True, slots=True)
class Role:
    """A supplied role. The same for every organization; it lives in a catalogue, not in the database."""

    id: RoleId
    handle: str
    name: str
    description: str = ""
    catalogue: str = ""
    boundary_kind: BoundaryKind = BoundaryKind.ORGANIZATION
    permissions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of one organization. `version` 0 means that nobody set it: the default holds."""

    name: str
    organization_id: OrganizationId
    limit: int
    unlimited: bool = False
    version: int = 0
    create_time: datetime | None = None
    update_time: datetime | None = None
    display_name: str = ""
    unit: str = ""
    description: str = ""

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


class PrincipalState(StrEnum):
    """Whether a principal may act."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class KnownPrincipal:
    """The replica of a principal: what a decision has to know about it."""

    ref: PrincipalRef
    state: PrincipalState = PrincipalState.ACTIVE
    is_owner: bool = False
    name: str = ""


class OrganizationState(StrEnum):
    """Whether anybody may act in an organization."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class KnownOrganization:
    """The replica of an organization."""

    id: OrganizationId
    owner_user_id: UserId | None
    state: OrganizationState = OrganizationState.ACTIVE


class EndedKind(StrEnum):
    """What ended, and which passports that voids."""

    # The key or session itself: every passport made from it.
    API_KEY = "api_key"
    SESSION = "session"
    # Of a key whose secret was replaced: passports issued up to then.
    API_KEY_EPOCH = "api_key_epoch"
    # Of a principal's sessions: passports of any session issued up to then. The id is the principal's.
    SESSION_EPOCH = "session_epoch"


@dataclass(frozen=True, slots=True)
class EndedCredential:
    """A credential that ended, remembered as long as a passport made from it may be around."""

    kind: EndedKind
    id: str
    principal: PrincipalRef
    end_time: datetime


@dataclass(frozen=True, slots=True)
class Stamps:
    """Two counters that tell whether what is known about a principal's rights is still so."""

    organization: int
    principal: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one principal stands: all that selects the sources of its rights, at one instant."""

    stamps: Stamps
    principal: KnownPrincipal
    organization: KnownOrganization
    # Groups it is in, those above them included.
    group_ids: frozenset[GroupId] = frozenset()
    ended: tuple[EndedCredential, ...] = ()

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Return the holders whose policies count for the principal, in a fixed order."""
        groups = (Subject(SubjectKind.GROUP, each) for each in sorted(self.group_ids))
        return (Subject.of(self.principal.ref), *groups, EVERYONE)


@dataclass(frozen=True, slots=True)
class PolicyFilter:
    """Which policies a list shows. None means any."""

    ids: tuple[str, ...] | None = None
    subjects: tuple[Subject, ...] | None = None
    subject_kinds: tuple[SubjectKind, ...] | None = None
    name: str | None = None
    tag: str | None = None
    editable: bool | None = None
    catalogues: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RoleFilter:
    """Which roles a list shows. None means any."""

    ids: tuple[str, ...] | None = None
    handles: tuple[str, ...] | None = None
    catalogues: tuple[str, ...] | None = None
    boundary_kinds: tuple[BoundaryKind, ...] | None = None
    language: str | None = None
    name: str | None = None


def check_facts(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: tuple[str, ...] | None = None,
    attributes: Mapping[str, str] | None = None,
    prefix: str = "policy.",
) -> None:
    """Raise Invalid with every length that is wrong. None means not written."""
    found: list[Violation] = []
    if name is not None and not 1 <= len(name) <= MAX_NAME:
        found.append(Violation(f"{prefix}name", f"must have 1 to {MAX_NAME} characters", rule="length"))
    if description is not None and len(description) > MAX_DESCRIPTION:
        told = f"must have at most {MAX_DESCRIPTION} characters"
        found.append(Violation(f"{prefix}description", told, rule="length"))
    found.extend(_tag_violations(tags or (), prefix))
    found.extend(_attribute_violations(attributes or {}, prefix))
    if found:
        raise Invalid(*found)


def _tag_violations(tags: tuple[str, ...], prefix: str) -> Iterable[Violation]:
    if len(tags) > MAX_TAGS:
        yield Violation(f"{prefix}tags", f"must be at most {MAX_TAGS}", rule="length")
    for position, tag in enumerate(tags):
        if not 1 <= len(tag) <= MAX_TAG:
            yield Violation(f"{prefix}tags[{position}]", f"must have 1 to {MAX_TAG} characters", rule="length")
    if len(set(tags)) != len(tags):
        yield Violation(f"{prefix}tags", "must not repeat", rule="unique")


def _attribute_violations(attributes: Mapping[str, str], prefix: str) -> Iterable[Violation]:
    total = 0
    for key, value in attributes.items():
        size = len(key.encode()) + len(value.encode())
        total += size
        if not key or len(key) > 256 or "." not in key:
            yield Violation(f"{prefix}attributes", "keys are written `namespace.key`", rule="pattern")
        if size > MAX_ATTRIBUTE_BYTES:
            yield Violation(f"{prefix}attributes", f"`{key[:64]}` is larger than 16 KiB", rule="length")
    if total > MAX_ATTRIBUTES_BYTES:
        yield Violation(f"{prefix}attributes", "are larger than 64 KiB together", rule="length")
