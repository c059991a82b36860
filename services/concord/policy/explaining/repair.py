"""One change that would have an act allowed, and which of several is the smaller."""

from dataclasses import dataclass
from enum import StrEnum

from concord.policy.explaining.trial import Breadth
from concord.policy.model import Boundary, Subject, SubjectKind


class RepairKind(StrEnum):
    """What is to be done."""

    CREATE_GRANT = "create_grant"
    ADD_MEMBER = "add_member"
    REMOVE_STATEMENT = "remove_statement"
    DELETE_GRANT = "delete_grant"
    REMOVE_POLICY = "remove_policy"
    DELETE_ROLE = "delete_role"


class Area(StrEnum):
    """What repairs are about, which not everybody may be told."""

    ROLES = "roles"
    GROUPS = "groups"
    SOURCES = "sources"


_KINDS = tuple(RepairKind)
_PEOPLE = {SubjectKind.GROUP: 1, SubjectKind.EVERYONE: 2}
_ALL_HOLDERS = 2


@dataclass(frozen=True, slots=True)
class Repair:
    """A change that was tried and allows."""

    kind: RepairKind
    breadth: Breadth
    name: str = ""
    subject: Subject | None = None
    role_id: str = ""
    boundary: Boundary | None = None
    group_id: str = ""
    policy_id: str = ""
    statement_id: str = ""
    grant_id: str = ""

    @property
    def order(self) -> tuple[int, int, int, str, int, str]:
        """What repairs are sorted by: the smallest change comes first."""
        people = _ALL_HOLDERS if self.subject is None else _PEOPLE.get(self.subject.kind, 0)
        ids = f"{self.role_id} {self.group_id} {self.policy_id} {self.statement_id} {self.grant_id}"
        return (*self.breadth, people, self.name, _KINDS.index(self.kind), ids)
