"""One caller tries to use up what belongs to all."""

import time

import grpc
import pytest

from concord.common.v1 import boundary_pb2
from concord.credentials.v1 import api_key_service_pb2
from concord.groups.v1 import membership_pb2, membership_service_pb2, membership_service_pb2_grpc
from concord.identity.v1 import user_service_pb2
from concord.policy.v1 import decision_pb2, decision_service_pb2

from .conftest import Attacked, a_user, bearer, code_of

_ONES = "[" + ",".join(["1"] * 21) + "]"
# As dear as a condition can be: just within the evaluator's own limit.
DEAR = f"{_ONES}.map(x, {_ONES}.map(y, {_ONES}.map(z, 'aaaaaaaaaaaaaaaa' + 'bbbbbbbbbbbbbbbb'))).size() == -1"


def test_naming_a_project_again_and_again_is_asking_once(attacked: Attacked) -> None:
    _, secret = attacked.delegate()
    places = boundary_pb2.Boundary(
        kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=[attacked.organization_id] * 1000
    )
    check = decision_pb2.Check(permission="instances.servers.read", boundary=places)
    request = decision_service_pb2.BatchCheckRequest(checks=[check] * 90)

    # Each project is found out once, not once for each question: else the deadline would pass.
    answer = attacked.decisions.BatchCheck(request, metadata=bearer(secret), timeout=20)

    assert len(answer.decisions) == 90


def test_a_policy_holds_no_more_conditions_than_a_call_may_ask(attacked: Attacked) -> None:
    user = attacked.member()
    statements = [attacked.statement(permissions=["*.*.*"], condition="1 == 1" + " " * 1900)] * 40

    with pytest.raises(grpc.RpcError) as refused:
        attacked.grant(user, *statements)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_dear_conditions_of_one_caller_do_not_keep_others_waiting(attacked: Attacked) -> None:
    user, secret = attacked.delegate()
    with pytest.raises(grpc.RpcError) as refused:
        attacked.grant(user, attacked.statement(permissions=["*.*.*"], condition=DEAR))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    # As dear as is taken: one loop each, over as many entries as the text has room for.
    loops = [f"[{','.join('0' * 700)}].all(x, x * {n} == 0) && {n} == -1" for n in range(40)]
    attacked.grant(user, *(attacked.statement(permissions=["*.*.*"], condition=each) for each in loops))
    check = decision_pb2.Check(permission="instances.servers.read")
    request = decision_service_pb2.BatchCheckRequest(checks=[check] * 3)
    pending = attacked.decisions.BatchCheck.future(request, metadata=bearer(secret), timeout=60)
    time.sleep(0.2)

    attacked.users.ListUsers(user_service_pb2.ListUsersRequest(page_size=1), metadata=attacked.owner, timeout=20)

    pending.result()


@pytest.mark.parametrize("text", ["a" * 60_000, "\N{GRINNING FACE}" * 4000])
def test_what_is_not_found_is_said_briefly(attacked: Attacked, text: str) -> None:
    request = api_key_service_pb2.GetApiKeyRequest(access_id=text)

    assert code_of(attacked.keys.GetApiKey, request, attacked.owner) == "NOT_FOUND"


def test_a_request_with_a_thousand_faults_is_refused_as_one(attacked: Attacked) -> None:
    stub = membership_service_pb2_grpc.MembershipServiceStub(attacked.channel)
    request = membership_service_pb2.AddMembersRequest(
        container=membership_pb2.Container(group_id=attacked.organization_id),
        principals=[a_user("nobody" * 10)] * 1000,
    )

    assert code_of(stub.AddMembers, request, attacked.owner) == "INVALID_ARGUMENT"
