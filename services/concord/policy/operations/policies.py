"""Making, changing and deleting policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from concord.kernel import ids
from concord.kernel.errors import Conflict, NotFound, Precondition, Reason
from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.quotas import require_room
from concord.kernel.units import Change, Unit
from concord.policy.model import (
    NOBODY,
    Effect,
    Policy,
    PolicyFilter,
    Statement,
    Subject,
    SubjectKind,
    check_facts,
)
from concord.policy.operations.documents import said
from concord.policy.operations.quotas import limit_of
from concord.policy.store import PolicyStore

QUOTA = "policies"


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy as somebody asks for it."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    subject: Subject = NOBODY
    language: str = "statements"
    document: str = ""
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Patch:
    """What of a policy is to change; None stays as it is."""

    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    attributes: Mapping[str, str] | None = None
    subject: Subject | None = None


def create_policy(unit: Unit[PolicyStore], draft: Draft) -> Policy:
    """Make a policy of the unit's organization."""
    store, organization_id = unit.store, unit.organization_id
    check_facts(name=draft.name, description=draft.description, tags=draft.tags, attributes=draft.attributes)
    statements = said(store, organization_id, draft.language, draft.document, draft.statements)
    require_subject(store, organization_id, draft.subject)
    require_room(QUOTA, limit_of(store, organization_id, QUOTA), lambda: store.count_policies(organization_id))
    policy = Policy(
        id=ids.new(PolicyId),
        organization_id=organization_id,
        version=1,
        create_time=unit.now,
        update_time=unit.now,
        name=draft.name,
        description=draft.description,
        tags=draft.tags,
        attributes=dict(draft.attributes),
        subject=draft.subject,
        language=draft.language,
        document=draft.document,
    ).saying(statements)
    store.add_policy(policy)
    # A policy that only allows takes nothing away; its rights are there when the answer is, all the
    # same, because what decides is in this service.
    unit.record(policy_change("policy.created", None, policy, security_relevant=denies(policy)))
    return policy


def clone_policy(unit: Unit[PolicyStore], policy_id: PolicyId) -> Policy:
    """Make a policy that says what another one says, for the same subject."""
    source = get_policy(unit.store, unit.organization_id, policy_id)
    return create_policy(
        unit,
        Draft(
            name=source.name,
            description=source.description,
            tags=source.tags,
            attributes=source.attributes,
            subject=source.subject,
            language=source.language,
            document=source.document,
            # A document is compiled anew; it would contradict statements beside it.
            statements=() if source.document else tuple(source.statements or ()),
        ),
    )


def get_policy(store: PolicyStore, organization_id: OrganizationId, policy_id: PolicyId) -> Policy:
    """Return a policy with its statements. Unnamed ones are found by their holder alone."""
    policy = store.find_policy(organization_id, policy_id)
    if policy is None or policy.inline:
        raise NotFound("policy", policy_id)
    return policy


def list_policies(
    store: PolicyStore,
    organization_id: OrganizationId,
    wanted: PolicyFilter,
    page: PageRequest,
    *,
    with_statements: bool = False,
) -> Page[Policy]:
    """Return a page of the organization's policies."""
    return store.list_policies(organization_id, wanted, page, with_statements=with_statements)


def update_policy(unit: Unit[PolicyStore], policy_id: PolicyId, patch: Patch, etag: str = "") -> Policy:
    """Change facts or subject of a policy. A change of the subject alone does not move its update time."""
    before = _editable(unit, policy_id, etag)
    check_facts(name=patch.name, description=patch.description, tags=patch.tags, attributes=patch.attributes)
    after = before
    if patch.name is not None:
        after = replace(after, name=patch.name)
    if patch.description is not None:
        after = replace(after, description=patch.description)
    if patch.tags is not None:
        after = replace(after, tags=patch.tags)
    if patch.attributes is not None:
        after = replace(after, attributes=dict(patch.attributes))
    facts_changed = after != before
    if patch.subject is not None and patch.subject != before.subject:
        require_subject(unit.store, unit.organization_id, patch.subject)
        after = replace(after, subject=patch.subject)
    touched = facts_changed or _names_a_fact(patch)
    if after == before and not touched:
        return before
    after = replace(after, version=before.version + 1, update_time=unit.now if touched else before.update_time)
    unit.store.save_policy(after)
    moved = after.subject != before.subject
    unit.record(policy_change("policy.updated", before, after, security_relevant=moved))
    return after


