"""Rights over things in projects on the running suite: what one project denies, and what only one allows."""

import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    ssh_key_pb2,
    ssh_key_service_pb2,
    ssh_key_service_pb2_grpc,
)
from concord.groups.v1 import membership_pb2, membership_service_pb2, membership_service_pb2_grpc
from concord.identity.v1 import (
    application_pb2,
    application_service_pb2,
    application_service_pb2_grpc,
    project_pb2,
    project_service_pb2,
    project_service_pb2_grpc,
)
from concord.policy.v1 import policy_pb2, policy_service_pb2, policy_service_pb2_grpc, statement_pb2, subject_pb2
from e2e.worlds import World, make_world
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SECONDS = 30
SERVICES = ("identity", "credentials", "groups", "policy")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
RIGHTS = ("identity.projects.*", "credentials.ssh_keys.*", "groups.memberships.*")
REFUSED = grpc.StatusCode.PERMISSION_DENIED


class Keeper:
    """An application in an organization with two more projects, each of which has a key."""

    def __init__(self, suite: RunningSuite, world: World) -> None:
        self.channels = {name: grpc.insecure_channel(suite.grpc(name)) for name in SERVICES}
        self.owner: dict[str, Any] = {"metadata": world.metadata, "timeout": SECONDS}
        self.projects: Any = project_service_pb2_grpc.ProjectServiceStub(self.channels["identity"])
        self.keys: Any = ssh_key_service_pb2_grpc.SshKeyServiceStub(self.channels["credentials"])
        self.members: Any = membership_service_pb2_grpc.MembershipServiceStub(self.channels["groups"])
        self.policies: Any = policy_service_pb2_grpc.PolicyServiceStub(self.channels["policy"])
        applications: Any = application_service_pb2_grpc.ApplicationServiceStub(self.channels["identity"])
        robot = applications.CreateApplication(
            application_service_pb2.CreateApplicationRequest(application=application_pb2.Application(name="keeper")),
            **self.owner,
        )
        self.ref = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_APPLICATION, id=robot.id)
        api_keys: Any = api_key_service_pb2_grpc.ApiKeyServiceStub(self.channels["credentials"])
        made = api_keys.CreateApiKey(
            api_key_service_pb2.CreateApiKeyRequest(api_key=api_key_pb2.ApiKey(bearer=self.ref)), **self.owner
        )
        self.robot: dict[str, Any] = {"metadata": (("authorization", f"Bearer {made.secret}"),), "timeout": SECONDS}
        self.one, self.two = self.project("one"), self.project("two")
        self.key_of = {each: self.add(each, self.owner).id for each in (self.one, self.two)}

    def project(self, name: str) -> str:
        project = project_pb2.Project(name=f"{name}-{uuid.uuid4().hex}")
        request = project_service_pb2.CreateProjectRequest(project=project)
        return str(self.projects.CreateProject(request, **self.owner).id)

    def add(self, project: str, how: dict[str, Any]) -> Any:
        key = ssh_key_pb2.SshKey(public_key=PUBLIC_KEY, project_id=project)
        return self.keys.CreateSshKey(ssh_key_service_pb2.CreateSshKeyRequest(ssh_key=key), **how)

    def rule(self, *, deny: bool = False, project: str = "") -> None:
        """Let the application do everything about projects and keys, or forbid it, in a project or everywhere."""
        boundary = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION)
        if project:
            boundary = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=[project])
        effect = statement_pb2.EFFECT_DENY if deny else statement_pb2.EFFECT_ALLOW
        policy = policy_pb2.Policy(
            name=f"rule-{uuid.uuid4().hex}",
            language="statements",
            subject=subject_pb2.PolicySubject(principal=self.ref),
            statements=[statement_pb2.Statement(effect=effect, permissions=RIGHTS, boundary=boundary)],
        )
        self.policies.CreatePolicy(policy_service_pb2.CreatePolicyRequest(policy=policy), **self.owner)

    def seen(self) -> tuple[set[str], set[str]]:
        """Return the projects that the application is shown, and the projects whose keys it is shown."""
        found = self.projects.ListProjects(project_service_pb2.ListProjectsRequest(), **self.robot)
        keys = self.keys.ListSshKeys(ssh_key_service_pb2.ListSshKeysRequest(), **self.robot)
        return {each.id for each in found.projects}, {each.project_id for each in keys.ssh_keys}

    def codes(self, project: str) -> set[grpc.StatusCode | None]:
        """Return how calls about a project and the key in it end; None is success."""
        key = ssh_key_service_pb2.GetSshKeyRequest(id=self.key_of[project])
        container = membership_pb2.Container(project_id=project)
        members = membership_service_pb2.ListMembersRequest(containers=[container])
        joining = membership_service_pb2.AddMembersRequest(container=container, principals=[self.ref])
        membership = membership_service_pb2.GetMembershipRequest(container=container, principal=self.ref)
        gone = ssh_key_service_pb2.DeleteSshKeyRequest(id=self.key_of[project], validate_only=True)
        return {
            code_of(lambda: self.projects.GetProject(project_service_pb2.GetProjectRequest(id=project), **self.robot)),
            code_of(lambda: self.keys.GetSshKey(key, **self.robot)),
            code_of(lambda: self.keys.DeleteSshKey(gone, **self.robot)),
            code_of(lambda: self.add(project, self.robot)),
            code_of(lambda: self.members.ListMembers(members, **self.robot)),
            code_of(lambda: self.members.AddMembers(joining, **self.robot)),
            code_of(lambda: self.members.GetMembership(membership, **self.robot)),
        }


def code_of(call: Any) -> grpc.StatusCode | None:
    """Return the code that a call fails with, None where it does not."""
    try:
        call()
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return None


@pytest.fixture
def keeper(suite: RunningSuite) -> Iterator[Keeper]:
    made = Keeper(suite, make_world(suite, "projects"))
    yield made
    for channel in made.channels.values():
        channel.close()


def test_a_deny_of_one_project_shuts_that_one_and_no_other(keeper: Keeper) -> None:
    keeper.rule()
    everywhere = keeper.seen()
    keeper.rule(deny=True, project=keeper.two)

    assert keeper.seen() == tuple(each - {keeper.two} for each in everywhere)
    assert all({keeper.one, keeper.two} <= each for each in everywhere)
    assert (keeper.codes(keeper.one), keeper.codes(keeper.two)) == ({None}, {REFUSED})


def test_a_right_in_one_project_opens_that_one_and_no_other(keeper: Keeper) -> None:
    keeper.rule(project=keeper.one)

    assert keeper.seen() == ({keeper.one}, {keeper.one})
    assert (keeper.codes(keeper.one), keeper.codes(keeper.two)) == ({None}, {REFUSED})
