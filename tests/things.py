"""A small service for kernel tests: things with a name, an rpc that writes them, a consumer that copies them."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from sqlalchemy import Column, MetaData, Table, bindparam, delete, insert, select

from concord.common.v1.change_feed_service_pb2 import GetHeadResponse
from concord.common.v1.principal_pb2 import PrincipalRef
from concord.kernel.database import Connection, UniqueViolation
from concord.kernel.database.columns import Text
from concord.kernel.errors import AlreadyExists, NotFound
from concord.kernel.units import Change

METADATA = MetaData()
THING = Table(
    "thing",
    METADATA,
    Column("organization_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
)
_ADD = insert(THING)
_NAMES = select(THING.c.name).order_by(THING.c.name)
_REMOVE = delete(THING).where(THING.c.name == bindparam("named"))


def _write_request():
    pool = descriptor_pool.Default()
    try:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.WriteThingRequest"))
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto(name="tests/thing.proto", package="tests", syntax="proto3")
        message = file.message_type.add(name="WriteThingRequest")
        field = descriptor_pb2.FieldDescriptorProto
        for at, (name, kind) in enumerate(
            {"name": field.TYPE_STRING, "request_id": field.TYPE_STRING, "validate_only": field.TYPE_BOOL}.items(), 1
        ):
            message.field.add(name=name, number=at, type=kind, label=field.LABEL_OPTIONAL)
        pool.AddSerializedFile(file.SerializeToString())
        return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.WriteThingRequest"))


WriteThingRequest = _write_request()


class Things:
    """The store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, organization_id: str, name: str) -> None:
        try:
            self._connection.execute(_ADD, {"organization_id": organization_id, "name": name})
        except UniqueViolation:
            raise AlreadyExists("thing", name, "name") from None

    def remove(self, name: str) -> None:
        if not self._connection.execute(_REMOVE, {"named": name}).rowcount:
            raise NotFound("thing", name)

    def names(self) -> list[str]:
        return list(self._connection.execute(_NAMES).scalars())


def snapshot(name: str) -> PrincipalRef:
    return PrincipalRef(id=name)


def adding(name, **change):
    """The operation that adds a thing and says so."""

    def operation(unit):
        unit.store.add(unit.organization_id, name)
        unit.record(Change("thing.created", "thing", name, name, after=name, **change))
        return len(name)

    return operation


def pack(number: int) -> GetHeadResponse:
    return GetHeadResponse(revision=number)


def copy(unit, event):
    """What a consumer does with it."""
    if event.type == "thing.created":
        unit.store.add(event.organization_id, event.resource_id)
    elif event.type == "thing.deleted":
        unit.store.remove(event.resource_id)
