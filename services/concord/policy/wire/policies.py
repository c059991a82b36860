"""Policies, what is asked of them, and which are listed."""

from collections.abc import Iterable
from typing import Final

from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire
from concord.policy.model import (
    Policy,
    PolicyFilter,
)
from concord.policy.operations.policies import Draft, Patch
from concord.policy.v1 import (
    policy_pb2,
    policy_service_pb2,
)
from concord.policy.wire.statements import (
    SUBJECT_KINDS_BACK,
    kept_statement_from_wire,
    statement_to_wire,
    statements_from_wire,
    subject_from_wire,
    subject_to_wire,
)

# What a document or statements are written in where nothing is said.
OWN_LANGUAGE: Final = "statements"

_CHANGEABLE: Final = ("name", "description", "tags", "attributes", "subject")


def policy_to_wire(policy: Policy) -> policy_pb2.Policy:
    """Return the message for a policy."""
    return policy_pb2.Policy(
        id=policy.id,
        organization_id=policy.organization_id,
        version=policy.version,
        etag=policy.etag,
        create_time=instant_to_wire(policy.create_time),
        update_time=instant_to_wire(policy.update_time),
        catalogue=policy.catalogue,
        managed=policy.managed,
        editable=policy.editable,
        deletable=policy.deletable,
        attributes=policy.attributes,
        name=policy.name,
        description=policy.description,
        tags=policy.tags,
        subject=subject_to_wire(policy.subject),
        inline=policy.inline,
        language=policy.language,
        document=policy.document,
        statements=[statement_to_wire(each) for each in policy.statements or ()],
        statement_count=policy.statement_count,
        boundary_count=policy.boundary_count,
        role_count=policy.role_count,
    )


def policy_from_wire(message: policy_pb2.Policy) -> Policy:
    """Return the policy of a message that this service made."""
    return Policy(
        id=ids.PolicyId(message.id),
        organization_id=ids.OrganizationId(message.organization_id),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        name=message.name,
        description=message.description,
        tags=tuple(message.tags),
        attributes=dict(message.attributes),
        subject=subject_from_wire(message.subject, "policy.subject"),
        inline=message.inline,
        language=message.language,
        document=message.document,
        statements=tuple(kept_statement_from_wire(each) for each in message.statements),
        statement_count=message.statement_count,
        boundary_count=message.boundary_count,
        role_count=message.role_count,
        catalogue=message.catalogue,
        editable=message.editable,
        deletable=message.deletable,
    )


def draft_from_wire(message: policy_pb2.Policy) -> Draft:
    """Return what somebody wants made."""
    return Draft(
        name=message.name,
        description=message.description,
        tags=tuple(message.tags),
        attributes=dict(message.attributes),
        subject=subject_from_wire(message.subject, "policy.subject"),
        language=message.language or OWN_LANGUAGE,
        document=message.document,
        statements=statements_from_wire(message.statements),
    )


def patch_from_wire(message: policy_pb2.Policy, paths: Iterable[str]) -> Patch:
    """Return what somebody wants changed; an empty mask means all changeable fields that the message holds."""
    wanted = set(paths) or {field.name for field, _ in message.ListFields() if field.name in _CHANGEABLE}
    # A path into the subject names one of its arms: setting it clears the others.
    wanted = {"subject" if path.startswith("subject.") else path for path in wanted}
    wanted = {"attributes" if path.startswith("attributes.") else path for path in wanted}
    unknown = sorted(wanted - set(_CHANGEABLE))
    if unknown:
        raise Invalid(Violation("update_mask", f"`{unknown[0]}` cannot be changed here", rule="unknown_path"))
    return Patch(
        name=message.name if "name" in wanted else None,
        description=message.description if "description" in wanted else None,
        tags=tuple(message.tags) if "tags" in wanted else None,
        attributes=dict(message.attributes) if "attributes" in wanted else None,
        subject=subject_from_wire(message.subject, "policy.subject") if "subject" in wanted else None,
    )


def policy_filter_from_wire(request: policy_service_pb2.ListPoliciesRequest) -> PolicyFilter:
    """Return which policies a list shall show."""
    subjects = tuple(subject_from_wire(each, f"subjects[{at}]") for at, each in enumerate(request.subjects))
    return PolicyFilter(
        ids=tuple(each.lower() for each in request.ids) or None,
        subjects=subjects or None,
        subject_kinds=tuple(SUBJECT_KINDS_BACK[each] for each in request.subject_kinds if each) or None,
        name=request.name or None,
        tag=request.tag or None,
        editable=request.editable if request.HasField("editable") else None,
        catalogues=tuple(request.catalogues) or None,
        inline=request.inline,
    )


def violation_to_wire(violation: Violation) -> policy_service_pb2.DocumentViolation:
    """Return the message for one thing that is wrong with a document."""
    return policy_service_pb2.DocumentViolation(
        field=violation.field, rule=violation.rule, description=violation.description
    )
