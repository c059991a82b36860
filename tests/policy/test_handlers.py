"""The rpcs through a real server in this process, with the real chain and the real decision point."""

import uuid
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from concord.common.v1.authorization_service_pb2 import AuthorizeRequest
from concord.common.v1.authorization_service_pb2_grpc import (
    AuthorizationServiceStub,
    add_AuthorizationServiceServicer_to_server,
)
from concord.common.v1.boundary_pb2 import Boundary
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER
from concord.common.v1.principal_pb2 import PrincipalRef as WirePrincipal
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.authentication import FixedKeys, PassportSigner, PassportVerifier, mint_service_token
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.steps import Steps
from concord.kernel.rpc.wire import principal_to_wire, question_to_wire
from concord.policy.handlers import (
    AuthorizationHandlers,
    DecisionHandlers,
    GrantHandlers,
    PolicyHandlers,
    QuotaHandlers,
    RoleHandlers,
)
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from concord.policy.v1 import policy_pb2 as p
from concord.policy.v1 import policy_service_pb2 as ps
from concord.policy.v1 import quota_service_pb2 as qs
from concord.policy.v1 import role_service_pb2 as rs
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceStub, add_DecisionServiceServicer_to_server
from concord.policy.v1.grant_service_pb2_grpc import GrantServiceStub, add_GrantServiceServicer_to_server
from concord.policy.v1.policy_service_pb2_grpc import PolicyServiceStub, add_PolicyServiceServicer_to_server
from concord.policy.v1.quota_service_pb2_grpc import QuotaServiceStub, add_QuotaServiceServicer_to_server
from concord.policy.v1.role_service_pb2_grpc import RoleServiceStub, add_RoleServiceServicer_to_server
from concord.policy.v1.statement_pb2 import EFFECT_ALLOW, Statement
from concord.policy.v1.subject_pb2 import SUBJECT_KIND_NONE, PolicySubject
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, World, allow

CODE = grpc.StatusCode


class OneKey:
    """The public half of the only key that signs passports here."""

    def __init__(self, key: Any) -> None:
        self._key = key

    async def find(self, kid: str) -> Any:
        return self._key


@dataclass
class Served:
    """The service behind its stubs."""

    world: World
    channel: grpc.aio.Channel
    passport_key: Ed25519PrivateKey
    role_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        self.policies: Any = PolicyServiceStub(self.channel)
        self.roles: Any = RoleServiceStub(self.channel)
        self.grants: Any = GrantServiceStub(self.channel)
        self.quotas: Any = QuotaServiceStub(self.channel)
        self.decisions: Any = DecisionServiceStub(self.channel)
        self.authorization: Any = AuthorizationServiceStub(self.channel)

    def by(self, principal: PrincipalRef, **changes: Any) -> dict[str, Any]:
        token = PassportSigner("k", self.passport_key).sign(self.world.passport(principal, **changes))
        return {"metadata": (("authorization", f"Bearer {token}"),)}

    def by_role(self, role: str) -> dict[str, Any]:
        token = mint_service_token(
            role, self.role_key, ORGANIZATION if role == "system" else None, clock=self.world.clock
        )
        return {"metadata": (("authorization", f"Bearer {token}"),)}


@pytest.fixture
async def served(world: World) -> Served:
    """The servicers of the policy service, in process, behind the chain."""
    passport_key, role_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    roles = FixedKeys(dict.fromkeys(("system", "identity", "gateway"), role_key.public_key()))
    verifier = PassportVerifier(OneKey(passport_key.public_key()), roles, world.clock, capacity=100)
    server = InProcessServer(Steps(verifier, None, world.authorizer).chain())
    add_AuthorizationServiceServicer_to_server(AuthorizationHandlers(world.authorizer), server)
    decisions = DecisionHandlers(world.units, world.checks, world.lists, world.explanations, world.authorizer)
    add_DecisionServiceServicer_to_server(decisions, server)
    add_GrantServiceServicer_to_server(GrantHandlers(world.units), server)
    add_PolicyServiceServicer_to_server(PolicyHandlers(world.units), server)
    add_QuotaServiceServicer_to_server(QuotaHandlers(world.units), server)
    add_RoleServiceServicer_to_server(RoleHandlers(world.units), server)
    return Served(world, InProcessChannel(server), passport_key, role_key)


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    code: grpc.StatusCode = failure.value.code()
    return code


def a_policy(**more: Any) -> p.Policy:
    rules = [Statement(role_names=["IAMReadOnly"], boundary=Boundary(organization_id=ORGANIZATION))]
    return p.Policy(**{"name": "readers", "language": "role_rules", "statements": rules, **more})


