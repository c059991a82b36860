"""A decision that asks for a state is made on that state, or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER, PrincipalRef
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import USER_KIND_OWNER, User
from concord.kernel.errors import Unavailable
from concord.kernel.feed.revision import encode_revisions
from concord.kernel.units import Change
from concord.policy import wire
from concord.policy.server import MIGRATIONS, build
from concord.policy.sql import METADATA, SqlPolicyStore
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceStub
from fakes import ORGANIZATION, open_units
from one_service import CALLER, Served, serving

from .conftest import World, allow
from .decision_world import Asking, about, within


@pytest.fixture
async def served(tmp_path: Path) -> Any:
    """The service as a process builds it, following its neighbours over their feeds."""
    async with serving(tmp_path, "policy", build, ("identity", "groups", "credentials")) as served:
        organization = Organization(id=ORGANIZATION, owner_user_id=CALLER.id)
        owner = User(id=CALLER.id, kind=USER_KIND_OWNER, username="owner")
        await served.publish(
            "identity",
            Change("organization.created", "organization", ORGANIZATION, after=organization),
            Change("user.created", "user", CALLER.id, after=owner),
        )
        await served.settle()
        yield served


def _head(served: Served, source: str, more: int = 0) -> str:
    return encode_revisions({source: served.feeds[source].head + more})


async def test_every_rpc_waits_for_the_state_it_is_asked_for(served: Served) -> None:
    stub: Any = DecisionServiceStub(served.channel("policy"))
    subject = PrincipalRef(kind=PRINCIPAL_KIND_USER, id=CALLER.id)
    answers = []
    for n in range(3):
        project = Project(id=f"00000000-0000-4000-8000-00000000000{n}", name="p")
        await served.publish("identity", Change("project.created", "project", project.id, after=project))
        check = d.Check(subject=subject, permission="a.b.c", boundary=within(project.id))
        token = _head(served, "identity")
        if n == 0:
            request = ds.CheckRequest(check=check, at_least_as_fresh=token)
            answers.append((await served.call(stub.Check, request)).allowed)
        elif n == 1:
            batch = ds.BatchCheckRequest(checks=[check], at_least_as_fresh=token)
            answers.append((await served.call(stub.BatchCheck, batch)).decisions[0].allowed)
        else:
            check.permission = ""
            wanted = ds.ListPermissionsRequest(check=check, at_least_as_fresh=token)
            answers.append(bool((await served.call(stub.ListPermissions, wanted)).permissions))

    assert answers == [True, True, True]


async def test_a_state_that_does_not_arrive_in_time_is_no_answer(served: Served) -> None:
    stub: Any = DecisionServiceStub(served.channel("policy"))
    ahead = ds.CheckRequest(check=about(), at_least_as_fresh=_head(served, "identity", 10))

    async def call(request: Any, metadata: Any) -> Any:
        return await stub.Check(request, metadata=metadata, timeout=0.5)

    failure = await served.fails(call, ahead)

    assert isinstance(failure, Unavailable) or "deadline" in failure.message.lower()


async def test_a_change_by_another_process_shows_in_the_check_that_carries_its_token(
    world: World, tmp_path: Path
) -> None:
    """Two processes with one database: what one has committed, the other decides by when it is told."""
    user = await world.user()
    async with open_units(
        tmp_path, METADATA, SqlPolicyStore, wire.snapshot, service="policy", clock=world.clock, migrations=MIGRATIONS
    ) as elsewhere:
        there = replace(world, units=elsewhere)
        asking = Asking(there)
        before = await asking.stub.Check(ds.CheckRequest(check=about()), **asking.by(user))
        await world.policy(user, allow("a.b.c"))
        token = encode_revisions({"policy": world.units.feed.head})

        after = await asking.stub.Check(ds.CheckRequest(check=about(), at_least_as_fresh=token), **asking.by(user))

    assert (before.allowed, after.allowed) == (False, True)
