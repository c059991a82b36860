"""The promises of the store, on both engines."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from sqlalchemy import delete, select, text, update

from concord.audit.model import NO_HASH, AuditEvent, Entry, EventFilter, FieldChange
from concord.audit.records import entry_of, first_broken
from concord.audit.server import MIGRATIONS
from concord.audit.sql.tables import audit_event, metadata
from concord.common.v1.change_pb2 import Author, ChangeEvent
from concord.identity.v1.application_pb2 import Application
from concord.kernel import ids
from concord.kernel.database import DatabaseFault, UniqueViolation
from concord.kernel.ids import AuditEventId
from concord.kernel.paging import PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_to_wire, principal_to_wire
from databases import schema_differences
from fakes import CALLER, ORGANIZATION, OTHER_ORGANIZATION, START

IN_TIME = (("time", False), ("sequence", False))


def an_event(
    revision: int = 1,
    source: str = "identity",
    *,
    type: str = "application.updated",
    time: datetime | None = None,
    actor: PrincipalRef | None = CALLER,
    before: Message | None = None,
    after: Message | None = None,
    **more: Any,
) -> Entry:
    change = ChangeEvent(
        revision=revision,
        type=type,
        time=instant_to_wire(time or START + timedelta(seconds=revision)),
        **{"organization_id": ORGANIZATION, "resource_type": "application", "resource_id": f"r{revision}", **more},
    )
    if actor is not None:
        change.author.principal.CopyFrom(principal_to_wire(actor))
    for slot, message in ((change.before, before), (change.after, after)):
        if message is not None:
            slot.Pack(message)
    return entry_of(source, change)


async def everything(book: Any, organization_id: Any = ORGANIZATION) -> list[AuditEvent]:
    page = PageRequest(size=1000, order=(("sequence", False),))
    found = await book.ask(lambda store: store.list_events(organization_id, EventFilter(), page))
    return list(found.items)


async def listed(book: Any, order: Any = IN_TIME, **criteria: Any) -> list[int]:
    page = PageRequest(order=order)
    found = await book.ask(lambda store: store.list_events(ORGANIZATION, EventFilter(**criteria), page))
    return [event.source_revision for event in found.items]


async def test_the_history_makes_the_tables_that_the_store_uses(database_engines: Any) -> None:
    assert await schema_differences(database_engines, metadata, MIGRATIONS) == []


async def test_an_event_comes_back_as_it_was_told(book: Any) -> None:
    entry = an_event(
        resource_name="café",
        author=Author(
            session_id="s",
            api_key_id="k",
            caller_address="192.0.2.1",
            caller_agent="agent",
            rpc="concord.identity.v1.ApplicationService/UpdateApplication",
            operation="x/Y",
            call_id="c",
        ),
        before=Application(name="old"),
        after=Application(name="new", tags=["a", "b"]),
    )

    await book.keep(entry)

    event = await book.ask(lambda store: store.find_event(ORGANIZATION, entry.id))
    assert (event.id, event.organization_id, event.time) == (entry.id, ORGANIZATION, START + timedelta(seconds=1))
    assert (event.source, event.source_revision, event.action) == ("identity", 1, "updated")
    assert (event.resource_type, event.resource_id, event.resource_name) == ("application", "r1", "café")
    assert (event.actor, event.actor_session_id, event.actor_api_key_id) == (CALLER, "s", "k")
    assert (event.ip, event.user_agent, event.operation, event.call_id) == ("192.0.2.1", "agent", "x/Y", "c")
    assert event.rpc == "concord.identity.v1.ApplicationService/UpdateApplication"
    assert event.changes == (FieldChange("name", "old", "new"), FieldChange("tags", None, ["a", "b"]))
    assert (event.sequence, event.previous_hash, event.record) == (1, NO_HASH, entry.record)
    assert await everything(book) == [event]
    assert await book.ask(lambda store: store.find_event(OTHER_ORGANIZATION, entry.id)) is None
    assert await everything(book, OTHER_ORGANIZATION) == []


async def test_a_change_whose_message_nobody_here_knows_is_kept_all_the_same(book: Any) -> None:
    entry = an_event(after=Application(name="new"))
    change = ChangeEvent.FromString(entry.record)
    change.after.type_url = "type.googleapis.com/concord.future.v9.Thing"

    await book.keep(entry_of("identity", change))

    [event] = await everything(book)
    assert event.changes == ()
    assert ChangeEvent.FromString(event.record) == change


async def test_an_event_is_kept_once(book: Any) -> None:
    await book.keep(an_event(1))

    with pytest.raises(UniqueViolation):
        await book.keep(an_event(2), an_event(1, resource_name="another story"))

    assert [event.source_revision for event in await everything(book)] == [1]


async def test_each_organization_has_a_chain_without_gaps(book: Any) -> None:
    await book.keep(*(an_event(each) for each in range(1, 5)))
    await book.keep(an_event(5, organization_id=OTHER_ORGANIZATION), an_event(6))
    await book.keep(an_event(7, organization_id=OTHER_ORGANIZATION))

    for organization, length in ((ORGANIZATION, 5), (OTHER_ORGANIZATION, 2)):
        chain = await everything(book, organization)
        assert [event.sequence for event in chain] == list(range(1, length + 1))
        assert first_broken(chain) is None


async def test_the_chain_holds_when_several_sources_write_at_once(book: Any) -> None:
    sources = ("identity", "credentials", "groups", "policy")

    await asyncio.gather(*(book.keep(an_event(each, source)) for source in sources for each in range(1, 11)))

    chain = await everything(book)
    assert len(chain) == 40
    assert first_broken(chain) is None


async def test_any_altered_left_out_or_moved_event_breaks_the_chain(book: Any) -> None:
    before, after = Application(name="a"), Application(name="b")
    await book.keep(*(an_event(each, before=before, after=after) for each in range(1, 5)))
    chain = await everything(book)
    lies: dict[str, Any] = {
        "time": START,
        "actor": PrincipalRef(PrincipalKind.APPLICATION, CALLER.id),
        "action": "deleted",
        "resource_id": "other",
        "resource_name": "other",
        "ip": "192.0.2.2",
        "user_agent": "x",
        "rpc": "x",
        "operation": "x",
        "call_id": "x",
        "actor_session_id": "x",
        "actor_api_key_id": "x",
        "changes": (FieldChange("name", "a", "c"),),
        "source": "groups",
        "source_revision": 9,
        "sequence": 9,
        "organization_id": OTHER_ORGANIZATION,
        "id": ids.new(AuditEventId),
        "resource_type": "user",
        "record": an_event(3, resource_name="other").record,
    }

    for field, lie in lies.items():
        altered = [*chain[:2], replace(chain[2], **{field: lie}), chain[3]]
        assert first_broken(altered) == altered[2], field
    assert first_broken([chain[0], *chain[2:]]) == chain[2]
    assert first_broken([chain[1], chain[0], *chain[2:]]) == chain[1]
    assert first_broken(chain[2:], chain[1].hash) is None


@pytest.mark.parametrize(
    "statement",
    [
        update(audit_event).values(action="x"),
        delete(audit_event),
        update(audit_event).where(audit_event.c.sequence == 1).values(hash=b"x"),
        delete(audit_event).where(audit_event.c.sequence == 1),
    ],
)
async def test_nobody_changes_or_removes_an_event(book: Any, statement: Any) -> None:
    await book.keep(an_event(1))
    kept = await everything(book)

    with pytest.raises(DatabaseFault):
        await book.database.write(ORGANIZATION, lambda connection: connection.execute(statement) and None)

    assert await everything(book) == kept


async def test_nobody_empties_the_table_at_once(book: Any) -> None:
    if book.database.dialect == "sqlite":
        statement = text("DELETE FROM audit_event")  # what SQLite has in place of TRUNCATE
    else:
        statement = text("TRUNCATE audit_event")
    await book.keep(an_event(1))
    kept = await everything(book)

    with pytest.raises(DatabaseFault):
        await book.database.write(ORGANIZATION, lambda connection: connection.execute(statement) and None)

    count = await book.database.read(lambda connection: len(connection.execute(select(audit_event.c.id)).all()))
    assert count == len(kept)


async def test_each_filter_admits_what_it_says(book: Any) -> None:
    robot = PrincipalRef(PrincipalKind.APPLICATION, "00000000-0000-4000-8000-000000000abc")
    await book.keep(
        an_event(1, type="application.created"),
        an_event(2, resource_type="user", resource_name="Alice 100%"),
        an_event(3, actor=robot, type="application.deleted"),
        an_event(4, actor=None, resource_id="r1"),
    )

    assert await listed(book) == [1, 2, 3, 4]
    assert await listed(book, order=(("time", True), ("sequence", True))) == [4, 3, 2, 1]
    assert await listed(book, start_time=START + timedelta(seconds=2)) == [2, 3, 4]
    assert await listed(book, end_time=START + timedelta(seconds=2)) == [1]
    assert await listed(book, actions=("created", "deleted")) == [1, 3]
    assert await listed(book, resource_types=("user",)) == [2]
    assert await listed(book, resource_id="r1") == [1, 4]
    assert await listed(book, actor_ids=(robot.id, "x")) == [3]
    assert await listed(book, ids=(an_event(2).id,)) == [2]
    assert await listed(book, text="aLiCe") == [2]
    assert await listed(book, text="0%") == [2]
    assert await listed(book, text="_") == []
    assert await listed(book, text="R1") == [1, 4]
    assert await listed(book, text=robot.id[-5:].upper()) == [3]
    assert await listed(book, text="r", actions=("deleted",)) == [3]


async def test_pages_meet_each_event_once_even_at_one_instant(book: Any) -> None:
    await book.keep(*(an_event(each, time=START) for each in range(1, 8)))
    page = PageRequest(size=3, order=(("time", True), ("sequence", True)), with_total=True)

    seen: list[int] = []
    while True:
        found = await book.ask(lambda store, page=page: store.list_events(ORGANIZATION, EventFilter(), page))
        assert found.total_size == 7
        seen += [event.source_revision for event in found.items]
        if found.after is None:
            break
        page = replace(page, after=found.after)

    assert seen == [7, 6, 5, 4, 3, 2, 1]