async def test_a_policy_lives_from_creation_to_deletion(served: Served) -> None:
    owner = served.by(OWNER)
    user = await served.world.user()
    subject = PolicySubject(principal=principal_to_wire(user))

    made = await served.policies.CreatePolicy(ps.CreatePolicyRequest(policy=a_policy(subject=subject)), **owner)
    got = await served.policies.GetPolicy(ps.GetPolicyRequest(id=made.id.upper()), **owner)
    change = ps.UpdatePolicyRequest(policy=p.Policy(id=made.id, etag=made.etag, subject=PolicySubject()))
    change.update_mask.paths.append("subject")
    orphan = await served.policies.UpdatePolicy(change, **owner)
    listed = await served.policies.ListPolicies(
        ps.ListPoliciesRequest(subject_kinds=[SUBJECT_KIND_NONE], with_total_size=True), **owner
    )
    await served.policies.DeletePolicy(ps.DeletePolicyRequest(id=made.id), **owner)

    assert got == made
    assert (made.statement_count, made.boundary_count, made.role_count) == (1, 1, 1)
    assert orphan.subject.WhichOneof("holder") == "none"
    assert [each.id for each in listed.policies] == [made.id]
    assert listed.total_size == 1
    assert await refused(served.policies.GetPolicy(ps.GetPolicyRequest(id=made.id), **owner)) is CODE.NOT_FOUND


async def test_a_copy_says_the_same_and_is_a_policy_of_its_own(served: Served) -> None:
    owner = served.by(OWNER)
    subject = PolicySubject(principal=principal_to_wire(await served.world.user()))
    source = await served.policies.CreatePolicy(
        ps.CreatePolicyRequest(policy=a_policy(subject=subject, description="d", tags=["t"])), **owner
    )

    copy = await served.policies.ClonePolicy(ps.ClonePolicyRequest(id=source.id), **owner)
    await served.policies.DeletePolicy(ps.DeletePolicyRequest(id=source.id), **owner)

    kept = await served.policies.GetPolicy(ps.GetPolicyRequest(id=copy.id), **owner)
    assert kept == copy
    assert (copy.name, copy.description, list(copy.tags), copy.subject) == ("readers", "d", ["t"], subject)
    assert [each.role_names for each in copy.statements] == [each.role_names for each in source.statements]
    assert not {each.id for each in copy.statements} & {each.id for each in source.statements}
    assert (copy.version, copy.id != source.id) == (1, True)


async def test_a_copy_of_nothing_is_not_found(served: Served) -> None:
    unknown = ps.ClonePolicyRequest(id=str(uuid.uuid4()))

    assert await refused(served.policies.ClonePolicy(unknown, **served.by(OWNER))) is CODE.NOT_FOUND


async def test_statements_are_set_and_listed_in_pages(served: Served) -> None:
    owner = served.by(OWNER)
    made = await served.policies.CreatePolicy(ps.CreatePolicyRequest(policy=a_policy()), **owner)
    names = ["IAMReadOnly", "IAMManager", "OrganizationReadOnly"]
    asked = ps.SetStatementsRequest(policy_id=made.id, statements=[Statement(role_names=[name]) for name in names])

    said = await served.policies.SetStatements(asked, **owner)
    first = await served.policies.ListStatements(ps.ListStatementsRequest(policy_id=made.id, page_size=2), **owner)
    rest = await served.policies.ListStatements(
        ps.ListStatementsRequest(policy_id=made.id, page_size=2, page_token=first.next_page_token), **owner
    )

    assert [*first.statements, *rest.statements] == list(said.statements)
    assert [each.role_names[0] for each in said.statements] == names
    assert said.etag == "2"
    assert not rest.next_page_token


async def test_validate_only_changes_nothing_and_a_request_id_makes_one(served: Served) -> None:
    owner = served.by(OWNER)
    request = ps.CreatePolicyRequest(policy=a_policy(), request_id=str(uuid.uuid4()))
    trial = ps.CreatePolicyRequest(policy=a_policy(), validate_only=True)

    await served.policies.CreatePolicy(trial, **owner)
    first = await served.policies.CreatePolicy(request, **owner)
    second = await served.policies.CreatePolicy(request, **owner)
    listed = await served.policies.ListPolicies(ps.ListPoliciesRequest(), **owner)

    assert first == second
    assert len(listed.policies) == 1


async def test_kb27_another_organizations_things_answer_as_unknown_ones(served: Served) -> None:
    owner, system = served.by(OWNER), served.by_role("system")

    for organization in (OTHER_ORGANIZATION, str(uuid.uuid4())):
        create = ps.CreatePolicyRequest(organization_id=organization, policy=a_policy())
        assert await refused(served.policies.CreatePolicy(create, **owner)) is CODE.NOT_FOUND
        listing = ps.ListPoliciesRequest(organization_id=organization)
        assert await refused(served.policies.ListPolicies(listing, **owner)) is CODE.NOT_FOUND
        quota = qs.SetQuotaRequest(organization_id=organization, name="groups", limit=1)
        assert await refused(served.quotas.SetQuota(quota, **system)) is CODE.NOT_FOUND


