"""Identity over its contract: a real in-process server with every step of the chain."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import select

from concord.common.v1.change_pb2 import ChangeEvent
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER
from concord.identity.v1.application_pb2 import APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.application_service_pb2 import (
    CreateApplicationRequest,
    DeleteApplicationRequest,
    GetApplicationRequest,
    ListApplicationsRequest,
    UpdateApplicationRequest,
)
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.organization_service_pb2 import (
    CreateOrganizationRequest,
    GetOrganizationRequest,
    UpdateOrganizationRequest,
)
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.project_service_pb2 import (
    CreateProjectRequest,
    DeleteProjectRequest,
    GetProjectRequest,
    ListProjectsRequest,
    UpdateProjectRequest,
)
from concord.identity.v1.user_pb2 import (
    USER_KIND_CUSTOMER,
    USER_KIND_GUEST,
    USER_KIND_OWNER,
    USER_STATE_SUSPENDED,
    User,
)
from concord.identity.v1.user_service_pb2 import (
    CreateUserRequest,
    DeleteUserRequest,
    GetUserRequest,
    ListUsersRequest,
    ResumeUserRequest,
    SuspendUserRequest,
    UpdateUserRequest,
)
from concord.kernel.database.tables import outbox_event
from concord.kernel.errors import Reason
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Reach, TargetClass
from fakes import CALLER, OTHER_ORGANIZATION
from identity.serving import Suite, refusal, serving


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[Suite]:
    async with serving(tmp_path) as served:
        yield served


async def made(suite: Suite, username: str = "ann", **fields: Any) -> User:
    request = CreateUserRequest(user=User(username=username, **fields))
    return await suite.users.CreateUser(request, **suite.caller)


async def listed(suite: Suite, **fields: Any) -> list[str]:
    answer = await suite.users.ListUsers(ListUsersRequest(**fields), **suite.caller)
    return [each.username for each in answer.users]


async def events(suite: Suite) -> list[ChangeEvent]:
    def read(connection: Any) -> list[bytes]:
        return list(connection.execute(select(outbox_event.c.payload).order_by(outbox_event.c.revision)).scalars())

    return [ChangeEvent.FromString(payload) for payload in await suite.units.database.read(read)]


def founding(**fields: Any) -> CreateOrganizationRequest:
    return CreateOrganizationRequest(
        organization=Organization(name="Acme"),
        owner=User(primary_email="owner@acme.example"),
        catalogues=["supplied"],
        **fields,
    )


async def test_only_the_deployment_founds_organizations_and_their_people_see_only_theirs(suite: Suite) -> None:
    acme = await suite.organizations.CreateOrganization(founding(), **suite.signers.system())
    owner = suite.user(acme.owner_user_id, OrganizationId(acme.id))

    assert suite.decisions.asked[-1].deployment
    assert list(acme.catalogues) == ["supplied"]
    for locator in ({}, {"id": acme.id}, {"number": acme.number}, {"slug": acme.slug}):
        assert await suite.organizations.GetOrganization(GetOrganizationRequest(**locator), **owner) == acme
    for locator in ({"id": OTHER_ORGANIZATION}, {"number": 99}, {"slug": "unknown"}, {"alias": "x"}, {"alias": ""}):
        refused = await refusal(suite.organizations.GetOrganization(GetOrganizationRequest(**locator), **owner))
        assert refused.reason is Reason.RESOURCE_NOT_FOUND
    projects = await suite.projects.ListProjects(ListProjectsRequest(), **owner)
    assert [(each.id, each.is_default) for each in projects.projects] == [(acme.id, True)]


async def test_a_repeated_birth_answers_with_the_first_one(suite: Suite) -> None:
    request = founding(request_id=str(uuid.uuid4()))

    born = await asyncio.gather(
        *(suite.organizations.CreateOrganization(request, **suite.signers.system()) for _ in range(3))
    )

    assert born[0] == born[1] == born[2]
    assert [each.type for each in await events(suite)] == ["organization.created", "user.created", "project.created"]
    request.organization.name = "Other"
    refused = await refusal(suite.organizations.CreateOrganization(request, **suite.signers.system()))
    assert refused.reason is Reason.REQUEST_ID_REUSED


async def test_an_organization_is_updated_by_its_own_people_only(suite: Suite) -> None:
    acme = await suite.organizations.CreateOrganization(founding(), **suite.signers.system())
    owner = suite.user(acme.owner_user_id, OrganizationId(acme.id))

    def update(*paths: str, **fields: Any) -> Any:
        return suite.organizations.UpdateOrganization(
            UpdateOrganizationRequest(organization=Organization(**fields), update_mask=FieldMask(paths=paths)), **owner
        )

    assert (await update(description="new")).description == "new"
    assert (await update("description", id=acme.id)).description == ""
    assert (await refusal(update(id=OTHER_ORGANIZATION, name="x"))).reason is Reason.RESOURCE_NOT_FOUND
    assert (await refusal(update("slug", slug="x"))).reason is Reason.INVALID_FIELDS


async def test_a_user_goes_through_life(suite: Suite) -> None:
    ann = await made(suite, primary_email="ann@x.example", kind=USER_KIND_GUEST, attributes={"a.b": "c"})
    assert (ann.version, ann.etag, ann.interactive_login, ann.deletable) == (1, "1", True, True)

    change = UpdateUserRequest(
        user=User(id=ann.id, etag=ann.etag, given_name="Ann", nickname="x"),
        update_mask=FieldMask(paths=["given_name", "primary_email"]),
    )
    changed = await suite.users.UpdateUser(change, **suite.caller)
    assert (changed.given_name, changed.nickname, changed.primary_email) == ("Ann", "", "")
    assert changed.attributes == {"a.b": "c"}

    suspended = await suite.users.SuspendUser(SuspendUserRequest(id=ann.id, reason="left"), **suite.caller)
    assert (suspended.state, suspended.locked, suspended.suspension_reason) == (USER_STATE_SUSPENDED, True, "left")
    resumed = await suite.users.ResumeUser(ResumeUserRequest(id=ann.id, etag=suspended.etag), **suite.caller)
    assert not resumed.locked

    await suite.users.DeleteUser(DeleteUserRequest(id=ann.id, etag=resumed.etag), **suite.caller)
    gone = await refusal(suite.users.GetUser(GetUserRequest(id=ann.id), **suite.caller))
    assert gone.reason is Reason.RESOURCE_NOT_FOUND

    told = await events(suite)
    assert [each.type for each in told] == [
        "user.created",
        "user.updated",
        "user.suspended",
        "user.resumed",
        "user.deleted",
    ]
    assert [each.security_relevant for each in told] == [False, True, True, False, True]
    last = User()
    assert told[-1].before.Unpack(last)
    assert last == resumed
    assert (told[-1].author.principal.kind, told[-1].author.principal.id) == (PRINCIPAL_KIND_USER, CALLER.id)
    assert told[-1].author.rpc == "concord.identity.v1.UserService/DeleteUser"


async def test_a_user_is_found_by_any_name(suite: Suite) -> None:
    ann = await made(suite, "Ännchen/#1", primary_email="Ann@x.example")
    customer = await made(suite, "c", primary_email="only@x.example", kind=USER_KIND_CUSTOMER)

    for locator in (
        {"id": ann.id.upper()},
        {"username": "A\u0308nnchen/#1"},
        {"primary_email": "aNN@X.example"},
    ):
        assert await suite.users.GetUser(GetUserRequest(**locator), **suite.caller) == ann
    found = await suite.users.GetUser(GetUserRequest(primary_email="only@x.example"), **suite.caller)
    assert found == customer
    for locator, reason in (
        ({}, Reason.INVALID_FIELDS),
        ({"username": ""}, Reason.INVALID_FIELDS),
        ({"id": "no uuid"}, Reason.INVALID_FIELDS),
        ({"username": "ännchen/#1"}, Reason.RESOURCE_NOT_FOUND),
        ({"primary_email": "x"}, Reason.RESOURCE_NOT_FOUND),
    ):
        assert (await refusal(suite.users.GetUser(GetUserRequest(**locator), **suite.caller))).reason is reason


@pytest.mark.parametrize("name", ["a/b", "a:b", "#", "a@b", "*", "%00", "%", "\u202ertl", "שלום", "x" * 256])
async def test_kb38_weird_names_pass_through_the_contract(suite: Suite, name: str) -> None:
    ann = await made(suite, name)
    robot = await suite.applications.CreateApplication(
        CreateApplicationRequest(application=Application(name=name, tags=[name])), **suite.caller
    )

    assert (ann.username, robot.name) == (name, name)
    assert await suite.users.GetUser(GetUserRequest(username=name), **suite.caller) == ann
    assert await listed(suite, text=name) == [name]
    found = await suite.applications.ListApplications(ListApplicationsRequest(name=name, tag=name), **suite.caller)
    assert list(found.applications) == [robot]


async def test_kb38_nul_is_refused_wherever_a_text_goes(suite: Suite) -> None:
    robot = Application(name="a\0b")
    for call in (
        suite.users.CreateUser(CreateUserRequest(user=User(username="a\0b")), **suite.caller),
        suite.users.CreateUser(CreateUserRequest(user=User(username="a", description="\0")), **suite.caller),
        suite.users.GetUser(GetUserRequest(username="\0"), **suite.caller),
        suite.users.GetUser(GetUserRequest(primary_email="\0"), **suite.caller),
        suite.users.ListUsers(ListUsersRequest(text="\0"), **suite.caller),
        suite.users.ListUsers(ListUsersRequest(tag="\0"), **suite.caller),
        suite.applications.CreateApplication(CreateApplicationRequest(application=robot), **suite.caller),
        suite.projects.CreateProject(CreateProjectRequest(project=Project(name="\0")), **suite.caller),
    ):
        assert (await refusal(call)).reason is Reason.INVALID_FIELDS


async def test_kb09_names_that_look_alike_are_different_users(suite: Suite) -> None:
    users = [await made(suite, name) for name in ("Foo", "foo", "foo ", "straße", "strasse", "ﬁ", "fi")]

    for each in users:
        found = await suite.users.GetUser(GetUserRequest(username=each.username), **suite.caller)
        assert found.id == each.id
    refused = await refusal(made(suite, "foo"))
    assert (refused.reason, refused.metadata) == (Reason.RESOURCE_ALREADY_EXISTS, {"field": "user.username"})


async def test_kb36_a_name_used_again_gets_another_id(suite: Suite) -> None:
    first = await made(suite)
    await suite.users.DeleteUser(DeleteUserRequest(id=first.id), **suite.caller)

    second = await made(suite)

    assert (second.username, second.version) == (first.username, 1)
    assert second.id != first.id


async def test_lists_filter_sort_page_and_count(suite: Suite) -> None:
    ids = {name: (await made(suite, name, tags=[name[0]])).id for name in ("b1", "B2", "a1", "a2")}

    assert await listed(suite, order_by="username") == ["B2", "a1", "a2", "b1"]
    assert await listed(suite, order_by="folded_username desc") == ["B2", "b1", "a2", "a1"]
    assert await listed(suite, tag="a", order_by="username") == ["a1", "a2"]
    assert await listed(suite, text="A", order_by="username") == ["a1", "a2"]
    assert await listed(suite, ids=[ids["a1"], str(uuid.uuid4())]) == ["a1"]
    assert await listed(suite, kinds=[USER_KIND_OWNER]) == []
    assert await listed(suite, states=[USER_STATE_SUSPENDED]) == []
    assert await listed(suite, editable=False) == []
    assert await listed(suite, order_by="username", skip=3) == ["b1"]

    request = ListUsersRequest(order_by="username", page_size=3, with_total_size=True)
    first = await suite.users.ListUsers(request, **suite.caller)
    request.page_token = first.next_page_token
    second = await suite.users.ListUsers(request, **suite.caller)
    assert [each.username for each in (*first.users, *second.users)] == ["B2", "a1", "a2", "b1"]
    assert (first.total_size, second.total_size, second.next_page_token) == (4, 4, "")
    request.text = "a"
    refused = await refusal(suite.users.ListUsers(request, **suite.caller))
    assert refused.reason is Reason.INVALID_PAGE_TOKEN
    for bad in ({"order_by": "suspension_reason"}, {"page_size": 1001}, {"skip": -1}, {"ids": ["x"]}, {"kinds": [77]}):
        refused = await refusal(suite.users.ListUsers(ListUsersRequest(**bad), **suite.caller))
        assert refused.reason is Reason.INVALID_FIELDS


async def test_another_organization_is_as_unknown_as_none(suite: Suite) -> None:
    ann = await made(suite)
    robot = await suite.applications.CreateApplication(
        CreateApplicationRequest(application=Application(name="x")), **suite.caller
    )
    stranger = suite.user(CALLER.id, OTHER_ORGANIZATION)
    here = ann.organization_id

    for call in (
        suite.users.GetUser(GetUserRequest(id=ann.id), **stranger),
        suite.users.GetUser(GetUserRequest(username="ann"), **stranger),
        suite.users.UpdateUser(UpdateUserRequest(user=User(id=ann.id, nickname="x")), **stranger),
        suite.users.DeleteUser(DeleteUserRequest(id=ann.id), **stranger),
        suite.users.SuspendUser(SuspendUserRequest(id=ann.id), **stranger),
        suite.users.ListUsers(ListUsersRequest(organization_id=here), **stranger),
        suite.users.CreateUser(CreateUserRequest(organization_id=here, user=User(username="x")), **stranger),
        suite.applications.GetApplication(GetApplicationRequest(id=robot.id), **stranger),
        suite.applications.DeleteApplication(DeleteApplicationRequest(id=robot.id), **stranger),
        suite.applications.ListApplications(ListApplicationsRequest(organization_id=here), **stranger),
        suite.projects.ListProjects(ListProjectsRequest(organization_id=here), **stranger),
    ):
        assert (await refusal(call)).reason is Reason.RESOURCE_NOT_FOUND
    assert not (await suite.users.ListUsers(ListUsersRequest(ids=[ann.id]), **stranger)).users


async def test_a_refused_call_changes_nothing(suite: Suite) -> None:
    ann = await made(suite)
    suite.decisions.allowed = False

    refused = await refusal(suite.users.DeleteUser(DeleteUserRequest(id=ann.id), **suite.caller))

    assert refused.reason is Reason.PERMISSION_DENIED
    suite.decisions.allowed = True
    assert await listed(suite) == ["ann"]


async def test_who_holds_only_the_own_permission_acts_on_himself_alone(suite: Suite) -> None:
    ann, bob = await made(suite, "ann"), await made(suite, "bob")
    suite.decisions.reach = Reach(classes=frozenset({TargetClass.OWN}))
    as_ann = suite.user(ann.id)

    assert await suite.users.GetUser(GetUserRequest(username="ann"), **as_ann) == ann
    change = UpdateUserRequest(user=User(id=ann.id, nickname="a"))
    assert (await suite.users.UpdateUser(change, **as_ann)).nickname == "a"
    assert suite.decisions.asked[-1].target == ann_ref(ann)
    for call in (
        suite.users.GetUser(GetUserRequest(id=bob.id), **as_ann),
        suite.users.GetUser(GetUserRequest(username="nobody"), **as_ann),
        suite.users.UpdateUser(UpdateUserRequest(user=User(id=bob.id, nickname="b")), **as_ann),
        suite.users.DeleteUser(DeleteUserRequest(id=bob.id), **as_ann),
        suite.users.DeleteUser(DeleteUserRequest(id=str(uuid.uuid4())), **as_ann),
    ):
        assert (await refusal(call)).reason is Reason.PERMISSION_DENIED
    answer = await suite.users.ListUsers(ListUsersRequest(with_total_size=True), **as_ann)
    assert ([each.username for each in answer.users], answer.total_size) == (["ann"], 1)
    await suite.users.DeleteUser(DeleteUserRequest(id=ann.id), **as_ann)


def ann_ref(user: User) -> Any:
    return type(CALLER)(CALLER.kind, user.id)


async def test_checking_only_changes_nothing_and_says_what_would_be(suite: Suite) -> None:
    request = CreateUserRequest(user=User(username="ann"), validate_only=True)

    would_be = await suite.users.CreateUser(request, **suite.caller)

    assert would_be.username == "ann"
    assert await listed(suite) == []
    assert await events(suite) == []


async def test_a_repeated_request_is_carried_out_once(suite: Suite) -> None:
    request = CreateUserRequest(user=User(username="ann"), request_id=str(uuid.uuid4()))

    answers = await asyncio.gather(*(suite.users.CreateUser(request, **suite.caller) for _ in range(4)))

    assert len({each.id for each in answers}) == 1
    assert await listed(suite) == ["ann"]


async def test_of_parallel_creations_of_one_name_one_wins(suite: Suite) -> None:
    outcomes = await asyncio.gather(*(made(suite) for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(each, User) for each in outcomes) == 1
    assert await listed(suite) == ["ann"]


async def test_an_application_goes_through_life(suite: Suite) -> None:
    stub = suite.applications
    robot = await stub.CreateApplication(
        CreateApplicationRequest(application=Application(name="Robot", tags=["x"])), **suite.caller
    )
    assert await stub.GetApplication(GetApplicationRequest(id=robot.id), **suite.caller) == robot

    change = Application(id=robot.id, etag=robot.etag, state=APPLICATION_STATE_SUSPENDED)
    changed = await stub.UpdateApplication(UpdateApplicationRequest(application=change), **suite.caller)
    assert (changed.state, changed.name, list(changed.tags)) == (APPLICATION_STATE_SUSPENDED, "Robot", ["x"])
    stale = await refusal(stub.UpdateApplication(UpdateApplicationRequest(application=change), **suite.caller))
    # The same change again would change nothing, but the caller asked about another version.
    assert stale.reason is Reason.ETAG_MISMATCH
    listing = ListApplicationsRequest(name="rob", states=[APPLICATION_STATE_SUSPENDED], editable=True)
    assert list((await stub.ListApplications(listing, **suite.caller)).applications) == [changed]
    clearing = UpdateApplicationRequest(application=Application(id=robot.id), update_mask=FieldMask(paths=["name"]))
    assert (await refusal(stub.UpdateApplication(clearing, **suite.caller))).reason is Reason.INVALID_FIELDS

    await stub.DeleteApplication(DeleteApplicationRequest(id=robot.id), **suite.caller)
    gone = await refusal(stub.GetApplication(GetApplicationRequest(id=robot.id), **suite.caller))
    assert gone.reason is Reason.RESOURCE_NOT_FOUND


async def test_calls_about_projects_ask_where_they_hold_and_making_one_asks_for_the_organization(suite: Suite) -> None:
    stub, decisions = suite.projects, suite.decisions
    web = await stub.CreateProject(CreateProjectRequest(project=Project(name="web")), **suite.caller)
    shut = await stub.CreateProject(CreateProjectRequest(project=Project(name="shut")), **suite.caller)
    decisions.asked.clear()
    decisions.reach = replace(decisions.reach, except_project_ids=frozenset({shut.id}))

    listed = await stub.ListProjects(ListProjectsRequest(with_total_size=True), **suite.caller)
    await stub.GetProject(GetProjectRequest(id=web.id), **suite.caller)
    await stub.CreateProject(CreateProjectRequest(project=Project(name="more")), **suite.caller)

    assert ([each.id for each in listed.projects], listed.total_size) == ([web.id], 1)
    asked = [(each.resource_id, each.in_projects) for each in decisions.asked]
    assert asked == [("", True), (web.id, True), ("", False)]


async def test_a_project_goes_through_life(suite: Suite) -> None:
    stub = suite.projects
    web = await stub.CreateProject(CreateProjectRequest(project=Project(name="web")), **suite.caller)
    assert await stub.GetProject(GetProjectRequest(id=web.id), **suite.caller) == web

    change = UpdateProjectRequest(project=Project(id=web.id, description="new"))
    changed = await stub.UpdateProject(change, **suite.caller)
    assert (changed.name, changed.description, changed.version) == ("web", "new", 2)

    await stub.DeleteProject(DeleteProjectRequest(id=web.id, etag=changed.etag), **suite.caller)
    assert not (await stub.ListProjects(ListProjectsRequest(), **suite.caller)).projects
    assert [each.type for each in await events(suite)] == ["project.created", "project.updated", "project.deleted"]


async def test_nobody_calls_without_a_credential(suite: Suite) -> None:
    for call in (
        suite.users.ListUsers(ListUsersRequest()),
        suite.organizations.CreateOrganization(founding()),
        suite.projects.ListProjects(ListProjectsRequest()),
        suite.applications.ListApplications(ListApplicationsRequest()),
    ):
        assert (await refusal(call)).reason is Reason.CREDENTIAL_MISSING
