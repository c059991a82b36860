"""Messages and domain objects: what goes out comes back the same, and what is malformed is named."""

import string
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.common.v1.boundary_pb2 import BOUNDARY_KIND_GROUP_SUBTREE, Boundary
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_SERVICE, PrincipalRef
from concord.kernel.errors import Invalid
from concord.kernel.ids import OrganizationId, PolicyId, ProjectId, StatementId
from concord.policy import wire
from concord.policy.model import Boundary as DomainBoundary
from concord.policy.model import BoundaryKind, Effect, Endpoint, Policy, Statement, Subject, SubjectKind
from concord.policy.v1.decision_pb2 import Check
from concord.policy.v1.policy_pb2 import Policy as WirePolicy
from concord.policy.v1.subject_pb2 import PolicySubject

TEXT = st.text(max_size=20)
NAMES = st.text(string.ascii_letters + ".*_/", min_size=1, max_size=20)
UUIDS = st.uuids().map(str)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
SUBJECTS = st.one_of(
    st.sampled_from([Subject(), Subject(SubjectKind.EVERYONE)]),
    st.builds(
        Subject,
        st.sampled_from([SubjectKind.USER, SubjectKind.APPLICATION, SubjectKind.DEVICE, SubjectKind.GROUP]),
        UUIDS,
    ),
)
BOUNDARIES = st.one_of(
    st.none(),
    st.builds(lambda o: DomainBoundary(BoundaryKind.ORGANIZATION, organization_id=o), UUIDS),
    st.builds(
        lambda ids: DomainBoundary(BoundaryKind.PROJECTS, project_ids=tuple(map(ProjectId, ids))), st.lists(UUIDS)
    ),
    st.builds(lambda g: DomainBoundary(BoundaryKind.GROUP_SUBTREE, group_id=g), UUIDS),
    st.builds(lambda u: DomainBoundary(BoundaryKind.OWNER_ACCOUNT, owner_user_id=u), UUIDS),
)
ENDPOINTS = st.lists(st.builds(Endpoint, TEXT, TEXT, TEXT), max_size=2).map(tuple)
STATEMENTS = st.builds(
    Statement,
    id=UUIDS.map(StatementId),
    effect=st.sampled_from(Effect),
    permissions=st.lists(NAMES, max_size=3).map(tuple),
    operations=st.lists(NAMES, max_size=3).map(tuple),
    endpoints=ENDPOINTS,
    denied_endpoints=ENDPOINTS,
    source_network=TEXT,
    parameters=st.dictionaries(NAMES, TEXT, max_size=2),
    role_names=st.lists(NAMES, max_size=3).map(tuple),
    boundary=BOUNDARIES,
    condition=TEXT,
)
POLICIES = st.builds(
    Policy,
    id=UUIDS.map(PolicyId),
    organization_id=UUIDS.map(OrganizationId),
    version=st.integers(1, 2**62),
    create_time=TIMES,
    update_time=TIMES,
    name=TEXT,
    description=TEXT,
    tags=st.lists(TEXT, max_size=3).map(tuple),
    attributes=st.dictionaries(NAMES, TEXT, max_size=2),
    subject=SUBJECTS,
    inline=st.booleans(),
    language=NAMES,
    document=TEXT,
    statements=st.lists(STATEMENTS, max_size=3).map(tuple),
    statement_count=st.integers(0, 1000),
    boundary_count=st.integers(0, 1000),
    role_count=st.integers(0, 1000),
    catalogue=TEXT,
    editable=st.booleans(),
    deletable=st.booleans(),
)


@given(POLICIES)
def test_a_policy_survives_the_wire(policy: Policy) -> None:
    sent = wire.policy_to_wire(policy).SerializeToString()

    assert wire.policy_from_wire(WirePolicy.FromString(sent)) == policy


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (PolicySubject(principal=PrincipalRef(id="x")), "s.principal.id"),
        (PolicySubject(principal=PrincipalRef(kind=PRINCIPAL_KIND_SERVICE, id="system")), "s.principal.kind"),
        (PolicySubject(principal=PrincipalRef()), "s.principal.id"),
        (PolicySubject(group_id="x"), "s.group_id"),
    ],
)
def test_a_subject_that_is_none_is_refused_by_its_place(message: PolicySubject, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        wire.subject_from_wire(message, "s")

    assert [each.field for each in refused.value.violations] == [field]


def test_ids_are_folded_so_that_a_thing_has_one_spelling() -> None:
    written = str(uuid.uuid4()).upper()

    subject = wire.subject_from_wire(PolicySubject(group_id=written), "s")

    assert subject.id == written.lower()


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({}, "check.permission"),
        ({"permission": "x" * 257}, "check.permission"),
        ({"permission": "a.b.c", "boundary": Boundary(project_ids=["x"])}, "check.boundary.project_ids[0]"),
        ({"permission": "a.b.c", "boundary": Boundary()}, "check.boundary.kind"),
        (
            {"permission": "a.b.c", "boundary": Boundary(kind=BOUNDARY_KIND_GROUP_SUBTREE, group_id=str(uuid.uuid4()))},
            "check.boundary.kind",
        ),
        (
            {"permission": "a.b.c", "context": {"attributes": {str(n): "x" for n in range(65)}}},
            "check.context.attributes",
        ),
        ({"permission": "a.b.c", "context": {"attributes": {"a": "x" * 1025}}}, "check.context.attributes.a"),
        ({"permission": "a.b.c", "context": {"attributes": {"a": {"b": "c"}}}}, "check.context.attributes.a"),
    ],
)
def test_a_malformed_check_is_named(check: dict[str, Any], field: str) -> None:
    attributes = check.get("context", {}).get("attributes")
    message = Check(**{name: value for name, value in check.items() if name != "context"})
    if attributes is not None:
        message.context.attributes.update(attributes)

    with pytest.raises(Invalid) as refused:
        wire.check_from_wire(message, "check")

    assert [each.field for each in refused.value.violations] == [field]


def test_scalars_of_a_check_become_text() -> None:
    message = Check(permission="a.b.c")
    message.context.attributes.update({"text": "x", "whole": 3, "part": 1.5, "truth": True})

    attributes = wire.check_from_wire(message, "check").context.attributes

    assert attributes == {"text": "x", "whole": "3", "part": "1.5", "truth": "true"}


def test_a_path_into_the_subject_replaces_the_whole_of_it() -> None:
    group = str(uuid.uuid4())
    message = WirePolicy(name="ignored", subject=PolicySubject(group_id=group))

    patch = wire.patch_from_wire(message, ["subject.group_id"])

    assert patch.subject == Subject(SubjectKind.GROUP, group)
    assert patch.name is None
    with pytest.raises(Invalid):
        wire.patch_from_wire(message, ["language"])