async def test_only_the_deployments_administrator_sets_a_limit(served: Served) -> None:
    asked = qs.SetQuotaRequest(organization_id=ORGANIZATION, name="groups", limit=1)

    assert await refused(served.quotas.SetQuota(asked, **served.by(OWNER))) is CODE.PERMISSION_DENIED
    await served.quotas.SetQuota(asked, **served.by_role("system"))
    got = await served.quotas.GetQuota(qs.GetQuotaRequest(name="groups"), **served.by(OWNER))
    listed = await served.quotas.ListQuotas(qs.ListQuotasRequest(names=["groups", "users"]), **served.by(OWNER))

    assert (got.limit, got.limits[0].limit, got.version) == (1, 1, 1)
    assert [each.name for each in listed.quotas] == ["groups", "users"]


async def test_roles_are_read_by_id_and_handle(served: Served) -> None:
    owner = served.by(OWNER)

    role = await served.roles.GetRole(rs.GetRoleRequest(id="IAMReadOnly"), **owner)
    same = await served.roles.GetRole(rs.GetRoleRequest(id=role.id), **owner)
    page = await served.roles.ListRoles(rs.ListRolesRequest(page_size=100, with_total_size=True), **owner)

    assert role == same
    assert (role.managed, role.editable, role.handle) == (True, False, "IAMReadOnly")
    assert (len(page.roles), page.total_size) == (100, 156)


async def test_anybody_asks_about_itself_and_not_about_others(served: Served) -> None:
    user, other = await served.world.user(), await served.world.user()
    await served.world.policy(user, allow("instances.servers.read"))
    mine = ds.CheckRequest(check=d.Check(permission="instances.servers.read"))
    about = d.Check(permission="instances.servers.read", subject=principal_to_wire(other))

    decision = await served.decisions.Check(mine, **served.by(user))
    foreign = await served.decisions.Check(
        ds.CheckRequest(check=d.Check(permission="instances.servers.read", subject=principal_to_wire(user))),
        **served.by(OWNER),
    )

    assert (decision.allowed, decision.effect, decision.reach.everything) == (True, EFFECT_ALLOW, True)
    assert decision.statement_ids
    assert decision.revision
    assert foreign.allowed
    asked = [ds.CheckRequest(check=about), ds.BatchCheckRequest(checks=[mine.check, about])]
    calls = [
        served.decisions.Check(asked[0], **served.by(user)),
        served.decisions.BatchCheck(asked[1], **served.by(user)),
    ]
    assert [await refused(call) for call in calls] == [CODE.PERMISSION_DENIED] * 2


async def test_a_batch_is_answered_in_its_order_and_unknown_things_are_denied(served: Served) -> None:
    project = await served.world.project()
    somebody = WirePrincipal(kind=PRINCIPAL_KIND_USER, id=str(uuid.uuid4()))
    checks = [
        d.Check(permission="a.b.c"),
        d.Check(permission="a.b.c", subject=somebody),
        d.Check(permission="a.b.c", boundary=Boundary(project_ids=[project])),
        d.Check(permission="a.b.c", boundary=Boundary(project_ids=[str(uuid.uuid4())])),
        d.Check(permission="a.b.c", boundary=Boundary(organization_id=ORGANIZATION)),
        d.Check(permission="a.b.c", boundary=Boundary(organization_id=OTHER_ORGANIZATION)),
    ]

    answer = await served.decisions.BatchCheck(ds.BatchCheckRequest(checks=checks), **served.by(OWNER))

    assert [each.allowed for each in answer.decisions] == [True, False, True, False, True, False]
    assert [b.project_ids[0] for b in answer.decisions[2].reach.boundaries] == [project]


async def test_only_the_suites_own_processes_put_the_question(served: Served) -> None:
    question = question_to_wire(served.world.question(OWNER, "identity.users.list"))

    answer = await served.authorization.Authorize(question, **served.by_role("identity"))

    assert answer.allowed
    assert answer.reach.owner_user_id == OWNER.id
    assert (
        await refused(served.authorization.Authorize(AuthorizeRequest(), **served.by(OWNER))) is CODE.PERMISSION_DENIED
    )


async def test_a_reference_on_its_way_is_waited_for(served: Served) -> None:
    late = str(uuid.uuid4())
    world = served.world
    user = PrincipalRef(OWNER.kind, late)

    world.arriving.append(lambda: world.user(user))
    asked = ps.CreatePolicyRequest(policy=a_policy(subject=PolicySubject(principal=principal_to_wire(user))))

    made = await served.policies.CreatePolicy(asked, **served.by(OWNER))

    assert made.subject.principal.id == late


async def test_a_malformed_id_is_a_malformed_request(served: Served) -> None:
    owner = served.by(OWNER)

    codes = [
        await refused(served.policies.GetPolicy(ps.GetPolicyRequest(id="x"), **owner)),
        await refused(served.policies.ListStatements(ps.ListStatementsRequest(policy_id="x"), **owner)),
        await refused(served.policies.ListPolicies(ps.ListPoliciesRequest(order_by="id"), **owner)),
        await refused(served.policies.ListPolicies(ps.ListPoliciesRequest(page_token="x"), **owner)),
    ]

    assert codes == [CODE.INVALID_ARGUMENT] * 4
