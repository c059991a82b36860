"""Who acts: the domain's view of passports, authors and verdicts. No wire types here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId, UserId


class PrincipalKind(StrEnum):
    """What kind of identity acts."""

    USER = "user"
    APPLICATION = "application"
    DEVICE = "device"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, order=True)
class PrincipalRef:
    """One principal, by kind and id."""

    kind: PrincipalKind
    id: str

    def __hash__(self) -> int:
        # Ids hardly ever meet across kinds, and hashing an enum's member costs more than the rest of a look-up.
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class Passport:
    """A verified proof of identity. Only verification and services themselves make one."""

    principal: PrincipalRef
    organization_id: OrganizationId | None
    issue_time: datetime
    expire_time: datetime
    session_id: SessionId | None = None
    api_key_id: ApiKeyId | None = None
    methods: tuple[str, ...] = ()
    mfa: bool = False
    caller_address: str = ""
    caller_agent: str = ""
    ceiling: tuple[str, ...] = ()
    rights_snapshot_id: str = ""

    @property
    def is_service(self) -> bool:
        """Whether one of the suite's own processes acts."""
        return self.principal.kind is PrincipalKind.SERVICE


class TargetClass(StrEnum):
    """Whom a call is about. ANY is somebody else."""

    ANY = "any"
    OWN = "own"
    OWNER = "owner"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Reach:
    """Within what an allowed call holds: all of the organization but some projects, or just some projects."""

    everything: bool = True
    project_ids: frozenset[str] = frozenset()
    classes: frozenset[TargetClass] = frozenset({TargetClass.ANY, TargetClass.OWN})
    owner_user_id: UserId | None = None
    except_project_ids: frozenset[str] = frozenset()

    def holds_in(self, project_id: str) -> bool:
        """Whether the project lies within."""
        if self.everything:
            return project_id not in self.except_project_ids
        return project_id in self.project_ids

    def within(self, asked: frozenset[str] | None) -> tuple[frozenset[str] | None, frozenset[str] | None]:
        """Narrow a list over projects: the only ones that it may hold and those that it may not; None is no bound."""
        if not self.everything:
            return (self.project_ids if asked is None else asked & self.project_ids), None
        if asked is None:
            return None, self.except_project_ids or None
        return asked - self.except_project_ids, None


@dataclass(frozen=True, slots=True)
class Question:
    """One call that somebody wants to make; see AuthorizeRequest."""

    passport: Passport
    rpc: str
    permission: str
    classes: tuple[TargetClass, ...] = ()
    target: PrincipalRef | None = None
    operation: str = ""
    update_mask: tuple[str, ...] = ()
    pinned: Mapping[str, str] = field(default_factory=dict)
    resource_id: str = ""
    deployment: bool = False
    in_projects: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a question."""

    allowed: bool
    reach: Reach = Reach()
    statement_ids: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, as the audit fact will say it."""

    principal: PrincipalRef | None = None
    session_id: SessionId | None = None
    api_key_id: ApiKeyId | None = None
    caller_address: str = ""
    caller_agent: str = ""
    rpc: str = ""
    operation: str = ""
    call_id: str = ""
