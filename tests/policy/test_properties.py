"""The laws of a decision, by name: on worlds of documents, and on trees that no language makes."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concord.policy.compiling import compile_sources
from concord.policy.engine import (
    Combine,
    Policy,
    PolicySet,
    Request,
    Statement,
    compile_program,
    decide,
    owner_program,
)
from concord.policy.engine.model import Effect
from policy import spec
from policy.against import decision_on, engine_says, program_of, sources_of
from policy.spec.world import EVERYONE
from policy.trees import ERRORS, requests, trees
from policy.worlds import LANGUAGES, OWNER, Maker, Question

# The module; its package has a function of the same name.
engine_decisions = import_module("concord.policy.engine.decide")

SEED = 1_122
WORLDS = 12
QUESTIONS = 25

Asked = tuple[spec.World, list[Question]]


def _asked(language: str) -> Iterator[Asked]:
    maker = Maker(Random(f"{SEED} {language}"))
    for _ in range(WORLDS):
        yield maker.world(language), [maker.question(language) for _ in range(QUESTIONS)]


def _answers(world: spec.World, questions: list[Question]) -> list[spec.Answer]:
    programs = {each: program_of(world, each) for each in {question.principal for question in questions}}
    return [engine_says(programs[question.principal], question) for question in questions]


def _places(answer: spec.Answer) -> set[str]:
    """Return everything that an answer allows, as things that can be compared."""
    return {*answer.projects, *(["elsewhere"] if answer.elsewhere else []), *(["allowed"] if answer.allowed else [])}


by_language = pytest.mark.parametrize("language", LANGUAGES)


# nothing, everything, and nothing again


@by_language
def test_default_deny_who_holds_nothing_may_keep_its_own_credentials_and_do_nothing_else(language: str) -> None:
    for world, questions in _asked(language):
        empty = replace(world, documents=(), grants=())
        own = world.baseline[""]
        strangers = [each for each in questions if each.principal != OWNER and each.request.permission not in own]

        assert strangers
        assert not any(engine_says(program_of(empty, each.principal), _native(each)).allowed for each in strangers)


def _native(question: Question) -> Question:
    """Return the question as one of no dialect: what everybody may do through one was given to nobody."""
    return replace(question, request=replace(question.request, operation="", covering=()))


@given(requests, st.sampled_from(Combine))
def test_default_deny_nothing_combined_in_any_way_is_no(request: Request, combine: Combine) -> None:
    assert not decide(compile_program(PolicySet(combine)), request).allowed


@by_language
def test_deny_trumps_whatever_allows(language: str) -> None:
    deny = spec.Document("d1", EVERYONE, "statements", '{"statements": [{"effect": "deny", "permissions": ["*"]}]}')
    for world, questions in _asked(language):
        denied = replace(world, documents=(*world.documents, deny))
        others = [each for each in questions if each.principal != OWNER]

        assert not any(each.allowed for each in _answers(denied, others))


@given(trees, requests)
def test_deny_trumps_in_every_tree(tree: PolicySet, request: Request) -> None:
    deny = Policy("deny", (Statement("deny", Effect.DENY, ("*",)),))

    decision = decide(compile_program(PolicySet(Combine.ANY_OF, (tree, deny))), request)

    assert not decision.allowed
    assert "deny" in decision.statement_ids


@by_language
def test_the_owner_is_allowed_whatever_anybody_denies(language: str) -> None:
    deny = spec.Document("d1", EVERYONE, "statements", '{"statements": [{"effect": "deny", "permissions": ["*"]}]}')
    for world, questions in _asked(language):
        denied = replace(world, documents=(*world.documents, deny))
        owners = [replace(each, principal=OWNER, ceiling=()) for each in questions]

        assert all(each.allowed for each in _answers(denied, owners))


@given(requests)
def test_the_owner_is_allowed_by_being_the_owner(request: Request) -> None:
    assert decide(owner_program(), request).statement_ids == ("owner",)


# order


@by_language
def test_the_order_of_statements_roles_grants_and_groups_means_nothing(language: str) -> None:
    random = Random(SEED)
    for world, questions in _asked(language):
        assert _answers(_shuffled(world, random), questions) == _answers(world, questions)


def _shuffled(world: spec.World, random: Random) -> spec.World:
    def mixed(things: Any) -> list[Any]:
        return random.sample(list(things), len(things))

    documents = [replace(each, text=_mixed_text(each.text, mixed)) for each in mixed(world.documents)]
    roles = [
        replace(each, text=_mixed_text(each.text, mixed), includes=tuple(mixed(each.includes)))
        for each in mixed(world.roles.values())
    ]
    # Ids decide in which order sources are put together: they change hands too.
    names = [each.id for each in world.documents]
    return replace(
        world,
        documents=tuple(replace(each, id=name) for each, name in zip(documents, names, strict=True)),
        roles={each.id: each for each in roles},
        grants=tuple(mixed(world.grants)),
        parents=dict(mixed(world.parents.items())),
        members=dict(mixed(world.members.items())),
    )


def _mixed_text(text: str, mixed: Callable[[Any], list[Any]]) -> str:
    return json.dumps({name: mixed(rows) for name, rows in json.loads(text).items()}) if text else ""


@given(trees, requests)
def test_the_order_of_a_tree_means_nothing(tree: PolicySet, request: Request) -> None:
    decision = decide(compile_program(tree), request)
    turned = decide(compile_program(_reversed(tree)), request)

    assert (decision.allowed, decision.reach) == (turned.allowed, turned.reach)


def _reversed(node: PolicySet) -> PolicySet:
    return replace(node, children=tuple(_turned(child) for child in reversed(node.children)))


def _turned(node: PolicySet | Policy) -> PolicySet | Policy:
    if isinstance(node, Policy):
        return replace(node, statements=tuple(reversed(node.statements)))
    return _reversed(node)


# what is kept


@by_language
def test_what_a_program_was_asked_before_never_changes_an_answer(language: str) -> None:
    for world, questions in _asked(language):
        programs = {each.principal: program_of(world, each.principal) for each in questions}

        there = [engine_says(programs[each.principal], each) for each in questions]
        back = [engine_says(programs[each.principal], each) for each in reversed(questions)]
        alone = [engine_says(program_of(world, each.principal), each) for each in questions[:5]]

        assert there == list(reversed(back))
        assert there[:5] == alone


@pytest.mark.parametrize("language", ["statements", "role_rules", "call_statements"])
def test_a_busy_machine_never_changes_an_answer(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for world, questions in _asked(language):
        before = _answers(world, questions)
        seconds = count()
        with monkeypatch.context() as patched:
            # Whenever it is looked at, a second has gone by in which others had their turn.
            patched.setattr(engine_decisions, "perf_counter", lambda seconds=seconds: float(next(seconds)))
            busy = _answers(world, questions)

        assert busy == before


@by_language
def test_a_frozen_snapshot_of_rights_decides_as_its_sources_did(language: str) -> None:
    for world, questions in _asked(language):
        people = {each.principal for each in questions if each.principal != OWNER}
        frozen = {each: deepcopy(sources_of(world, each)) for each in people}
        kept = {each: program_of(world, each) for each in people}
        before = _answers(world, questions)

        # All is taken from everybody: what was frozen, and what was put together before, goes on as it was.
        _answers(replace(world, documents=(), grants=(), members={}), questions)
        thawed = {each: compile_sources(sources) for each, sources in frozen.items()}

        for question, answer in zip(questions, before, strict=True):
            if question.principal != OWNER:
                assert engine_says(thawed[question.principal], question) == answer
                assert engine_says(kept[question.principal], question) == answer


# more and less


def test_another_role_for_a_group_of_rows_never_adds_a_right() -> None:
    maker = Maker(Random(SEED))
    taken = 0
    for world, questions in _asked("endpoint_rows"):
        held = {(each.holder, each.language) for each in world.documents}
        held |= {(each.holder, each.language) for each in world.grants}
        for holder in {holder for holder, language in held if language == "endpoint_rows"}:
            role = spec.Role("e1", "endpoint_rows", maker.document("endpoint_rows", in_role=True))
            more = replace(
                world,
                roles={**world.roles, role.id: role},
                grants=(*world.grants, spec.Grant("f1", holder, role.id, "endpoint_rows")),
            )
            for before, after in zip(_answers(world, questions), _answers(more, questions), strict=True):
                assert _places(after) <= _places(before)
                taken += before != after
    assert taken


@by_language
def test_a_ceiling_never_raises(language: str) -> None:
    for world, questions in _asked(language):
        free = _answers(world, [replace(each, ceiling=()) for each in questions])
        for scopes in (("identity.*.*", "soracom/*"), ("*",), ("IAMUserManager", "openid"), ("nothing",)):
            lowered = _answers(world, [replace(each, ceiling=scopes) for each in questions])
            assert all(_places(low) <= _places(high) for low, high in zip(lowered, free, strict=True))


@settings(deadline=None)
@given(trees, trees, requests)
def test_no_tree_raises_as_a_ceiling(tree: PolicySet, limit: PolicySet, request: Request) -> None:
    program, ceiling = compile_program(tree), compile_program(limit)

    free, lowered = decide(program, request), decide(program, request, ceiling)

    assert free.allowed or not lowered.allowed
    assert lowered.reach.minus(free.reach).is_empty


@by_language
def test_taking_a_grant_away_adds_nothing_unless_it_denied_or_all_had_to_allow(language: str) -> None:
    for world, questions in _asked(language):
        before = _answers(world, questions)
        for grant in world.grants:
            role = world.roles.get(grant.role)
            if grant.language == "endpoint_rows" or role is None or _denies(role, world):
                continue
            after = _answers(replace(world, grants=tuple(g for g in world.grants if g is not grant)), questions)
            assert all(_places(a) <= _places(b) for a, b in zip(after, before, strict=True))


def _denies(role: spec.Role, world: spec.World) -> bool:
    below = (world.roles[each] for each in role.includes if each in world.roles)
    return '"deny"' in role.text or any(_denies(each, world) for each in below)


# what is unknown, and what goes wrong


@by_language
def test_what_is_unknown_never_helps_an_allow(language: str) -> None:
    shown = 0
    for world, questions in _asked(language):
        programs = {each.principal: program_of(world, each.principal) for each in questions}
        for question in questions:
            known = engine_says(programs[question.principal], question)
            for less in _knowing_less(question):
                answer = engine_says(programs[question.principal], less)
                assert _places(answer) <= _places(known)
                shown += answer != known
    assert shown


def _knowing_less(question: Question) -> Iterator[Question]:
    """Yield the question with one thing less known; what conditions may ask for by `has` is left as it is."""
    request = question.request
    nothing: Any
    for name, nothing in (("ip", ""), ("time", None), ("user_agent", ""), ("mfa", None), ("method", "")):
        yield replace(question, request=replace(request, context=replace(request.context, **{name: nothing})))
    for name in ("group_ids", "division_ids", "owner_user_id"):
        yield replace(question, request=replace(request, resource=replace(request.resource, **{name: None})))
    for name, nothing in (("division_ids", None), ("name", "")):
        yield replace(question, request=replace(request, subject=replace(request.subject, **{name: nothing})))


@given(requests, st.sampled_from(ERRORS))
def test_an_erroring_condition_never_allows(request: Request, error: str) -> None:
    policy = Policy("p", (Statement("s", permissions=("*",), condition=error, every_class=True),))

    assert not decide(compile_program(PolicySet(Combine.ANY_OF, (policy,))), request).allowed


@given(requests, st.sampled_from(ERRORS))
def test_an_erroring_condition_never_lifts_a_deny(request: Request, error: str) -> None:
    allow = Statement("a", permissions=("*",), every_class=True)
    deny = Statement("d", Effect.DENY, ("*",), condition=error)

    decision = decide(compile_program(PolicySet(Combine.ANY_OF, (Policy("p", (allow, deny)),))), request)

    assert not decision.allowed
    assert decision.failed_conditions[0].statement_id == "d"
    assert decision.failed_conditions[0].error


@by_language
def test_a_decision_names_the_statements_that_decided(language: str) -> None:
    for world, questions in _asked(language):
        for question in questions[:10]:
            program = program_of(world, question.principal)
            decision = decision_on(program, replace(question, ceiling=()))

            deciding = [each for each in program.statements if each.id in decision.statement_ids]

            assert not decision.allowed or deciding
            assert all(each.deny is not decision.allowed for each in deciding)
