"""Messages of roles and grants: what goes out comes back the same."""

import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.kernel.errors import Invalid
from concord.kernel.ids import OrganizationId, RoleId
from concord.policy import wire
from concord.policy.model import (
    Boundary,
    BoundaryKind,
    Grant,
    GrantId,
    LocalizedText,
    Role,
    RoleKind,
)
from concord.policy.v1.grant_pb2 import GrantKey
from concord.policy.v1.role_pb2 import Role as WireRole
from fakes import ORGANIZATION

from .test_wire import STATEMENTS, SUBJECTS, TEXT, TIMES, UUIDS

NAMES = st.text(string.ascii_letters + ".*_", min_size=1, max_size=20)
LOCALIZED = st.builds(LocalizedText, TEXT, st.dictionaries(NAMES, TEXT, max_size=2))
PLACES = st.one_of(
    st.builds(lambda o: Boundary(BoundaryKind.ORGANIZATION, organization_id=o), UUIDS),
    st.builds(lambda ids: Boundary(BoundaryKind.PROJECTS, project_ids=tuple(ids)), st.lists(UUIDS, min_size=1)),
    st.builds(lambda g: Boundary(BoundaryKind.GROUP_SUBTREE, group_id=g), UUIDS),
    st.just(Boundary(BoundaryKind.OWN_DIVISIONS)),
)
ROLES = st.builds(
    Role,
    id=UUIDS.map(RoleId),
    organization_id=UUIDS.map(OrganizationId),
    version=st.integers(1, 2**62),
    create_time=TIMES,
    update_time=TIMES,
    catalogue=TEXT,
    attributes=st.dictionaries(NAMES, TEXT, max_size=2),
    handle=TEXT,
    name=LOCALIZED,
    description=LOCALIZED,
    kind=st.sampled_from(RoleKind),
    language=NAMES,
    document=TEXT,
    statements=st.lists(STATEMENTS, max_size=2).map(tuple),
    included_role_ids=st.lists(UUIDS.map(RoleId), max_size=3).map(tuple),
    resource_type_id=NAMES,
    permissions=st.lists(NAMES, max_size=3).map(tuple),
    boundary_kind=st.sampled_from(BoundaryKind),
    categories=st.lists(NAMES, max_size=3).map(tuple),
)
GRANTS = st.builds(
    Grant,
    id=UUIDS.map(GrantId),
    organization_id=UUIDS.map(OrganizationId),
    version=st.integers(1, 2**62),
    create_time=TIMES,
    update_time=TIMES,
    subject=SUBJECTS,
    role_id=UUIDS.map(RoleId),
    boundary=PLACES,
    role_language=NAMES,
    role_catalogue=TEXT,
    catalogue=TEXT,
    inherited=st.booleans(),
)


@given(ROLES)
def test_a_role_survives_the_way_out_and_back(role: Role) -> None:
    assert wire.role_from_wire(wire.role_to_wire(role, ORGANIZATION)) == role


@given(GRANTS)
def test_a_grant_survives_the_way_out_and_back(grant: Grant) -> None:
    assert wire.grant_from_wire(wire.grant_to_wire(grant)) == grant


def test_what_a_change_holds_becomes_its_message() -> None:
    times: dict[str, Any] = {"create_time": datetime(2026, 1, 1, tzinfo=UTC)}
    times["update_time"] = times["create_time"]
    role = Role(RoleId(ORGANIZATION), "h", LocalizedText("n"), OrganizationId(ORGANIZATION), **times)

    assert wire.snapshot(role) == wire.role_to_wire(role, ORGANIZATION)


@pytest.mark.parametrize("number", [0, 99])
def test_relations_that_nobody_knows_are_refused(number: int) -> None:
    with pytest.raises(Invalid):
        wire.role_relations_from_wire([number])


def test_a_key_names_its_role() -> None:
    with pytest.raises(Invalid) as refused:
        wire.grant_key_from_wire(GrantKey(), "key")

    assert refused.value.violations[0].field == "key.role_id"


def test_the_parts_of_a_text_are_changed_one_by_one() -> None:
    message = WireRole(name={"text": "t", "translations": {"fr": "u"}})

    patch = wire.role_patch_from_wire(message, ["name.translations", "etag"])

    assert (patch.fields, patch.parts) == ({}, {("name", "translations"): {"fr": "u"}})
