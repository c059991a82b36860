"""What goes out comes back the same, and what cannot be understood is refused by name."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.common.v1 import principal_pb2
from concord.groups import wire
from concord.groups.model import (
    Container,
    ContainerKind,
    Group,
    GroupPatch,
    LocalizedText,
    MemberKind,
    Membership,
    MembershipId,
)
from concord.groups.v1 import group_pb2, group_service_pb2, membership_pb2
from concord.kernel import ids
from concord.kernel.errors import Invalid
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.principal import PrincipalKind, PrincipalRef

uuids = st.uuids().map(str)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))
localized = st.builds(LocalizedText, texts, st.dictionaries(texts, texts, max_size=3))
lists = st.lists(texts, max_size=3).map(tuple)
groups = st.builds(
    Group,
    id=uuids.map(GroupId),
    organization_id=uuids.map(OrganizationId),
    create_time=instants,
    update_time=instants,
    version=st.integers(1, 2**62),
    catalogue=texts,
    editable=st.booleans(),
    deletable=st.booleans(),
    handle=texts,
    name=localized,
    description=localized,
    tags=lists,
    parent_group_id=st.none() | uuids.map(GroupId),
    member_kind=st.sampled_from(MemberKind),
    division_ids=lists,
    exclusion_key=texts,
    template_ids=lists,
    attributes=st.dictionaries(texts, texts, max_size=3),
)
people = st.builds(
    PrincipalRef, st.sampled_from([PrincipalKind.USER, PrincipalKind.APPLICATION, PrincipalKind.DEVICE]), uuids
)
containers = st.builds(Container, st.sampled_from(ContainerKind), uuids)
memberships = st.builds(
    Membership,
    id=uuids.map(MembershipId),
    organization_id=uuids.map(OrganizationId),
    container=containers,
    principal=people,
    create_time=instants,
    update_time=instants,
    version=st.integers(1, 2**62),
    is_owner=st.booleans(),
    catalogue=texts,
)


@given(groups)
def test_a_group_survives_the_wire(group: Group) -> None:
    message = group_pb2.Group.FromString(wire.group_to_wire(group).SerializeToString())

    assert wire.group_from_wire(message) == group


@given(memberships)
def test_a_membership_survives_the_wire(membership: Membership) -> None:
    message = membership_pb2.Membership.FromString(wire.membership_to_wire(membership).SerializeToString())

    assert wire.membership_from_wire(message) == membership


@given(groups)
def test_a_draft_holds_what_the_writer_says_and_nothing_that_the_server_decides(group: Group) -> None:
    draft = wire.draft_from_wire(wire.group_to_wire(group))

    for name in draft.__dataclass_fields__:
        assert getattr(draft, name) == getattr(group, name)


@given(groups, groups)
def test_a_patch_of_all_fields_makes_the_one_into_the_other(before: Group, after: Group) -> None:
    message = wire.group_to_wire(after)
    paths = ["name.text", "name.translations", "description", "tags", "parent_group_id", "member_kind"]
    paths += ["division_ids", "exclusion_key", "template_ids", "attributes", "etag"]

    changes = wire.patch_from_wire(message, paths).changes_to(before)

    assert changes.keys() == {path.partition(".")[0] for path in paths} - {"etag"}
    assert all(getattr(after, name) == value for name, value in changes.items())


def test_paths_that_cannot_be_changed_are_all_named() -> None:
    with pytest.raises(Invalid) as refusal:
        wire.patch_from_wire(group_pb2.Group(), ["handle", "tags", "name.nothing", "id"])

    assert len(refusal.value.violations) == 3
    assert wire.patch_from_wire(group_pb2.Group(), []) == GroupPatch()


def test_every_principal_that_cannot_be_one_is_named() -> None:
    messages = [
        principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=ids.new(str)),
        principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id="no id"),
        principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER),
        principal_pb2.PrincipalRef(id=ids.new(str)),
    ]

    with pytest.raises(Invalid) as refusal:
        wire.principals_from_wire(messages, "principals")

    assert [each.field for each in refusal.value.violations] == [
        "principals[1].id",
        "principals[2].id",
        "principals[3].kind",
    ]


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"top_level": True, "parent_group_id": ids.new(str)}, "top_level"),
        ({"text": "x" * 257}, "text"),
        ({"name": "a\x00"}, "name"),
        ({"ids": ["x"]}, "ids[0]"),
        ({"parent_group_id": "x"}, "parent_group_id"),
    ],
)
def test_filters_that_cannot_match_are_refused(fields: dict[str, Any], at: str) -> None:
    with pytest.raises(Invalid) as refusal:
        wire.group_filter_from_wire(group_service_pb2.ListGroupsRequest(**fields))

    assert [each.field for each in refusal.value.violations] == [at]


def test_a_container_must_be_named() -> None:
    with pytest.raises(Invalid):
        wire.container_from_wire(membership_pb2.Container())


def test_only_resources_of_this_service_are_announced() -> None:
    with pytest.raises(TypeError):
        wire.snapshot("something")
