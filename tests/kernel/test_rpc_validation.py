"""What every request is held to, whatever it means."""

import pytest
from google.protobuf import struct_pb2, timestamp_pb2

from concord.kernel.errors import Invalid
from concord.kernel.rpc.options import FOREIGN_PUBLIC_SERVICES, get_rules
from concord.kernel.rpc.validation import compiled, require_valid
from kernel.rpc_fixtures import GetThingRequest, ListThingsRequest, Thing, UpdateThingRequest


def violations_of(request):
    try:
        require_valid(request, compiled(request.DESCRIPTOR))
    except Invalid as error:
        return {(violation.field, violation.rule) for violation in error.violations}
    return set()


def update(mask=("name",), **changes):
    return UpdateThingRequest(thing=Thing(**{"name": "n", **changes}), update_mask={"paths": mask})


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (update(), set()),
        (UpdateThingRequest(), {("thing", "required")}),
        (update(name=""), {("thing.name", "required")}),
        (update(mask=["kind"], name=""), set()),
        (update(mask=["nothing"]), {("update_mask", "unknown")}),
        (update(mask=["name.more"]), {("update_mask", "unknown")}),
        (update(mask=["*"]), {("update_mask", "unknown")}),
        (update(mask=["id"]), {("update_mask", "immutable")}),
        (update(mask=["create_time.seconds"]), {("update_mask", "immutable")}),
        (update(mask=["code"]), {("update_mask", "immutable")}),
        (update(mask=["bearer.id", "attributes"]), set()),
        (update(kind=9), {("thing.kind", "unknown")}),
        (update(kinds=[1, 7]), {("thing.kinds[1]", "unknown")}),
        (update(bearer={"kind": 77}), {("thing.bearer.kind", "unknown")}),
        (update(tags=["x"] * 1001), {("thing.tags", "count")}),
        (update(tags=["ok", "a\0"]), {("thing.tags[1]", "characters")}),
        (update(code="x" * 65_537), {("thing.code", "length")}),
        (update(code="é" * 32_769), {("thing.code", "length")}),
        (update(code="x" * 65_536), set()),
        (update(attributes={"k": "\0"}), {("thing.attributes['k']", "characters")}),
        (update(create_time={"seconds": 10**12}), {("thing.create_time", "range")}),
        (ListThingsRequest(page_size=1000, skip=100_000), set()),
        (ListThingsRequest(page_size=-1), {("page_size", "range")}),
        (ListThingsRequest(skip=100_001), {("skip", "range")}),
        (ListThingsRequest(ids=["x"] * 1001), {("ids", "count")}),
        (GetThingRequest(id="anything", text="\n"), set()),
    ],
)
def test_a_request_is_refused_for_exactly_what_is_wrong(request_, expected):
    assert violations_of(request_) == expected


@pytest.mark.parametrize(
    ("text", "good"),
    [("", True), ("6F9A1F0E-6F0B-4D0A-9D55-3C8C0F4F9D11", True), ("6f9a1f0e6f0b4d0a9d553c8c0f4f9d11", False)],
)
def test_a_request_id_is_a_uuid(text, good):
    request = UpdateThingRequest(thing=Thing(name="n"), request_id=text)

    assert (violations_of(request) == set()) is good


def test_all_violations_are_reported_together_and_not_without_end():
    request = update(tags=["\0"] * 500, kind=9)

    with pytest.raises(Invalid) as caught:
        require_valid(request, compiled(request.DESCRIPTOR))

    assert 2 <= len(caught.value.violations) <= 50


def test_messages_that_hold_their_own_type_are_walked():
    document = struct_pb2.Struct()
    document.update({"a": [{"b": "x\0"}]})

    assert {rule for _, rule in violations_of(document)} == {"characters"}


def test_an_instant_is_one_that_a_datetime_can_hold():
    assert violations_of(timestamp_pb2.Timestamp(seconds=1, nanos=-1)) == {("", "range")}
    assert violations_of(timestamp_pb2.Timestamp(seconds=253_402_300_799, nanos=999_999_999)) == set()


def test_only_gRPCs_own_services_are_public_without_saying_so():
    assert all(name.startswith("grpc.") for name in FOREIGN_PUBLIC_SERVICES)
    with pytest.raises(LookupError):
        get_rules("/concord.testing.v1.Nothing/Get")
