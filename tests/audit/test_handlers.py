"""The audit service as callers meet it: in process, behind the real chain, fed by the four sources."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from concord.audit import wire
from concord.audit.consume import SOURCES
from concord.audit.handlers import AuditHandlers
from concord.audit.records import first_broken
from concord.audit.server import build
from concord.audit.v1 import audit_event_pb2, audit_service_pb2
from concord.audit.v1.audit_service_pb2_grpc import AuditServiceStub, add_AuditServiceServicer_to_server
from concord.groups.v1.group_pb2 import Group
from concord.identity.v1.application_pb2 import Application
from concord.kernel.errors import Denied, Invalid, NotFound, Reason, Unavailable
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import Author, PrincipalKind, PrincipalRef, Reach
from concord.kernel.service import Service
from concord.kernel.units import Change
from fakes import CALLER, ORGANIZATION, OTHER_ORGANIZATION, START
from one_service import Served, serving, some_principal

SYSTEM = PrincipalRef(PrincipalKind.SERVICE, "system")
ROBOT = some_principal(3, PrincipalKind.APPLICATION)


@dataclass
class Audit:
    """The service with its stub."""

    served: Served
    stub: Any

    async def list(self, *, passport: str = "", **fields: Any) -> list[audit_event_pb2.AuditEvent]:
        request = audit_service_pb2.ListAuditEventsRequest(**fields)
        answer = await self.served.call(self.stub.ListAuditEvents, request, passport=passport)
        return list(answer.audit_events)

    async def rename(self, old: str, new: str, **how: Any) -> None:
        before, after = Application(id=ROBOT.id, name=old, version=1), Application(id=ROBOT.id, name=new, version=2)
        change = Change("application.updated", "application", ROBOT.id, new, before=before, after=after)
        await self.served.publish("identity", change, **how)


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[Audit]:
    """The service, following its four sources."""
    async with serving(tmp_path, "audit", build, SOURCES) as served:
        yield Audit(served, AuditServiceStub(served.channel("audit")))


async def test_a_change_is_listed_by_the_next_call_with_who_did_what(audit: Audit) -> None:
    author = Author(
        principal=CALLER,
        session_id=SessionId("s"),
        api_key_id=ApiKeyId("k"),
        caller_address="192.0.2.7",
        caller_agent="tests",
        rpc="concord.identity.v1.ApplicationService/UpdateApplication",
        operation="x/UpdateApplication",
        call_id="c",
    )
    await audit.rename("old", "new", author=author)

    [event] = await audit.list()

    assert (event.actor.id, event.actor_session_id, event.actor_api_key_id) == (CALLER.id, "s", "k")
    assert (event.ip, event.user_agent, event.operation, event.call_id) == (
        "192.0.2.7",
        "tests",
        "x/UpdateApplication",
        "c",
    )
    assert (event.action, event.resource_type, event.resource_id) == ("updated", "application", ROBOT.id)
    assert (event.resource_name, event.source, event.outcome) == ("new", "identity", 1)
    assert event.time.ToDatetime(tzinfo=START.tzinfo) == START
    [change] = event.changes
    assert (change.field, change.old.string_value, change.new.string_value) == ("name", "old", "new")
    read = await audit.served.call(audit.stub.GetAuditEvent, audit_service_pb2.GetAuditEventRequest(id=event.id))
    assert read == event


async def test_all_four_sources_are_recorded_in_one_chain(audit: Audit) -> None:
    for source in SOURCES:
        for number in range(3):
            after = Group(id=str(number), handle=source)
            await audit.served.publish(source, Change("group.created", "group", f"{source}-{number}", after=after))

    events = await audit.list(page_size=100)

    assert {event.source for event in events} == set(SOURCES)
    assert len(events) == 12
    chain = sorted((wire.event_from_wire(event) for event in events), key=lambda event: event.sequence)
    assert first_broken(chain) is None


async def test_another_organizations_events_answer_as_unknown_ones(audit: Audit) -> None:
    await audit.rename("a", "b")
    [event] = await audit.list()
    stranger = audit.served.passport(CALLER, OTHER_ORGANIZATION)

    assert await audit.list(passport=stranger) == []
    assert await audit.list(passport=stranger, ids=[event.id]) == []
    for id_ in (event.id, OTHER_ORGANIZATION, "no id"):
        request = audit_service_pb2.GetAuditEventRequest(id=id_)
        refusal = await audit.served.fails(audit.stub.GetAuditEvent, request, passport=stranger)
        assert isinstance(refusal, NotFound)
        assert (refusal.resource_type, refusal.resource_id) == ("audit_event", id_)
    for organization in (ORGANIZATION, CALLER.id):
        listing = audit_service_pb2.ListAuditEventsRequest(organization_id=organization)
        refusal = await audit.served.fails(audit.stub.ListAuditEvents, listing, passport=stranger)
        assert isinstance(refusal, NotFound)


async def test_what_happened_in_no_organization_is_shown_to_nobody(audit: Audit) -> None:
    author = Author(principal=SYSTEM)
    await audit.rename("a", "b", organization_id=OrganizationId(""), author=author)
    await audit.rename("c", "d", author=author)

    [event] = await audit.list()

    assert event.resource_name == "d"


async def test_pages_go_on_where_they_ended_and_their_tokens_serve_no_other_list(audit: Audit) -> None:
    for number in range(5):
        await audit.rename("x", str(number))
        audit.served.clock.advance(timedelta(seconds=1))
    request = audit_service_pb2.ListAuditEventsRequest(page_size=2, order_by="time desc", with_total_size=True)

    names: list[str] = []
    while True:
        answer = await audit.served.call(audit.stub.ListAuditEvents, request)
        assert answer.total_size == 5
        names += [event.resource_name for event in answer.audit_events]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    assert names == ["4", "3", "2", "1", "0"]
    request.order_by = "time"
    refusal = await audit.served.fails(audit.stub.ListAuditEvents, request)
    assert refusal.reason is Reason.INVALID_PAGE_TOKEN


async def test_a_malformed_filter_names_its_field(audit: Audit) -> None:
    request = audit_service_pb2.ListAuditEventsRequest(text="x" * 300, order_by="hash")

    refusal = await audit.served.fails(audit.stub.ListAuditEvents, request)

    assert isinstance(refusal, Invalid)
    assert [each.field for each in refusal.violations] == ["text"]


async def test_a_source_that_cannot_be_asked_makes_the_list_unavailable(tmp_path: Path) -> None:
    async def build_following_one_more(platform: Any) -> Service:
        service = await build(platform)
        absent = platform.consumer("audit", "nowhere", service.units, lambda unit, event: None)
        servicer = AuditHandlers(service.units, [*service.consumers, absent])
        return replace(service, servicers=[(add_AuditServiceServicer_to_server, servicer)])

    async with serving(tmp_path, "audit", build_following_one_more, SOURCES) as served:
        stub: Any = AuditServiceStub(served.channel("audit"))
        refusal = await served.fails(stub.ListAuditEvents, audit_service_pb2.ListAuditEventsRequest())

    assert isinstance(refusal, Unavailable)


async def test_a_reach_of_projects_covers_no_event(audit: Audit) -> None:
    await audit.rename("a", "b")
    [event] = await audit.list()
    audit.served.decider.reach = Reach(everything=False, project_ids=frozenset({ROBOT.id}))

    assert await audit.list() == []
    request = audit_service_pb2.GetAuditEventRequest(id=event.id)
    assert isinstance(await audit.served.fails(audit.stub.GetAuditEvent, request), Denied)


async def test_without_the_permission_nothing_is_shown(audit: Audit) -> None:
    audit.served.decider.refusals = {"audit.events.list"}

    refusal = await audit.served.fails(audit.stub.ListAuditEvents, audit_service_pb2.ListAuditEventsRequest())

    assert isinstance(refusal, Denied)


async def test_many_changes_at_once_are_all_recorded_in_order(audit: Audit) -> None:
    await asyncio.gather(*(audit.rename("x", f"n{number}") for number in range(60)))

    events = await audit.list(page_size=1000)

    assert len(events) == 60
    assert [event.source_revision for event in events] == sorted(event.source_revision for event in events)
