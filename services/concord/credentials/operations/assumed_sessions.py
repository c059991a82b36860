"""Acting as another user."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from concord.credentials.model.api_keys import ApiKeyState
from concord.credentials.model.checks import check_ttl, refuse
from concord.credentials.model.holders import LifeState
from concord.credentials.model.logins import Person
from concord.credentials.model.sessions import MAX_AGENT, MIN_SESSION_TTL, Session
from concord.credentials.model.trust import ASSUMED_TTL, Assumption, Circumstances, TrustedPrincipal
from concord.credentials.operations.session_changes import OpenedSession, begin_with_token
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import Precondition, Reason
from concord.kernel.ids import OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Unit

Sessions = Unit[CredentialStore]

METHOD: Final = "assumed"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a caller wants to act as, as the caller says it: an organization or its own, a user by id or name."""

    organization_id: str = ""
    organization_number: int = 0
    user_id: str = ""
    username: str = ""


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """Who is meant, and the conditions under which the caller is trusted. An empty one always holds."""

    organization_id: OrganizationId
    user_id: UserId
    conditions: tuple[str, ...]
    caller_name: str

    def is_trusted(self, holding: Collection[str]) -> bool:
        """Tell whether these conditions are enough."""
        return any(not each or each in holding for each in self.conditions)


def not_trusted() -> Precondition:
    """Return the one refusal: whoever is not trusted does not learn whether there is such a user."""
    return Precondition(Reason.INVALID_STATE, "no such user trusts the caller in these circumstances", "trust_policy")


def find_target(store: CredentialStore, target: Target, at: Circumstances) -> FoundTarget:
    """Return who is meant, or raise the refusal."""
    person = _find_person(store, target, at.caller.organization_id)
    policy = None if person is None else store.find_trust_policy(person.organization_id, person.user_id)
    if person is None or policy is None or person.is_owner:
        raise not_trusted()
    conditions = policy.conditions_for(at.caller)
    if not conditions or _is_self(person, at.caller):
        raise not_trusted()
    caller = store.find_person(at.caller.organization_id, UserId(at.caller.principal.id))
    return FoundTarget(person.organization_id, person.user_id, conditions, "" if caller is None else caller.username)


def assume_user(
    unit: Sessions,
    target: FoundTarget,
    holding: Collection[str],
    at: Circumstances,
    ttl: timedelta | None,
    vault: Vault,
    rights_snapshot_id: str = "",
) -> OpenedSession:
    """Open a session as another user. All that was found before is looked at again: it may have ended since."""
    expire_time = unit.now + _settle_ttl(unit, ttl)
    user = PrincipalRef(PrincipalKind.USER, target.user_id)
    person = unit.store.find_person(unit.organization_id, target.user_id)
    policy = unit.store.find_trust_policy(unit.organization_id, target.user_id)
    conditions = () if policy is None else policy.conditions_for(at.caller)
    if person is None or person.is_owner or _is_self(person, at.caller):
        raise not_trusted()
    if not replace(target, conditions=conditions).is_trusted(holding):
        raise not_trusted()
    _require_living(unit, TrustedPrincipal(unit.organization_id, user))
    _require_standing(unit, at)
    session = Session(
        id=ids.new(SessionId),
        organization_id=unit.organization_id,
        version=1,
        principal=user,
        assumed_by=at.caller.principal,
        issuer=at.caller.principal,
        create_time=unit.now,
        update_time=unit.now,
        expire_time=expire_time,
        methods=(METHOD, *(each for each in at.methods if each not in ("session", METHOD))),
        mfa=at.mfa,
        # Whoever was lowered stays lowered: acting as somebody is no way around it.
        ceiling=at.ceiling,
        rights_snapshot_id=rights_snapshot_id,
        # Another organization's session is not told of here, not even by its id.
        parent_session_id=at.session_id if at.caller.organization_id == unit.organization_id else None,
        ip=at.address,
        user_agent=at.agent[:MAX_AGENT],
    )
    for each in _behind(unit, session, at):
        unit.store.add_assumption(each)
    return begin_with_token(unit, session, vault)


def _behind(unit: Sessions, session: Session, at: Circumstances) -> Collection[Assumption]:
    """Return all who are behind a new session: the caller, and who acts as the caller."""
    first = Assumption(session.organization_id, session.id, at.caller, at.api_key_id, at.session_id)
    found = {first.caller: first}
    if at.session_id is not None:
        for each in unit.store.assumptions_of(at.caller.organization_id, at.session_id):
            further = replace(each, organization_id=session.organization_id, session_id=session.id)
            if _is_same(further.caller, session):
                # Back to oneself through somebody else would be a session that nobody is behind.
                raise not_trusted()
            found.setdefault(further.caller, further)
    return found.values()


def _is_same(caller: TrustedPrincipal, session: Session) -> bool:
    return caller == TrustedPrincipal(session.organization_id, session.principal)


def _is_self(person: Person, caller: TrustedPrincipal) -> bool:
    return caller == TrustedPrincipal(person.organization_id, PrincipalRef(PrincipalKind.USER, person.user_id))


def _find_person(store: CredentialStore, target: Target, own: OrganizationId) -> Person | None:
    organization_id: OrganizationId | None = own
    if target.organization_id:
        organization_id = ids.parse(OrganizationId, target.organization_id, "organization_id")
    elif target.organization_number:
        organization_id = store.find_organization_numbered(target.organization_number)
    user_id = ids.parse(UserId, target.user_id, "user_id") if target.user_id else None
    if organization_id is None or "\x00" in target.username:
        return None
    if user_id is not None:
        return store.find_person(organization_id, user_id)
    person = store.find_person_named(organization_id, target.username, "")
    # Names only: an address says who may log in, not who may be acted as.
    return person if person is not None and person.username == target.username else None


def _require_living(unit: Sessions, who: TrustedPrincipal) -> None:
    rules = unit.store.find_organization(who.organization_id)
    state = unit.store.find_principal(who.organization_id, who.principal)
    if rules is None or rules.state is not LifeState.ACTIVE or state is not LifeState.ACTIVE:
        raise not_trusted()


def _require_standing(unit: Sessions, at: Circumstances) -> None:
    """Refuse where what the caller showed has ended while it was asked about."""
    _require_living(unit, at.caller)
    own = at.caller.organization_id
    if at.session_id is not None:
        session = unit.store.find_session(own, at.session_id)
        if session is None or session.end_time is not None:
            raise not_trusted()
    elif at.api_key_id is not None and METHOD not in at.methods:
        key = unit.store.find_key(own, at.api_key_id)
        client = unit.store.find_client_by_id(own, ids.parse(str, at.api_key_id, "api_key_id"))
        if client is None and (key is None or key.state is not ApiKeyState.ACTIVE):
            raise not_trusted()


def _settle_ttl(unit: Sessions, ttl: timedelta | None) -> timedelta:
    rules = unit.store.find_organization(unit.organization_id)
    longest = min((rules.max_session_ttl if rules is not None else ASSUMED_TTL) or ASSUMED_TTL, ASSUMED_TTL)
    if ttl is None:
        return longest
    refuse(check_ttl(ttl, "ttl", MIN_SESSION_TTL, ASSUMED_TTL))
    # What the other organization allows is none of the caller's business, so it shortens and does not refuse.
    return min(ttl, longest)
