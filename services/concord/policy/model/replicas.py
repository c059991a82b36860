"""What is copied of principals, organizations and credentials, as far as decisions have to know it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from concord.kernel.ids import GroupId, OrganizationId, UserId
from concord.kernel.principal import PrincipalRef
from concord.policy.model.statements import EVERYONE, Subject, SubjectKind


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


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """The replica of a group."""

    id: GroupId
    parent_id: GroupId | None
    name: str = ""


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