def delete_policy(unit: Unit[PolicyStore], policy_id: PolicyId, etag: str = "") -> Policy:
    """Delete a policy; return it as it was."""
    policy = _current(unit, policy_id, etag)
    if not policy.deletable:
        raise _kept_by_the_platform(policy)
    unit.store.delete_policy(unit.organization_id, policy_id)
    unit.record(policy_change("policy.deleted", policy, None, security_relevant=True))
    return policy


def list_statements(
    store: PolicyStore, organization_id: OrganizationId, policy_id: PolicyId, page: PageRequest
) -> Page[Statement]:
    """Return a page of a policy's statements."""
    get_policy(store, organization_id, policy_id)
    return store.list_statements(organization_id, policy_id, page)


def set_statements(
    unit: Unit[PolicyStore],
    policy_id: PolicyId,
    statements: Sequence[Statement],
    *,
    document: str = "",
    etag: str = "",
) -> Policy:
    """Replace all statements of a policy. Each gets a new id, whatever it says."""
    before = _editable(unit, policy_id, etag)
    saying = said(unit.store, unit.organization_id, before.language, document, statements)
    after = replace(before, version=before.version + 1, update_time=unit.now, document=document).saying(saying)
    unit.store.replace_statements(after)
    unit.record(policy_change("policy.updated", before, after, security_relevant=True))
    return after


def orphan_policies(unit: Unit[PolicyStore], subject: Subject) -> None:
    """Leave a subject's named policies without subject; inline ones go with it."""
    for policy in unit.store.policies_of(unit.organization_id, [subject]):
        if policy.inline:
            unit.store.delete_policy(unit.organization_id, policy.id)
            unit.record(policy_change("policy.deleted", policy, None))
            continue
        after = replace(policy, subject=NOBODY, version=policy.version + 1)
        unit.store.save_policy(after)
        unit.record(policy_change("policy.updated", policy, after))


def leave_project(unit: Unit[PolicyStore], project_id: ProjectId) -> None:
    """Take a project out of every boundary. A boundary left with none covers nothing; it never widens."""
    for policy in unit.store.policies_within(unit.organization_id, project_id):
        left = [_without(each, project_id) for each in policy.statements or ()]
        after = replace(policy, version=policy.version + 1).saying(left)
        unit.store.replace_statements(after)
        unit.record(policy_change("policy.updated", policy, after))


def require_subject(store: PolicyStore, organization_id: OrganizationId, subject: Subject) -> None:
    """Raise NotFound unless the subject exists in the organization."""
    principal = subject.principal
    if principal is not None:
        if store.find_principal(organization_id, principal) is None:
            raise NotFound(principal.kind.value, principal.id)
    elif subject.kind is SubjectKind.GROUP and not store.has_group(organization_id, GroupId(subject.id)):
        raise NotFound("group", subject.id)


def denies(policy: Policy) -> bool:
    """Tell whether any of a policy's statements denies."""
    return any(each.effect is Effect.DENY for each in policy.statements or ())


def _without(statement: Statement, project_id: ProjectId) -> Statement:
    boundary = statement.boundary
    if boundary is None or project_id not in boundary.project_ids:
        return statement
    left = tuple(each for each in boundary.project_ids if each != project_id)
    return replace(statement, boundary=replace(boundary, project_ids=left))


def _current(unit: Unit[PolicyStore], policy_id: PolicyId, etag: str) -> Policy:
    policy = get_policy(unit.store, unit.organization_id, policy_id)
    if etag and etag != policy.etag:
        raise Conflict("policy", policy_id)
    return policy


def _editable(unit: Unit[PolicyStore], policy_id: PolicyId, etag: str) -> Policy:
    policy = _current(unit, policy_id, etag)
    if not policy.editable:
        raise _kept_by_the_platform(policy)
    return policy


def _kept_by_the_platform(policy: Policy) -> Precondition:
    message = f"policy `{policy.id}` is kept by the platform"
    return Precondition(Reason.RESOURCE_MANAGED, message, "policy", policy.id)


def _names_a_fact(patch: Patch) -> bool:
    return any(each is not None for each in (patch.name, patch.description, patch.tags, patch.attributes))


def policy_change(
    type_: str, before: Policy | None, after: Policy | None, *, security_relevant: bool = False
) -> Change:
    """Return the announcement of a policy's change."""
    shown = after or before
    assert shown is not None
    return Change(
        type=type_,
        resource_type="policy",
        resource_id=shown.id,
        resource_name=shown.name,
        before=before,
        after=after,
        security_relevant=security_relevant,
    )
