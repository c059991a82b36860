"""Frozen rights on the running suite: each service its own part, in one process and in many."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    authentication_service_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
)
from concord.identity.v1 import (
    application_pb2,
    application_service_pb2,
    application_service_pb2_grpc,
)
from concord.policy.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    rights_snapshot_service_pb2,
    rights_snapshot_service_pb2_grpc,
    statement_pb2,
    subject_pb2,
)
from e2e.worlds import World, make_world
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SECONDS = 30
LIST = "identity.applications.list"
SERVICES = ("identity", "credentials", "policy")


class Frozen:
    """An application in an organization of its own, with a right that it can lose."""

    def __init__(self, suite: RunningSuite, world: World) -> None:
        self.world = world
        self.channels = {name: grpc.insecure_channel(suite.grpc(name)) for name in SERVICES}
        self.applications: Any = application_service_pb2_grpc.ApplicationServiceStub(self.channels["identity"])
        self.sessions: Any = session_service_pb2_grpc.SessionServiceStub(self.channels["credentials"])
        self.policies: Any = policy_service_pb2_grpc.PolicyServiceStub(self.channels["policy"])
        self.decisions: Any = decision_service_pb2_grpc.DecisionServiceStub(self.channels["policy"])
        self.rights: Any = rights_snapshot_service_pb2_grpc.RightsSnapshotServiceStub(self.channels["policy"])
        self.id = self.applications.CreateApplication(
            application_service_pb2.CreateApplicationRequest(application=application_pb2.Application(name="robot")),
            **self.owner,
        ).id
        self.ref = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_APPLICATION, id=self.id)
        keys: Any = api_key_service_pb2_grpc.ApiKeyServiceStub(self.channels["credentials"])
        key = api_key_pb2.ApiKey(bearer=self.ref)
        self.secret = keys.CreateApiKey(api_key_service_pb2.CreateApiKeyRequest(api_key=key), **self.owner)

    @property
    def owner(self) -> dict[str, Any]:
        return {"metadata": self.world.metadata, "timeout": SECONDS}

    def grant(self) -> str:
        """Let the application list applications; return what says so."""
        statement = statement_pb2.Statement(
            permissions=[LIST], boundary=boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION)
        )
        policy = policy_pb2.Policy(
            name="readers",
            language="statements",
            subject=subject_pb2.PolicySubject(principal=self.ref),
            statements=[statement],
        )
        made = self.policies.CreatePolicy(policy_service_pb2.CreatePolicyRequest(policy=policy), **self.owner)
        return str(made.id)

    def log_in(self, *, freeze_rights: bool) -> dict[str, Any]:
        """Open a session and return what its calls carry."""
        shown = authentication_service_pb2.ApiKeyCredential(
            access_id=self.secret.api_key.access_id, secret=self.secret.secret
        )
        request = session_service_pb2.CreateSessionRequest(api_key=shown, freeze_rights=freeze_rights)
        opened = self.sessions.CreateSession(request, timeout=SECONDS)
        assert bool(opened.session.rights_snapshot_id) is freeze_rights
        return {"metadata": (("authorization", f"Bearer {opened.access_token.token}"),), "timeout": SECONDS}

    def may_list(self, login: dict[str, Any]) -> bool:
        """Tell whether a login may list applications: by the call itself, and by asking about it."""
        check = decision_pb2.Check(permission=LIST)
        told = self.decisions.Check(decision_service_pb2.CheckRequest(check=check), **login).allowed
        code = code_of(self.applications.ListApplications, application_service_pb2.ListApplicationsRequest(), login)
        assert code is (None if told else grpc.StatusCode.PERMISSION_DENIED)
        return bool(told)


def code_of(rpc: Any, request: Any, how: dict[str, Any]) -> grpc.StatusCode | None:
    """Return the code that a call fails with, None where it does not."""
    try:
        rpc(request, **how)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return None


@pytest.fixture
def frozen(suite: RunningSuite) -> Iterator[Frozen]:
    made = Frozen(suite, make_world(suite, "frozen"))
    yield made
    for channel in made.channels.values():
        channel.close()


def test_rights_that_come_and_go_reach_live_sessions_and_the_next_login_only(frozen: Frozen) -> None:
    before = frozen.log_in(freeze_rights=True)
    live = frozen.log_in(freeze_rights=False)
    assert [frozen.may_list(each) for each in (before, live)] == [False, False]

    policy = frozen.grant()
    between = frozen.log_in(freeze_rights=True)
    assert [frozen.may_list(each) for each in (before, live, between)] == [False, True, True]

    frozen.policies.DeletePolicy(policy_service_pb2.DeletePolicyRequest(id=policy), **frozen.owner)
    after = frozen.log_in(freeze_rights=True)
    assert [frozen.may_list(each) for each in (before, live, between, after)] == [False, False, True, False]


def test_whoever_is_deleted_is_nobody_however_frozen(frozen: Frozen) -> None:
    frozen.grant()
    login = frozen.log_in(freeze_rights=True)
    assert frozen.may_list(login)

    frozen.applications.DeleteApplication(
        application_service_pb2.DeleteApplicationRequest(id=frozen.id), **frozen.owner
    )

    request = application_service_pb2.ListApplicationsRequest()
    assert code_of(frozen.applications.ListApplications, request, login) is grpc.StatusCode.UNAUTHENTICATED


def test_nobody_from_outside_captures_rights(frozen: Frozen) -> None:
    request = rights_snapshot_service_pb2.CaptureRightsRequest(
        organization_id=frozen.world.ids["organization"], subject=frozen.ref
    )

    assert code_of(frozen.rights.CaptureRights, request, frozen.owner) is grpc.StatusCode.PERMISSION_DENIED
