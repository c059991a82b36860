"""Single checks and batches of them, through the real chain."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concord.common.v1.boundary_pb2 import BOUNDARY_KIND_GROUP_SUBTREE, Boundary
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_SERVICE, PRINCIPAL_KIND_USER
from concord.common.v1.principal_pb2 import PrincipalRef as WirePrincipal
from concord.kernel.errors import Reason
from concord.kernel.feed.revision import encode_revisions
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.model import Boundary as Within
from concord.policy.model import BoundaryKind, Effect, Statement
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from fakes import OTHER_ORGANIZATION

from .conftest import OWNER, World, allow, new_user
from .decision_world import Asking, about, failure_of, fields_of, within

MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"permission": ""}, "permission"),
    ({"permission": "x" * 257}, "permission"),
    ({"permission": "a\0b"}, "permission"),
    ({"operation": "x" * 257}, "operation"),
    ({"endpoint_path": "/" * 2049}, "endpoint_path"),
    ({"endpoint_method": "x" * 33}, "endpoint_method"),
    ({"subject": WirePrincipal(id="x")}, "subject.id"),
    ({"subject": WirePrincipal()}, "subject.id"),
    ({"subject": WirePrincipal(kind=PRINCIPAL_KIND_SERVICE, id="policy")}, "subject.kind"),
    ({"boundary": Boundary()}, "boundary.kind"),
    ({"boundary": Boundary(kind=BOUNDARY_KIND_GROUP_SUBTREE, group_id=str(uuid.uuid4()))}, "boundary.kind"),
    ({"boundary": Boundary(project_ids=["x"])}, "boundary.project_ids[0]"),
    ({"resource": d.CheckedResource(id="x" * 2049)}, "resource.id"),
    ({"resource": d.CheckedResource(type="x" * 257)}, "resource.type"),
    ({"resource": d.CheckedResource(locality="\0")}, "resource.locality"),
    ({"resource": d.CheckedResource(group_ids=["x" * 257])}, "resource.group_ids[0]"),
    ({"resource": d.CheckedResource(division_ids=["a", "\0"])}, "resource.division_ids[1]"),
    ({"resource": d.CheckedResource(attributes={"a": "x" * 1025})}, "resource.attributes.a"),
    ({"resource": d.CheckedResource(attributes={"": "x"})}, "resource.attributes"),
    ({"path_variables": {"a": "x" * 1025}}, "path_variables.a"),
    ({"path_variables": {str(n): "" for n in range(65)}}, "path_variables"),
    ({"scopes": ["x" * 257]}, "scopes[0]"),
    ({"scopes": ["x"] * 101}, "scopes"),
    ({"context": d.CheckContext(ip="10.0.0")}, "context.ip"),
    ({"context": d.CheckContext(time={"seconds": 1 << 60})}, "context.time"),
]
CASES = pytest.mark.parametrize(("wrong", "field"), MALFORMED, ids=[f"{f}-{n}" for n, (_, f) in enumerate(MALFORMED)])


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


@CASES
async def test_a_malformed_check_is_refused_by_the_name_of_its_field(
    asking: Asking, wrong: dict[str, Any], field: str
) -> None:
    check = d.Check(**{"permission": "a.b.c", **wrong})
    sound = d.Check(permission="a.b.c")

    single = await failure_of(asking.stub.Check(ds.CheckRequest(check=check), **asking.by(OWNER)))
    batch = await failure_of(asking.stub.BatchCheck(ds.BatchCheckRequest(checks=[sound, check]), **asking.by(OWNER)))

    assert (single.reason, fields_of(single)) == (Reason.INVALID_FIELDS, [f"check.{field}"])
    assert (batch.reason, fields_of(batch)) == (Reason.INVALID_FIELDS, [f"checks[1].{field}"])


async def test_a_token_that_is_none_is_refused_by_the_name_of_its_field(asking: Asking) -> None:
    owner, token = asking.by(OWNER), "no token"
    failures = [
        await failure_of(asking.stub.Check(ds.CheckRequest(check=about(), at_least_as_fresh=token), **owner)),
        await failure_of(
            asking.stub.BatchCheck(ds.BatchCheckRequest(checks=[about()], at_least_as_fresh=token), **owner)
        ),
        await failure_of(asking.stub.ListPermissions(ds.ListPermissionsRequest(at_least_as_fresh=token), **owner)),
    ]

    assert [fields_of(each) for each in failures] == [["at_least_as_fresh"]] * 3


async def test_asking_about_others_needs_the_right_and_asking_about_oneself_none(asking: Asking, world: World) -> None:
    mere, trusted, third = await world.user(), await world.user(), await world.user()
    await world.policy(trusted, allow("policy.decisions.check"))
    await world.policy(third, allow("a.b.c"))

    own = await asking.stub.Check(ds.CheckRequest(check=about(mere)), **asking.by(mere))
    seen = await asking.stub.Check(ds.CheckRequest(check=about(third)), **asking.by(trusted))
    both = ds.BatchCheckRequest(checks=[about(mere), about(third)])
    refusal = await failure_of(asking.stub.BatchCheck(both, **asking.by(mere)))
    shared = ds.BatchCheckRequest(checks=[about()], defaults=about(third))
    by_default = await failure_of(asking.stub.BatchCheck(shared, **asking.by(mere)))

    assert (own.allowed, seen.allowed) == (False, True)
    assert (refusal.reason, by_default.reason) == (Reason.PERMISSION_DENIED, Reason.PERMISSION_DENIED)


async def test_kb27_what_is_another_organizations_answers_as_what_does_not_exist(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("*.*.*"))
    foreign_user, foreign_project = new_user(), str(uuid.uuid4())
    checks = [
        about(foreign_user),
        about(new_user()),
        about(user, boundary=within(foreign_project)),
        about(user, boundary=within(str(uuid.uuid4()))),
        about(user, boundary=Boundary(organization_id=OTHER_ORGANIZATION)),
        about(user, boundary=Boundary(organization_id=str(uuid.uuid4()))),
    ]

    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(OWNER))

    assert [(each.allowed, list(each.statement_ids)) for each in answer.decisions] == [(False, [])] * 6


async def test_what_a_check_leaves_out_comes_whole_from_the_defaults(asking: Asking, world: World) -> None:
    user = await world.user()
    project = await world.project()
    inside = Within(BoundaryKind.PROJECTS, project_ids=(project,))
    await world.policy(
        user, allow("a.b.c", boundary=inside), allow("x.y.z", condition="request.attributes.size == '1'")
    )
    sized = d.CheckContext()
    sized.attributes.update({"size": 1})
    elsewhere = d.CheckContext(ip="10.0.0.1")
    defaults = about(user, "", boundary=within(project), context=sized)
    checks = [
        about(permission="a.b.c"),
        about(permission="a.b.c", boundary=within(str(uuid.uuid4()))),
        about(permission="x.y.z"),
        # A context of its own, so nothing of the other's is left.
        about(permission="x.y.z", context=elsewhere),
        about(OWNER, "x.y.z", context=elsewhere),
    ]

    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks, defaults=defaults), **asking.by(OWNER))
    nothing = ds.BatchCheckRequest(checks=[d.Check()], defaults=defaults)
    refusal = await failure_of(asking.stub.BatchCheck(nothing, **asking.by(OWNER)))

    assert [each.allowed for each in answer.decisions] == [True, False, True, False, True]
    assert answer.revision
    assert fields_of(refusal) == ["checks[0].permission"]


async def test_a_malformed_default_is_named(asking: Asking) -> None:
    request = ds.BatchCheckRequest(checks=[about()], defaults=d.Check(context=d.CheckContext(ip="nowhere")))

    refusal = await failure_of(asking.stub.BatchCheck(request, **asking.by(OWNER)))

    assert fields_of(refusal) == ["defaults.context.ip"]


async def test_a_batch_takes_ten_thousand_questions_and_not_one_more(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow(*(f"a.b.c{n}" for n in range(0, 1000, 2))))
    checks = [about(permission=f"a.b.c{n % 1000}", resource=d.CheckedResource(id=str(n))) for n in range(10_000)]
    projects = [str(uuid.uuid4()) for _ in range(101)]

    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(user))
    many = await failure_of(asking.stub.BatchCheck(ds.BatchCheckRequest(checks=[*checks, about()]), **asking.by(user)))
    wide = ds.BatchCheckRequest(checks=[about(permission=f"a.b.c{n}") for n in range(100)], defaults=about())
    wide.defaults.boundary.CopyFrom(within(*projects))
    places = await failure_of(asking.stub.BatchCheck(wide, **asking.by(user)))

    assert [each.allowed for each in answer.decisions] == [n % 2 == 0 for n in range(10_000)]
    assert (fields_of(many), fields_of(places)) == (["checks"], ["checks"])


async def test_answers_larger_than_a_message_are_refused_and_not_cut(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, *(allow("a.b.c", condition=f"request.attributes.n == '{n}'") for n in range(40)))
    request = ds.BatchCheckRequest(checks=[about()] * 4000)

    refusal = await failure_of(asking.stub.BatchCheck(request, **asking.by(user)))

    assert refusal.reason is Reason.REQUEST_TOO_LARGE


async def test_an_empty_batch_has_no_answers(asking: Asking) -> None:
    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(), **asking.by(OWNER))

    assert not answer.decisions


async def test_batches_at_once_do_not_mix(asking: Asking, world: World) -> None:
    users = [await world.user() for _ in range(8)]
    for n, user in enumerate(users):
        await world.policy(user, allow(f"a.b.c{n}"))
    checks = [about(permission=f"a.b.c{n % 8}") for n in range(800)]

    answers = await asyncio.gather(
        *(asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(user)) for user in users)
    )

    for n, answer in enumerate(answers):
        assert [each.allowed for each in answer.decisions] == [at % 8 == n for at in range(800)]


async def test_what_is_not_said_about_a_thing_is_unknown(asking: Asking, world: World) -> None:
    user = await world.user()
    group = await world.group()
    below = Within(BoundaryKind.GROUP_SUBTREE, group_id=group)
    everywhere = Statement(id="", permissions=("a.b.*",))
    deny = Statement(id="", effect=Effect.DENY, permissions=("a.b.d",), boundary=below)
    await world.policy(user, everywhere, deny, allow("x.y.z", boundary=below))
    inside, outside = (
        d.CheckedResource(id="1", group_ids=[group.upper()]),
        d.CheckedResource(id="1", group_ids=["other"]),
    )
    unknown = d.CheckedResource(id="1")
    asked = [(p, r) for p in ("x.y.z", "a.b.d", "a.b.c") for r in (inside, outside, unknown)]
    checks = [about(user, permission, resource=resource) for permission, resource in asked]

    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(OWNER))

    assert [each.allowed for each in answer.decisions] == [True, False, False, False, True, False, True, True, True]


async def test_an_answer_carries_the_state_that_the_next_question_may_ask_for(asking: Asking, world: World) -> None:
    user = await world.user()
    before = await asking.stub.Check(ds.CheckRequest(check=about(user)), **asking.by(OWNER))
    await world.policy(user, allow("a.b.c"))
    head = encode_revisions({"policy": world.units.feed.head})

    after = await asking.stub.Check(ds.CheckRequest(check=about(user), at_least_as_fresh=head), **asking.by(OWNER))

    assert (before.allowed, after.allowed) == (False, True)
    assert after.revision == head != before.revision


IPS = ("", "10.0.0.1", "192.0.2.9")
CONDITIONS = (
    "",
    'inIpRange(request.ip, "10.0.0.0/8")',
    'request.attributes.kind == "x"',
    'resource.id.startsWith("a")',
    "request.mfa",
    'resource.name == "n" || request.time.getHours() < 12',
)
QUESTIONS = st.builds(
    dict,
    permission=st.sampled_from(("a.b.c", "a.b.d", "x.y.z")),
    subject=st.integers(-1, 1),
    ip=st.sampled_from(IPS),
    kind=st.sampled_from(("", "x", "y")),
    id=st.sampled_from(("", "a1", "b1")),
    name=st.sampled_from(("", "n")),
    mfa=st.sampled_from((None, True, False)),
    hour=st.sampled_from((None, 3, 15)),
    project=st.integers(-2, 1),
    scopes=st.sampled_from(((), ("a.b.c",), ("*",))),
)
STATEMENTS = st.lists(
    st.tuples(
        st.sampled_from(("a.b.c", "a.b.*", "*.*.*", "x.y.z")),
        st.sampled_from(CONDITIONS),
        st.booleans(),
        st.integers(-1, 1),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(QUESTIONS, min_size=1, max_size=12), st.lists(STATEMENTS, min_size=2, max_size=2))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_kb06_a_batch_decides_as_single_checks_do_whatever_they_share(
    world: World, questions: list[dict[str, Any]], held: list[list[tuple[str, str, bool, int]]]
) -> None:
    asking = Asking(world)
    projects = [await world.project(), await world.project()]
    users = [await world.user(), await world.user()]
    for user, statements in zip(users, held, strict=True):
        await world.policy(user, *(_statement(each, projects) for each in statements))
    checks = [_check(each, users, projects) for each in questions]
    # Each twice, and once more with its circumstances swapped for a neighbour's.
    swapped = [d.Check() for _ in checks]
    for at, check in enumerate(swapped):
        check.CopyFrom(checks[at])
        check.context.CopyFrom(checks[at - 1].context)
    asked = [*checks, *swapped, *checks]

    batch = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=asked), **asking.by(OWNER, mfa=True))
    singles = [await asking.stub.Check(ds.CheckRequest(check=each), **asking.by(OWNER, mfa=True)) for each in asked]

    for single, decision in zip(singles, batch.decisions, strict=True):
        single.ClearField("revision")
        assert decision == single


def _statement(each: tuple[str, str, bool, int], projects: list[str]) -> Statement:
    permission, condition, denies, project = each
    boundary = Within(BoundaryKind.PROJECTS, project_ids=(projects[project],)) if project >= 0 else None
    effect = Effect.DENY if denies else Effect.ALLOW
    return Statement(id="", effect=effect, permissions=(permission,), condition=condition, boundary=boundary)


def _check(each: dict[str, Any], users: list[Any], projects: list[str]) -> d.Check:
    context = d.CheckContext(ip=each["ip"], mfa=each["mfa"])
    if each["kind"]:
        context.attributes.update({"kind": each["kind"]})
    if each["hour"] is not None:
        context.time.FromJsonString(f"2026-03-01T{each['hour']:02}:00:00Z")
    check = about(None if each["subject"] < 0 else users[each["subject"]], each["permission"], context=context)
    check.resource.id, check.resource.name = each["id"], each["name"]
    check.scopes.extend(each["scopes"])
    if each["project"] >= 0:
        check.boundary.project_ids.append(projects[each["project"]])
    elif each["project"] == -2:
        check.boundary.project_ids.append(OTHER_ORGANIZATION)
    return check


async def test_what_a_caller_says_of_itself_counts_before_what_its_credential_says(
    asking: Asking, world: World
) -> None:
    user = await world.user()
    await world.policy(
        user, allow("a.b.c", condition="request.mfa"), allow("x.y.z", condition="request.ip == '10.0.0.1'")
    )
    checks = [
        about(),
        about(context=d.CheckContext(mfa=False)),
        about(permission="x.y.z", context=d.CheckContext(ip="::ffff:10.0.0.1")),
        about(permission="x.y.z"),
    ]

    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(user, mfa=True))

    assert [each.allowed for each in answer.decisions] == [True, False, True, False]


async def test_a_suspended_subject_may_do_nothing(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("a.b.c"))
    await world.suspend(user)

    decision = await asking.stub.Check(ds.CheckRequest(check=about(user)), **asking.by(OWNER))

    assert not decision.allowed


async def test_kb05_a_batch_that_was_given_up_leaves_right_answers_behind(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, *(allow("a.b.c", condition=f"resource.id == '{n}'") for n in range(40)))
    checks = [about(resource=d.CheckedResource(id=str(n))) for n in range(4000)]
    request = ds.BatchCheckRequest(checks=checks)

    given_up = asking.stub.BatchCheck(request, **asking.by(user))
    await asyncio.sleep(0.02)
    given_up.cancel()
    answer = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks[:80]), **asking.by(user))

    assert given_up.cancelled()
    assert [each.allowed for each in answer.decisions] == [n < 40 for n in range(80)]


async def test_the_time_of_a_check_is_its_own_where_it_has_one(asking: Asking, world: World) -> None:
    user = await world.user()
    now = world.clock.now()
    limit = (now + timedelta(hours=1)).isoformat()
    await world.policy(user, allow("a.b.c", condition=f"request.time < timestamp('{limit}')"))
    later = d.CheckContext(time=instant_to_wire(now + timedelta(hours=2)))

    answer = await asking.stub.BatchCheck(
        ds.BatchCheckRequest(checks=[about(user), about(user, context=later)]), **asking.by(OWNER)
    )

    assert [each.allowed for each in answer.decisions] == [True, False]
    assert [each.cause for each in answer.decisions[1].failed_conditions] == ["false"]


async def test_an_unknown_kind_of_principal_is_malformed(asking: Asking) -> None:
    strange = d.Check(permission="a.b.c", subject=WirePrincipal(kind=99, id=str(uuid.uuid4())))
    sound = d.Check(permission="a.b.c", subject=WirePrincipal(kind=PRINCIPAL_KIND_USER, id=OWNER.id))

    refusal = await failure_of(
        asking.stub.BatchCheck(ds.BatchCheckRequest(checks=[sound, strange]), **asking.by(OWNER))
    )

    assert fields_of(refusal) == ["checks[1].subject.kind"]
