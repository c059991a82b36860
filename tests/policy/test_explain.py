"""Explanations through the real chain: who may ask, what is shown, what is offered."""

import asyncio
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.inprocess import MAXIMUM_MESSAGE
from concord.policy.explaining import explaining, holdings, tree, trial
from concord.policy.model import EVERYONE, BoundaryKind, Effect, Statement, Subject
from concord.policy.model import Boundary as Within
from concord.policy.operations.grants import GrantKey, create_grant
from concord.policy.operations.inline_policies import set_inline_policy
from concord.policy.operations.policies import delete_policy
from concord.policy.operations.roles import RoleDraft, create_role
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from concord.policy.v1 import explanation_pb2 as e
from concord.policy.v1 import statement_pb2 as s
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, World, allow, in_group, new_user
from .decision_world import Asking, about, failure_of, fields_of, within

EXPLAIN, OWN = "policy.decisions.explain", "policy.own_decisions.explain"
ROWS = '{"resources": [{"basePath": "*", "path": "*", "verb": "*", "ipAddress": "*"}]}'
NO_ROWS = '{"resources": []}'


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


async def explain(asking: Asking, check: d.Check, by: PrincipalRef = OWNER, **how: Any) -> e.Explanation:
    """Ask; the decision is the one that a check gives."""
    passport = how.pop("passport", {})
    answer = await asking.stub.Explain(ds.ExplainRequest(check=check, **how), **asking.by(by, **passport))
    assert isinstance(answer, e.Explanation)
    assert answer.decision == await asking.stub.Check(ds.CheckRequest(check=check), **asking.by(by, **passport))
    return answer


def deny(*permissions: str, condition: str = "") -> Statement:
    return Statement(id="", effect=Effect.DENY, permissions=permissions, condition=condition)


async def role(world: World, handle: str, *permissions: str, **more: Any) -> Any:
    draft = RoleDraft(handle=handle, permissions=permissions, **more)
    return await world.do(lambda unit: create_role(unit, draft))


async def grant(world: World, holder: Subject, role_id: str, boundary: Within | None = None) -> Any:
    made, _ = await world.do(lambda unit: create_grant(unit, GrantKey(holder, role_id, boundary)))
    return made


def kinds(answer: e.Explanation) -> list[str]:
    return [e.RepairKind.Name(each.kind).removeprefix("REPAIR_KIND_") for each in answer.repairs]


def of_people(answer: e.Explanation, *role_ids: str) -> list[e.Repair]:
    """The offered grants of these roles."""
    return [each for each in answer.repairs if each.role_id in role_ids]


# the tree --------------------------------------------------------------------------------------------------------


async def test_the_tree_names_holders_sources_and_how_far_each_statement_came(asking: Asking) -> None:
    world = asking.world
    user = await world.user(name="ada")
    group = await world.group(user)
    readers = await role(world, "readers", "a.b.c")
    held = await grant(world, in_group(group), readers.id)
    policy = await world.policy(user, allow("a.b.c", condition="request.ip == '10.0.0.1'"), allow("x.y.z"))

    answer = await explain(asking, about(user, context=d.CheckContext(ip="192.0.2.1")))

    by_language = {(each.holder_name, each.language): each for each in answer.sets}
    mine, crew = by_language["ada", "statements"], by_language["crew", "statements"]
    assert (mine.holder.principal.id, crew.holder.group_id) == (user.id, group)
    assert (mine.allows, crew.allows) == (False, True)
    (source,) = crew.sources
    assert (source.kind, source.id, source.name, source.role_id) == (
        e.SOURCE_KIND_GRANT,
        held.id,
        "readers",
        readers.id,
    )
    assert [(each.id, each.step, each.decided) for each in source.statements] == [
        (readers.id, e.MATCH_STEP_MATCHED, True)
    ]
    conditional, other = mine.sources[0].statements
    assert (mine.sources[0].kind, mine.sources[0].id) == (e.SOURCE_KIND_POLICY, policy.id)
    assert (conditional.step, conditional.cause) == (e.MATCH_STEP_CONDITION, "false")
    assert conditional.condition == "request.ip == '10.0.0.1'"
    assert [(seen.name, seen.known, seen.value) for seen in conditional.seen] == [("request.ip", True, "192.0.2.1")]
    assert (other.step, other.condition) == (e.MATCH_STEP_ACTION, "")
    assert answer.reason == e.EXPLANATION_REASON_ALLOWED
    assert not answer.truncated
    assert answer.complete
    assert not answer.repairs


