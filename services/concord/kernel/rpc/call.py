"""The call being served: who makes it, what was decided about it, what its answer will carry."""

from asyncio import get_running_loop
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from concord.kernel import ids
from concord.kernel.errors import Denied, NotFound, Reason, Unauthenticated
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Author, Passport, PrincipalKind, PrincipalRef, Reach, TargetClass, Verdict
from concord.kernel.rpc.options import MethodRules

CURRENT: Final[ContextVar["Call"]] = ContextVar("concord_call")

_NOWHERE: Final = Reach(everything=False, classes=frozenset())


@dataclass(slots=True)
class Call:
    """One call, from its arrival to its answer. Handlers get it with `Call.current()`."""

    method: MethodRules
    call_id: str = ""
    passport: Passport | None = None
    verdict: Verdict | None = None
    operation: str = ""
    """The vendor operation that is claimed, `dialect/Operation`; empty for native calls."""
    address: str = ""
    agent: str = ""
    forwarder: str = ""
    """Role of the process of ours that made the call or passed it on; empty for callers from outside."""
    freshness: Mapping[str, int] = field(default_factory=dict)
    """By service, the revision that this call's reads must have seen."""
    deadline: float | None = None
    """On the loop's clock; None when the caller set none and no cap applies."""
    outcome: str = "OK"
    """Name of the code that the call is answered with; set once it is known."""
    trailing: list[tuple[str, str]] = field(default_factory=list)
    """Metadata that goes out with the answer, whether it is good or bad."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """The metadata that the chain reads, by name."""
    repeated: frozenset[str] = frozenset()
    """Names of such metadata that came more than once."""

    @classmethod
    def current(cls) -> "Call":
        """Return the call that this task serves."""
        try:
            return CURRENT.get()
        except LookupError:
            raise RuntimeError("no call is being served here") from None

    @property
    def organization_id(self) -> OrganizationId:
        """The caller's organization; a caller without one is refused."""
        organization_id = self.require_passport().organization_id
        if organization_id is None:
            raise Denied(self.method.permission, message="the caller acts in no organization")
        return organization_id

    def own_organization(self, requested: str) -> OrganizationId:
        """Return the caller's organization, whether the request names it or leaves it out.

        Another organization is as unknown to the caller as one that does not exist.
        """
        own = self.organization_id
        if requested and ids.parse(OrganizationId, requested, "organization_id") != own:
            raise NotFound("organization", requested)
        return own

    @property
    def reach(self) -> Reach:
        """Within what the call holds: nothing where nothing was decided."""
        return _NOWHERE if self.verdict is None else self.verdict.reach

    @property
    def author(self) -> Author:
        """Who makes the changes of this call."""
        passport = self.passport
        return Author(
            principal=None if passport is None else passport.principal,
            session_id=None if passport is None else passport.session_id,
            api_key_id=None if passport is None else passport.api_key_id,
            caller_address=self.address,
            caller_agent=self.agent,
            rpc=self.method.rpc,
            operation=self.operation,
            call_id=self.call_id,
        )

    def require_passport(self) -> Passport:
        """Return the caller's passport; public rpcs may have none."""
        if self.passport is None:
            raise Unauthenticated(Reason.CREDENTIAL_MISSING, "the call carries no credential")
        return self.passport

    def require_target(self, principal: PrincipalRef) -> None:
        """Refuse unless the decision admits a thing of this principal.

        For rpcs whose request does not say whom it is about: the service knows once it has read the resource.
        """
        if self.admits(principal):
            return
        raise Denied(self.method.permission)

    def admits(self, principal: PrincipalRef) -> bool:
        """Tell whether the decision admits a thing of this principal."""
        admitted = self.reach.classes
        if self.passport is not None and principal == self.passport.principal:
            if TargetClass.OWN in admitted:
                return True
            if TargetClass.OWN in self.method.classes and TargetClass.OWNER not in admitted:
                # A right over others does not outweigh what denies one's own things.
                return False
        is_owner = principal.kind is PrincipalKind.USER and principal.id == self.reach.owner_user_id
        if is_owner and TargetClass.OWNER in self.method.classes:
            # Where an rpc tells the owner apart, the plain permission never covers the owner.
            return TargetClass.OWNER in admitted
        return TargetClass.ANY in admitted

    def time_remaining(self) -> float | None:
        """Return the seconds left until the deadline, never less than 0; None without a deadline."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - get_running_loop().time())
