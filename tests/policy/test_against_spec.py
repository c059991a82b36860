"""The engine must agree with its specification: on trees of its own form, and on worlds of documents."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from concord.policy.engine import Combine, Decision, PolicySet, Request, Step, Walk, compile_program, decide
from concord.policy.languages import endpoint_rows, endpoint_scopes, resource_roles
from concord.policy.languages.path_classes import PathClass, classify
from concord.policy.model import Effect, Role
from policy import against, soak, spec
from policy.against import as_answer
from policy.soak import Tally
from policy.spec import calls
from policy.spec.trees import as_lines
from policy.trees import CONDITIONS, PROJECTS, requests, trees
from policy.worlds import LANGUAGES, words

# The module; its package has a function of the same name.
engine_decisions = import_module("concord.policy.engine.decide")
SEED = 20_261_122
EACH = 6_000
WHERE = (*PROJECTS, "p9")


@settings(max_examples=300, deadline=None)
@given(trees, requests)
def test_the_engine_decides_every_tree_as_the_specification_does(tree: PolicySet, request: Request) -> None:
    decision = decide(compile_program(tree), request)

    assert _answer(decision, request) == spec.answer(as_lines(tree, CONDITIONS), request, WHERE)


@settings(max_examples=200, deadline=None)
@given(trees, trees, requests)
def test_a_ceiling_decides_as_the_specification_does(tree: PolicySet, limit: PolicySet, request: Request) -> None:
    decision = decide(compile_program(tree), request, compile_program(limit))

    said = spec.answer(as_lines(tree, CONDITIONS), request, WHERE, as_lines(limit, CONDITIONS))
    assert _answer(decision, request) == said


def _answer(decision: Decision, request: Request) -> spec.Answer:
    return as_answer(decision, request, WHERE)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_documents_decide_as_specified(language: str) -> None:
    tally = Tally()

    disagreement = soak.soak(SEED, EACH, tally, (language,))

    assert disagreement is None, f"{disagreement}"
    assert tally.decided[language] >= EACH
    # A world in which all is allowed, or nothing, would show nothing.
    assert 0.15 < tally.allowed[language] / tally.decided[language] < 0.85


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "roles of a group are alternatives": (endpoint_rows.EndpointRows, "combine", Combine.ANY_OF),
    "a narrowed scope is a wide one": (resource_roles, "plain_verb", lambda verb: verb),
    "scopes count whatever the place": (
        endpoint_scopes,
        "_CLASSES",
        dict.fromkeys(endpoint_scopes._CLASSES, PathClass.OTHER),
    ),
    "an unknown thing lies nowhere": (engine_decisions, "_within", lambda boundary, request, unknown: False),
    "denies of a granted role are lost": (
        against,
        "stored_role",
        lambda role, world, whole=against.stored_role: _without_denies(whole(role, world)),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_shown_on_a_small_world(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(*FAULTS[fault])

    disagreement = soak.soak(SEED, 6_000, Tally())

    assert disagreement is not None
    assert disagreement.said != disagreement.specified
    assert len(disagreement.world.documents) + len(disagreement.world.grants) <= 3


def _without_denies(role: Role) -> Role:
    return replace(role, statements=tuple(each for each in role.statements if each.effect is not Effect.DENY))


_PIECES = ("/", "//", "api", "auth", "v1", "media", "Projects", "projects", "groups", "users", "me", "x", ".", "..")
_ODD = (
    "%2F",
    "%70",
    "%C3%A9",
    "%E9",
    "%",
    "%zz",
    "?",
    "#",
    ";",
    "\\",
    "\u200b",
    "\uff0f",
    "\u2024",
    "\u00e9",
    " ",
    "\x00",
)
_paths = st.lists(st.sampled_from((*_PIECES, *_PIECES, "/", "/", *_ODD, *words.PROJECTS, *words.GROUPS)), max_size=9)


@settings(max_examples=600, deadline=None)
@given(_paths.map("".join) | _paths.map(lambda pieces: "/" + "/".join(pieces)))
@example("/" + "a" * 4096)
@example("/auth/projects/" + words.PROJECTS[0].upper())
def test_paths_lead_where_they_are_specified_to(path: str) -> None:
    place = classify(path)

    assert calls.Place(place.path_class.value, place.id) == calls.place_of(path)


def test_what_a_decision_looked_at_is_what_decided() -> None:
    asked = 0
    for _, world, questions in soak.portions(SEED, LANGUAGES):
        for question in questions[:10]:
            program = against.program_of(world, question.principal)
            decision = against.decision_on(program, replace(question, ceiling=()))
            walk = Walk(program, against.located_by_engine(question.request))

            matched = {each.statement.id for each in walk.looked() if each.step is Step.MATCHED}

            assert walk.decision == decision
            assert matched.issuperset(decision.statement_ids)
            asked += 1
        if asked >= 1_500:
            break
