"""The one unnamed policy that a holder may have."""

from collections.abc import Sequence
from dataclasses import replace

from concord.kernel import ids
from concord.kernel.errors import Conflict, Invalid, NotFound, Violation
from concord.kernel.ids import OrganizationId, PolicyId
from concord.kernel.units import Unit
from concord.policy.model import Policy, Statement, Subject, SubjectKind
from concord.policy.operations.documents import said
from concord.policy.operations.policies import policy_change, require_subject
from concord.policy.store import PolicyStore


def get_inline_policy(store: PolicyStore, organization_id: OrganizationId, subject: Subject) -> Policy:
    """Return the holder's unnamed policy."""
    _require_holder(store, organization_id, subject)
    policy = store.find_inline_policy(organization_id, subject)
    if policy is None:
        raise NotFound("policy", _named(subject))
    return policy


def set_inline_policy(
    unit: Unit[PolicyStore],
    subject: Subject,
    *,
    language: str,
    document: str = "",
    statements: Sequence[Statement] = (),
    etag: str = "",
) -> Policy:
    """Give the holder an unnamed policy in place of the one it had."""
    store, organization_id = unit.store, unit.organization_id
    _require_holder(store, organization_id, subject)
    before = store.find_inline_policy(organization_id, subject)
    if etag and (before is None or etag != before.etag):
        raise Conflict("policy", _named(subject))
    saying = said(store, organization_id, language, document, statements, "language")
    if before is None:
        after = Policy(
            id=ids.new(PolicyId),
            organization_id=organization_id,
            version=1,
            create_time=unit.now,
            update_time=unit.now,
            name="",
            subject=subject,
            inline=True,
            language=language,
            document=document,
        ).saying(saying)
        store.add_policy(after)
    else:
        changed = replace(before, version=before.version + 1, update_time=unit.now)
        after = replace(changed, language=language, document=document).saying(saying)
        store.replace_statements(after)
    unit.record(policy_change("policy.set", before, after, security_relevant=True))
    return after


def delete_inline_policy(unit: Unit[PolicyStore], subject: Subject, etag: str = "") -> Policy:
    """Take the holder's unnamed policy away; return it as it was."""
    policy = get_inline_policy(unit.store, unit.organization_id, subject)
    if etag and etag != policy.etag:
        raise Conflict("policy", _named(subject))
    unit.store.delete_policy(unit.organization_id, policy.id)
    unit.record(policy_change("policy.deleted", policy, None, security_relevant=True))
    return policy


def _require_holder(store: PolicyStore, organization_id: OrganizationId, subject: Subject) -> None:
    if subject.kind is SubjectKind.NONE:
        raise Invalid(Violation("subject", "must be a principal, a group, or everyone", rule="required"))
    require_subject(store, organization_id, subject)


def _named(subject: Subject) -> str:
    return subject.id or subject.kind.value
