"""The one intermediate form of all policy languages, and what goes into and out of a decision.

A language's compiler makes these values; the engine only reads them. Nothing here
knows a clock, a database or the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Effect(StrEnum):
    """What a statement says when it matches."""

    ALLOW = "allow"
    DENY = "deny"


class Combine(StrEnum):
    """How the answers of a policy set's children become one."""

    DENY_OVERRIDES = "deny_overrides"
    ANY_OF = "any_of"
    ALL_OF = "all_of"


class BoundaryKind(StrEnum):
    """What a boundary is made of."""

    ORGANIZATION = "organization"
    PROJECTS = "projects"
    GROUP_SUBTREE = "group_subtree"
    OWN_DIVISIONS = "own_divisions"
    OWNER_ACCOUNT = "owner_account"


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a statement holds. A boundary of no projects covers nothing."""

    kind: BoundaryKind = BoundaryKind.ORGANIZATION
    organization_id: str = ""
    project_ids: frozenset[str] = frozenset()
    group_id: str = ""
    owner_user_id: str = ""


WHOLE_ORGANIZATION = Boundary()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A class of HTTP calls: `path` is a glob in which `*` ends with its segment and `**` does not; method `*` is all.

    Where `base_path` is empty, `path` speaks of the whole called path. Otherwise the called path, a
    leading `/v1` dropped, is parted into a base and a rest (`/` where nothing is left), and `path`
    speaks of the rest. The base is the longest of the statement's `base_paths` that the path lies
    below, else its first segment. A `base_path` fits a base that is equal or matches it as a glob
    (`*` alone matches any); one without stars that is longer than the base fits, if the path lies below it.
    """

    path: str
    method: str = "*"
    base_path: str = ""
    """Where the interface itself lies; empty for languages that write whole paths."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Matches a request when one of its three lists of actions does and all of its narrowing fields do.

    `permissions`, `operations` and `endpoints` are alternatives. `denied_endpoints`,
    `source_networks`, `parameters`, `dialect`, `path_class`, `boundary` and `condition` narrow.
    """

    id: str
    effect: Effect = Effect.ALLOW
    permissions: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    denied_endpoints: tuple[Endpoint, ...] = ()
    source_networks: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    dialect: str = ""
    """Only for calls that carry out an operation of this dialect; empty for all calls."""
    boundary: Boundary = WHOLE_ORGANIZATION
    condition: str = ""
    every_class: bool = False
    """Stars of an allow stand for the owner and default classes too. Only the owner's own statement says so."""
    path_class: str = ""
    """Only for paths that belong to this kind of place; empty for all calls."""
    base_paths: tuple[str, ...] = ()
    """Where interfaces are known to lie, without `/v1`: how a called path is parted for endpoints with a base path.

    A constant of the language, so that no statement changes what another one matches.
    """


@dataclass(frozen=True, slots=True)
class Policy:
    """Statements of one source, of which any may match; `id` names the source in explanations."""

    id: str
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Sources combined. A deny anywhere below wins over every allow, whatever the rule says."""

    combine: Combine
    children: tuple["PolicySet | Policy", ...] = ()
    label: str = ""
    """What the set stands for, for explanations: the holder and language of its sources, for example."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The principal that a decision is about. Divisions are None while they are unknown."""

    kind: str = ""
    id: str = ""
    name: str = ""
    division_ids: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Resource:
    """What the request touches. Lists and creations touch no resource; None means unknown."""

    type: str = ""
    id: str = ""
    name: str = ""
    locality: str = ""
    group_ids: frozenset[str] | None = frozenset()
    """The group it lies in, with all groups above."""
    division_ids: frozenset[str] | None = frozenset()
    owner_user_id: str | None = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a call. What is empty is unknown."""

    ip: str = ""
    time: datetime | None = None
    user_agent: str = ""
    mfa: bool | None = None
    method: str = ""
    path: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    path_variables: Mapping[str, str] = field(default_factory=dict)
    """Values of the placeholders of the called path, by name."""
    path_class: str = ""
    """What kind of place the path belongs to, for languages in which that says whose rights count."""


# Not frozen: one is made for every decision, and freezing it costs as much as a third of deciding it.
@dataclass(slots=True)
class Request:
    """One question. With a project it is about that project; else it is about the organization as a whole.

    `anywhere` asks where the permission holds: it is allowed if it holds in any place, and
    the decision's reach says in which. `covering` are the vendor operations that would cover
    all that the call does, `touching` those that would cover a part of it.
    """

    permission: str
    subject: Subject = Subject()
    operation: str = ""
    covering: tuple[str, ...] = ()
    touching: tuple[str, ...] = ()
    resource: Resource = Resource()
    organization_id: str = ""
    project_id: str = ""
    anywhere: bool = False
    context: Context = Context()
    operation_stands: bool = True
    """Whether the operation stands for this permission. One that does not may deny and never allow."""
    path_stands: bool = True
    """The same of the called path."""

    @property
    def dialect(self) -> str:
        """The dialect whose operation is carried out; empty for a native call."""
        return self.operation.partition("/")[0] if "/" in self.operation else ""


@dataclass(frozen=True, slots=True)
class Reach:
    """A part of one organization: all of it except some projects, or just some projects."""

    everything: bool = False
    project_ids: frozenset[str] = frozenset()
    except_project_ids: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether it holds nowhere."""
        return not self.everything and not self.project_ids

    def holds_in(self, project_id: str) -> bool:
        """Whether the project lies within."""
        if self.everything:
            return project_id not in self.except_project_ids
        return project_id in self.project_ids

    def union(self, other: "Reach") -> "Reach":
        """What lies in either."""
        if self.everything and other.everything:
            return Reach(True, frozenset(), self.except_project_ids & other.except_project_ids)
        if self.everything:
            return Reach(True, frozenset(), self.except_project_ids - other.project_ids)
        if other.everything:
            return Reach(True, frozenset(), other.except_project_ids - self.project_ids)
        return Reach(False, self.project_ids | other.project_ids)

    def intersection(self, other: "Reach") -> "Reach":
        """What lies in both."""
        if self.everything and other.everything:
            return Reach(True, frozenset(), self.except_project_ids | other.except_project_ids)
        if self.everything:
            return Reach(False, other.project_ids - self.except_project_ids)
        if other.everything:
            return Reach(False, self.project_ids - other.except_project_ids)
        return Reach(False, self.project_ids & other.project_ids)

    def minus(self, other: "Reach") -> "Reach":
        """What lies here and not there."""
        if other.everything:
            return self.intersection(Reach(False, other.except_project_ids))
        if self.everything:
            return Reach(True, frozenset(), self.except_project_ids | other.project_ids)
        return Reach(False, self.project_ids - other.project_ids)


NOWHERE = Reach()
EVERYWHERE = Reach(everything=True)


@dataclass(frozen=True, slots=True)
class FailedCondition:
    """A condition that was not plainly true where it mattered; `error` is empty when it was plainly false."""

    statement_id: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `statement_ids` are those that decided: the denies of a refusal, the allows otherwise."""

    allowed: bool
    reach: Reach = NOWHERE
    statement_ids: tuple[str, ...] = ()
    failed_conditions: tuple[FailedCondition, ...] = ()
    revision: str = ""
