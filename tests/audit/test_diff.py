"""What an event says to have changed, for any resource."""

from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from concord.audit.diff import UnknownResource, changed_fields
from concord.audit.model import FieldChange, action_of
from concord.common.v1.localized_text_pb2 import LocalizedText
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER, PrincipalRef
from concord.groups.v1.group_pb2 import MEMBER_KIND_ANY, MEMBER_KIND_CUSTOMER, Group
from concord.groups.v1.membership_pb2 import Container, Membership


def packed(message: Any) -> AnyMessage:
    holder = AnyMessage()
    if message is not None:
        holder.Pack(message)
    return holder


def diff(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    return [(each.field, each.old, each.new) for each in changed_fields(packed(before), packed(after))]


def test_a_creation_shows_every_field_that_was_set_in_the_resources_order() -> None:
    group = Group(id="g", tags=["b", "a"], name=LocalizedText(text="crew", translations={"de": "x"}), handle="h")

    assert diff(None, group) == [
        ("id", None, "g"),
        ("handle", None, "h"),
        ("name.text", None, "crew"),
        ("name.translations.de", None, "x"),
        ("tags", None, ["b", "a"]),
    ]


def test_a_deletion_shows_what_was_there() -> None:
    membership = Membership(
        id="m", container=Container(group_id="g"), principal=PrincipalRef(kind=PRINCIPAL_KIND_USER, id="u")
    )

    assert diff(membership, None) == [
        ("id", "m", None),
        ("container.group_id", "g", None),
        ("principal.id", "u", None),
        ("principal.kind", "PRINCIPAL_KIND_USER", None),
    ]


def test_an_update_shows_only_what_differs() -> None:
    before = Group(id="g", tags=["a"], member_kind=MEMBER_KIND_ANY, attributes={"x.a": "1", "x.b": "2"})
    after = Group(id="g", tags=["a", "b"], member_kind=MEMBER_KIND_CUSTOMER, attributes={"x.a": "1", "x.c": "3"})

    assert diff(before, after) == [
        ("attributes.x.b", "2", None),
        ("attributes.x.c", None, "3"),
        ("tags", ["a"], ["a", "b"]),
        ("member_kind", "MEMBER_KIND_ANY", "MEMBER_KIND_CUSTOMER"),
    ]


def test_version_etag_and_update_time_say_nothing() -> None:
    before = Group(id="g", version=1, etag="1", update_time=Timestamp(seconds=1))
    after = Group(id="g", version=2, etag="2", update_time=Timestamp(seconds=2))

    assert diff(before, after) == []


def test_an_instant_is_text_and_a_large_number_keeps_its_digits() -> None:
    assert diff(None, Group(create_time=Timestamp(seconds=0, nanos=1000))) == [
        ("create_time", None, "1970-01-01T00:00:00.000001Z")
    ]


def test_a_flag_that_falls_is_a_change_to_nothing() -> None:
    assert diff(Group(editable=True), Group()) == [("editable", True, None)]


def test_an_event_without_resource_shows_nothing() -> None:
    assert changed_fields(AnyMessage(), AnyMessage()) == ()


def test_a_resource_that_no_contract_knows_is_not_passed_over() -> None:
    with pytest.raises(UnknownResource):
        changed_fields(AnyMessage(), AnyMessage(type_url="type.googleapis.com/concord.nowhere.v1.Thing"))


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3), st.booleans(), st.text("ab", max_size=3)
)
def test_what_is_equal_never_differs_and_what_differs_always_does(tags: list[str], flag: bool, handle: str) -> None:
    group = Group(id="g", tags=tags, editable=flag, handle=handle)
    other = Group(id="g", tags=[*tags, "more"], editable=flag, handle=handle)

    assert diff(group, group) == []
    assert changed_fields(packed(group), packed(other)) == (FieldChange("tags", tags or None, [*tags, "more"]),)


@pytest.mark.parametrize(
    ("type_", "action"),
    [("application.deleted", "deleted"), ("session.epoch_raised", "epoch_raised"), ("odd", "odd")],
)
def test_the_action_is_the_verb_of_the_event(type_: str, action: str) -> None:
    assert action_of(type_) == action
