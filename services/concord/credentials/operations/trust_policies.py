"""The life of trust policies."""

from collections.abc import Sequence
from dataclasses import replace

from concord.credentials.model.checks import refuse
from concord.credentials.model.trust import MAX_DOCUMENT, NamedTrust, TrustPolicy, TrustStatement
from concord.credentials.operations.assumptions import end_assuming, end_distrusted
from concord.credentials.operations.principals import require_principal
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import Conflict, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Change, Unit

Trusting = Unit[CredentialStore]


def check_document(language: str, document: str) -> None:
    """Refuse what need not be read to be refused."""
    found = []
    if len(language) > 64 or "\x00" in language:
        found.append(Violation("trust_policy.language", "must have at most 64 characters", rule="length"))
    if len(document.encode()) > MAX_DOCUMENT or "\x00" in document:
        text = f"must have at most {MAX_DOCUMENT} bytes and no null character"
        found.append(Violation("trust_policy.document", text, rule="length"))
    refuse(found)


def get_trust_policy(store: CredentialStore, organization_id: OrganizationId, user_id: str) -> TrustPolicy:
    """Return a user's trust policy."""
    policy = store.find_trust_policy(organization_id, ids.parse(UserId, user_id, "user_id"))
    if policy is None:
        raise NotFound("trust_policy", user_id)
    return policy


def set_trust_policy(
    unit: Trusting, user_id: str, language: str, document: str, said: Sequence[NamedTrust], etag: str = ""
) -> TrustPolicy:
    """Give a user a trust policy, with its names bound to whoever has them now; others stop acting as the user."""
    user = PrincipalRef(PrincipalKind.USER, ids.parse(UserId, user_id, "trust_policy.user_id"))
    require_principal(unit, user)
    person = unit.store.find_person(unit.organization_id, UserId(user.id))
    if person is None or person.is_owner:
        raise Precondition(Reason.OWNER_PROTECTED, "nobody may act as the owner", "user", user.id)
    before = unit.store.find_trust_policy(unit.organization_id, UserId(user.id))
    if etag and etag != (before.etag if before is not None else ""):
        raise Conflict("trust_policy", user.id)
    policy = TrustPolicy(
        user_id=UserId(user.id),
        organization_id=unit.organization_id,
        version=1,
        language=language,
        document=document,
        trusted=_bind(unit, said),
        create_time=unit.now,
        update_time=unit.now,
    )
    if before is not None:
        policy = replace(policy, version=before.version + 1, create_time=before.create_time)
    unit.store.put_trust_policy(policy)
    end_distrusted(unit, policy)
    unit.record(
        Change("trust_policy.set", "trust_policy", user.id, before=before, after=policy, security_relevant=True)
    )
    return policy


def delete_trust_policy(unit: Trusting, user_id: str, etag: str = "") -> None:
    """Take a user's trust policy away, and with it the sessions that were opened by it."""
    policy = get_trust_policy(unit.store, unit.organization_id, user_id)
    if etag and etag != policy.etag:
        raise Conflict("trust_policy", policy.user_id)
    end_trust_policy(unit, policy.user_id)


def end_trust_policy(unit: Trusting, user_id: UserId) -> None:
    """Take a trust policy away, where there is one, by a call or with its user."""
    before = unit.store.find_trust_policy(unit.organization_id, user_id)
    if before is None:
        return
    unit.store.remove_trust_policy(unit.organization_id, user_id)
    unit.record(Change("trust_policy.deleted", "trust_policy", user_id, before=before, security_relevant=True))
    end_assuming(unit, PrincipalRef(PrincipalKind.USER, user_id))


def _bind(unit: Trusting, said: Sequence[NamedTrust]) -> tuple[TrustStatement, ...]:
    meant = unit.store.find_named({name for each in said for name in each.names})
    return tuple(
        TrustStatement(
            principals=tuple(dict.fromkeys(meant[name] for name in each.names if name in meant)),
            services=each.services,
            condition=each.condition,
            unknown_names=sum(name not in meant for name in each.names),
        )
        for each in said
    )
