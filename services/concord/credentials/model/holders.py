"""Who holds credentials: whether they live, what they have, and whose things a caller sees."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from concord.credentials.model.logins import MfaState
from concord.kernel.principal import PrincipalRef


class LifeState(StrEnum):
    """Whether a principal or an organization lives; copied from identity, kept after its death."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """What a list of principals shows about the credentials of one."""

    principal: PrincipalRef
    has_password: bool = False
    password_temporary: bool = False
    api_key_count: int = 0
    failed_attempts: int = 0
    mfa: MfaState = MfaState.INACTIVE


@dataclass(frozen=True, slots=True)
class Holder:
    """Whether those whom a credential stands for are alive."""

    principal: LifeState
    organization: LifeState

    @property
    def is_active(self) -> bool:
        """Whether neither is suspended or gone."""
        return self.principal is LifeState.ACTIVE and self.organization is LifeState.ACTIVE


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose things the caller may see in a list: those named, and perhaps all others but some."""

    others: bool
    included: frozenset[PrincipalRef] = frozenset()
    excluded: frozenset[PrincipalRef] = frozenset()

    def admits(self, principal: PrincipalRef | None) -> bool:
        """Tell whether a thing of this principal is in sight."""
        return principal in self.included or (self.others and principal not in self.excluded)


EVERYTHING: Final = Sight(others=True)