async def test_a_condition_is_told_as_it_was_written(asking: Asking) -> None:
    world = asking.world
    user = await world.user(name="ada")
    text = "samUserName == 'bob'"
    document = json.dumps({"statements": [{"effect": "deny", "api": "*", "condition": text}]})
    await world.do(
        lambda unit: set_inline_policy(unit, Subject.of(user), language="call_statements", document=document)
    )

    answer = await explain(asking, about(user, operation="soracom/User:getUser"))

    (statement,) = answer.sets[0].sources[0].statements
    assert answer.sets[0].sources[0].kind == e.SOURCE_KIND_INLINE_POLICY
    assert (statement.effect, statement.condition, statement.cause) == (s.EFFECT_DENY, text, "false")
    assert ("subject.name", "ada") in [(seen.name, seen.value) for seen in statement.seen]


async def test_a_secret_among_the_parameters_is_not_shown(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    await world.policy(user, allow("a.b.c", condition="request.attributes.password == 'guess'"))
    context = d.CheckContext()
    context.attributes["password"] = "hunter2"

    answer = await explain(asking, about(user, context=context))

    (seen,) = answer.sets[0].sources[0].statements[0].seen
    assert (seen.known, seen.concealed, seen.value) == (True, True, "")
    assert b"hunter2" not in answer.SerializeToString()


async def test_of_several_projects_the_tree_is_about_the_one_that_refuses(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    first, second = await world.project(), await world.project()
    await world.policy(user, allow("a.b.c", boundary=Within(BoundaryKind.PROJECTS, project_ids=(first,))))

    answer = await explain(asking, about(user, boundary=within(first, second)))

    assert list(answer.place.project_ids) == [second]
    assert answer.sets[0].sources[0].statements[0].step == e.MATCH_STEP_BOUNDARY


# reasons ---------------------------------------------------------------------------------------------------------


async def test_the_owner_is_allowed_as_owner(asking: Asking) -> None:
    answer = await explain(asking, about(OWNER))

    assert answer.reason == e.EXPLANATION_REASON_OWNER
    assert [(each.kind, each.allows) for each in answer.sets[0].sources] == [(e.SOURCE_KIND_OWNER, True)]


async def test_a_baseline_is_told_as_one(asking: Asking) -> None:
    user = await asking.world.user()

    answer = await explain(asking, about(user))

    assert answer.reason == e.EXPLANATION_REASON_NOTHING_ALLOWS
    assert not any(each.HasField("holder") for each in answer.sets)
    told = [(source.kind, source.id) for each in answer.sets for source in each.sources]
    assert sorted(told) == [(e.SOURCE_KIND_BASELINE, "own"), (e.SOURCE_KIND_BASELINE, "scaleway")]


async def test_a_limit_is_the_reason_and_no_grant_is_offered(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    await world.policy(user, allow("*"))

    asked = await explain(asking, about(user, scopes=["x.y.z"]))
    own = await explain(asking, about(None), by=OWNER, passport={"ceiling": ("a.b.*", EXPLAIN)})
    lowered = await explain(asking, about(None, "x.y.z"), by=OWNER, passport={"ceiling": ("a.b.*", EXPLAIN)})

    assert asked.reason == lowered.reason == e.EXPLANATION_REASON_CEILING
    assert own.decision.allowed
    assert [(each.of_credential, list(each.scopes), each.allows) for each in asked.limits] == [
        (False, ["x.y.z"], False)
    ]
    assert [(each.of_credential, each.allows) for each in lowered.limits] == [(True, False)]
    assert not asked.repairs
    assert asked.complete
    assert asked.sets[0].allows


async def test_one_who_is_unknown_or_of_another_organization_is_refused_without_a_tree(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    strange = await explain(asking, about(new_user()))
    elsewhere = await explain(asking, about(user, boundary={"organization_id": OTHER_ORGANIZATION}))
    nowhere = await explain(asking, about(user, boundary=within(str(uuid.uuid4()))))

    assert strange.reason == e.EXPLANATION_REASON_SUBJECT_UNKNOWN
    assert elsewhere.reason == nowhere.reason == e.EXPLANATION_REASON_PLACE_UNKNOWN
    for answer in (strange, elsewhere, nowhere):
        answer.ClearField("reason")
        answer.decision.ClearField("revision")
        assert answer == e.Explanation(decision=d.Decision(effect=s.EFFECT_DENY), complete=True)


async def test_a_suspended_subject_is_refused_for_that(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    await world.policy(user, allow("*"))
    await world.suspend(user)

    answer = await explain(asking, about(user))

    assert answer.reason == e.EXPLANATION_REASON_SUBJECT_SUSPENDED
    assert (len(answer.sets), len(answer.repairs), answer.complete) == (0, 0, True)


# repairs ---------------------------------------------------------------------------------------------------------


async def test_the_narrowest_boundary_and_the_smallest_role_come_first(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    project = await world.project()
    everything = await role(world, "a everything", "*")
    one = await role(world, "one", "a.b.c")
    two = await role(world, "b two", "a.b.c", "a.b.d")
    whole = await role(world, "whole", "a.b.c", boundary_kind=BoundaryKind.ORGANIZATION)
    await role(world, "other", "x.y.z")

    answer = await explain(asking, about(user, boundary=within(project)))

    offered = of_people(answer, everything.id, one.id, two.id, whole.id)
    assert [each.name for each in offered] == ["one", "b two", "a everything", "whole"]
    assert [list(each.boundary.project_ids) for each in offered] == [[project], [project], [project], []]
    assert {each.subject.principal.id for each in offered} == {user.id}
    assert answer.complete
    assert not answer.withheld
    assert "other" not in {each.name for each in answer.repairs}


async def test_a_supplied_role_is_offered_too(asking: Asking) -> None:
    user = await asking.world.user()

    answer = await explain(asking, about(user, "identity.users.get"))

    assert "IAMReadOnly" in {each.name for each in answer.repairs}
    assert set(kinds(answer)) == {"CREATE_GRANT"}


async def test_membership_in_a_group_is_offered_where_it_or_one_above_allows(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    top = await world.group()
    below, denied, other = await world.group(parent=top), await world.group(parent=top), await world.group()
    await world.policy(in_group(top), allow("a.b.c"))
    await world.policy(in_group(denied), deny("a.*.*"))
    await world.policy(in_group(other), allow("x.y.z"))

    answer = await explain(asking, about(user))

    joined = [each.group_id for each in answer.repairs if each.kind == e.REPAIR_KIND_ADD_MEMBER]
    assert sorted(joined) == sorted([top, below])


async def test_of_a_deny_the_statement_or_its_policy_is_to_go_and_no_grant_is_offered(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    policy = await world.policy(user, allow("a.b.c"), deny("a.*.*"))
    await world.policy(user, allow("a.b.d"))
    first = await explain(asking, about(user))
    second = await world.policy(EVERYONE, deny("*", condition="request.ip == '10.0.0.1'"))
    both = await explain(asking, about(user))

    (offered,) = first.repairs
    assert first.reason == e.EXPLANATION_REASON_DENIED
    assert (offered.kind, offered.policy_id) == (e.REPAIR_KIND_REMOVE_STATEMENT, policy.id)
    assert offered.statement_id == next(each.id for each in policy.statements if each.effect is Effect.DENY)
    assert second.id in {source.id for each in both.sets for source in each.sources if source.denies}
    # Two denies are two changes, so no single one is offered.
    assert not both.repairs
    assert both.complete


async def test_where_all_roles_must_allow_the_one_that_blocks_is_to_go(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    group = await world.group(user)
    allowing = await role(world, "allowing", language="endpoint_rows", document=ROWS)
    blocking = await role(world, "blocking", language="endpoint_rows", document=NO_ROWS)
    await grant(world, Subject.of(user), allowing.id)
    held = await grant(world, Subject.of(user), blocking.id)
    check = about(user, "", endpoint_path="/iam/users", endpoint_method="GET")

    answer = await explain(asking, check)

    (mine,) = [each for each in answer.sets if each.language == "endpoint_rows"]
    assert (mine.combine, mine.allows) == (e.COMBINING_RULE_ALL_OF, False)
    assert {each.name: each.allows for each in mine.sources} == {"allowing": True, "blocking": False}
    offered = {(e.RepairKind.Name(each.kind), each.grant_id or each.role_id) for each in answer.repairs}
    assert ("REPAIR_KIND_DELETE_GRANT", held.id) in offered
    assert ("REPAIR_KIND_DELETE_ROLE", blocking.id) in offered
    # One more role changes nothing where one blocks; held by a group it is combined apart.
    grants = of_people(answer, allowing.id)
    assert [each.subject.group_id for each in grants if each.kind == e.REPAIR_KIND_CREATE_GRANT] == [group]


# who may ask, and what is told ----------------------------------------------------------------------------------


async def test_one_without_the_right_may_not_ask_about_itself_or_others(asking: Asking) -> None:
    world = asking.world
    user, other = await world.user(), await world.user()

    assert (await failure_of(explain(asking, about(None), by=user))).reason is Reason.PERMISSION_DENIED
    await world.policy(user, allow(OWN))

    assert (await explain(asking, about(None), by=user)).reason == e.EXPLANATION_REASON_NOTHING_ALLOWS
    assert (await failure_of(explain(asking, about(other), by=user))).reason is Reason.PERMISSION_DENIED


async def test_repairs_are_told_to_those_who_may_list_what_they_name(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    await world.policy(user, allow(OWN), deny("a.*.*"), allow("a.b.c"))
    secret = await role(world, "secret project", "x.y.z")
    group = await world.group()
    await world.policy(in_group(group), allow("x.y.z"))

    shy, denied = await explain(asking, about(None, "x.y.z"), by=user), await explain(asking, about(None), by=user)
    assert shy.withheld
    assert not shy.complete
    assert not shy.repairs
    assert secret.id.encode() not in shy.SerializeToString()
    assert group.encode() not in shy.SerializeToString()
    assert denied.sets[0].sources[0].denies
    assert not denied.repairs

    await world.policy(user, allow("policy.roles.list"))
    assert kinds(await explain(asking, about(None, "x.y.z"), by=user)).count("ADD_MEMBER") == 0
    assert of_people(await explain(asking, about(None, "x.y.z"), by=user), secret.id)
    await world.policy(user, allow("groups.groups.list"))
    assert kinds(await explain(asking, about(None, "x.y.z"), by=user)).count("ADD_MEMBER") == 1
    assert not (await explain(asking, about(None), by=user)).repairs
    await world.policy(user, allow("policy.policies.list"), allow("policy.grants.list"))
    told = await explain(asking, about(None), by=user)
    assert kinds(told) == ["REMOVE_STATEMENT"]
    assert (told.withheld, told.complete) == (False, True)


async def test_a_right_to_list_in_one_project_tells_nothing(asking: Asking) -> None:
    world = asking.world
    user, project = await world.user(), await world.project()
    there = Within(BoundaryKind.PROJECTS, project_ids=(project,))
    await world.policy(user, allow(OWN), allow("policy.roles.list", boundary=there))
    secret = await role(world, "secret project", "x.y.z")

    answer = await explain(asking, about(None, "x.y.z"), by=user)

    assert answer.withheld
    assert not of_people(answer, secret.id)


async def test_repairs_can_be_left_out(asking: Asking) -> None:
    user = await asking.world.user()

    answer = await explain(asking, about(user, "identity.users.get"), without_repairs=True)

    assert (len(answer.repairs), answer.complete, answer.withheld) == (0, False, False)


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({"permission": ""}, "check.permission"),
        ({"permission": "x" * 257}, "check.permission"),
        ({"scopes": ["x"] * 101}, "check.scopes"),
        ({"context": d.CheckContext(ip="10.0.0")}, "check.context.ip"),
    ],
)
async def test_a_malformed_question_names_its_field(asking: Asking, check: dict[str, Any], field: str) -> None:
    error = await failure_of(explain(asking, about(**{"subject": OWNER, **check})))

    assert error.reason is Reason.INVALID_FIELDS
    assert fields_of(error) == [field]


# bounds ----------------------------------------------------------------------------------------------------------


async def test_a_huge_tree_is_cut_says_so_and_keeps_nobody_waiting(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    condition = "request.user_agent == '" + "x" * 40 + "'"
    many = [allow(f"a.b{number}.c") for number in range(400)] + [allow("a.b.c", condition=condition)] * 400
    for number in range(5):
        await world.policy(user, *(many if number else [*many, deny("a.b.c")]))
    turns, done = 0, False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(others())
    answer = await explain(asking, about(user))
    done = True
    await watching

    shown = [each for held in answer.sets for source in held.sources for each in source.statements]
    assert answer.truncated
    assert answer.statement_count == 4003
    assert len(shown) == tree.MAX_STATEMENTS
    assert [each.effect for each in shown if each.decided] == [s.EFFECT_DENY]
    assert answer.ByteSize() < MAXIMUM_MESSAGE
    # Others had their turn again and again while it was made.
    assert turns > 10


async def test_what_is_offered_is_bounded_and_says_when_it_is_not_all(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = asking.world
    user = await world.user()
    monkeypatch.setattr(explaining, "MAX_REPAIRS", 3)
    made = [await role(world, f"role {number}", "a.b.c") for number in range(5)]

    answer = await explain(asking, about(user))

    assert len(answer.repairs) == 3
    assert not answer.complete
    assert {each.role_id for each in answer.repairs} <= {each.id for each in made}


@pytest.mark.parametrize(("place", "name", "most"), [(trial, "MAX_WORK", 80), (holdings, "MAX_ROLES", 16)])
async def test_what_there_is_to_look_at_is_bounded_and_says_when_it_is_not_all(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, most: int
) -> None:
    world = asking.world
    user = await world.user()
    made = {(await role(world, f"role {number}", "a.b.c")).id for number in range(20)}
    monkeypatch.setattr(place, name, most)

    answer = await explain(asking, about(user))

    assert not answer.complete
    assert not answer.withheld
    assert 0 < len(answer.repairs) < len(made)
    assert {each.role_id for each in answer.repairs} < made


@pytest.mark.parametrize(("name", "most"), [("MAX_GROUPS", 3), ("MAX_STATEMENTS", 10)])
async def test_groups_beyond_the_bound_are_not_looked_at(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    world = asking.world
    user = await world.user()
    for _ in range(20):
        await world.policy(in_group(await world.group()), allow("a.b.c"))
    every = await explain(asking, about(user))
    monkeypatch.setattr(holdings, name, most)

    some = await explain(asking, about(user))

    assert (len(every.repairs), every.complete) == (20, True)
    assert len(some.repairs) < 20
    assert not some.complete


async def test_a_change_between_two_looks_is_noticed(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    world = asking.world
    user = await world.user()
    looked, read = [], explaining.read_holdings

    def changed(store: Any, *asked: Any, **more: Any) -> Any:
        found = read(store, *asked, **more)
        looked.append(found)
        if len(looked) > 1:
            return found
        stamps = replace(found.standing.stamps, organization=found.standing.stamps.organization + 1)
        return replace(found, standing=replace(found.standing, stamps=stamps))

    monkeypatch.setattr(explaining, "read_holdings", changed)

    assert (await explain(asking, about(user))).reason == e.EXPLANATION_REASON_NOTHING_ALLOWS
    assert len(looked) == 2
    monkeypatch.setattr(explaining, "read_holdings", lambda *_, **__: None)
    asked = asking.stub.Explain(ds.ExplainRequest(check=about(user)), **asking.by(OWNER))
    assert (await failure_of(asked)).reason is Reason.UNAVAILABLE


async def test_trying_ends_after_a_while(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    world = asking.world
    user = await world.user()
    await role(world, "one", "a.b.c")
    monkeypatch.setattr(trial, "MAX_SECONDS", -1.0)

    answer = await explain(asking, about(user))

    assert (len(answer.repairs), answer.complete, answer.withheld) == (0, False, False)
    assert answer.reason == e.EXPLANATION_REASON_NOTHING_ALLOWS


async def test_an_answer_waits_for_the_state_that_it_must_not_be_older_than(asking: Asking) -> None:
    user = await asking.world.user()
    answer = await explain(asking, about(user))

    later = await explain(asking, about(user), at_least_as_fresh=answer.decision.revision)
    request = ds.ExplainRequest(check=about(user), at_least_as_fresh="no token")

    assert later.decision.revision == answer.decision.revision
    error = await failure_of(asking.stub.Explain(request, **asking.by(OWNER)))
    assert fields_of(error) == ["at_least_as_fresh"]


async def test_frozen_rights_are_explained_as_they_were_and_no_change_is_offered(asking: Asking) -> None:
    world = asking.world
    user = await world.user()
    policy = await world.policy(user, allow("a.b.c"), allow(OWN))
    await role(world, "one", "x.y.z")
    holders = (await world.ask(lambda store: store.standing(ORGANIZATION, user))).subjects
    kept = await world.do(
        lambda unit: unit.store.keep_rights(ORGANIZATION, unit.store.sources_of(ORGANIZATION, holders), unit.now)
    )
    await world.do(lambda unit: delete_policy(unit, policy.id))
    frozen = {"rights_snapshot_id": kept.id}

    allowed = await explain(asking, about(None), by=user, passport=frozen)
    denied = await explain(asking, about(None, "x.y.z"), by=user, passport=frozen)

    assert allowed.decision.allowed
    assert [source.id for held in allowed.sets for source in held.sources if source.allows] == [policy.id]
    assert denied.reason == e.EXPLANATION_REASON_RIGHTS_FROZEN
    assert (len(denied.repairs), denied.complete, len(denied.sets) > 0) == (0, True, True)
