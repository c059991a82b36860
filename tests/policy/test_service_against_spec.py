"""What the decision service answers about stored worlds is what is specified, whichever way it is asked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import grpc.aio
import pytest

from concord.common.v1.boundary_pb2 import BOUNDARY_KIND_ORGANIZATION, Boundary
from concord.policy.checks.known import own_permissions, supplied_permissions
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from policy import spec
from policy.against import specified
from policy.spec.world import EVERYONE
from policy.stored_worlds import OWNER_REF, Stored, askable, check_of
from policy.worlds import LANGUAGES, PROJECTS, STRANGE_PROJECT, Maker, Question, words

SEED = 20_261_122
WORLDS = 8
QUESTIONS = 150
WHOLE = Boundary(kind=BOUNDARY_KIND_ORGANIZATION)


def _worlds(language: str) -> Iterator[tuple[Maker, spec.World]]:
    maker = Maker(Random(f"{SEED} {language}"))
    for _ in range(WORLDS):
        yield maker, maker.world(language)


def _questions(maker: Maker, language: str, now: Any, count: int = QUESTIONS) -> list[Question]:
    return [askable(maker.question(language), now) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_way_of_asking_gives_the_specified_answer(tmp_path: Path, language: str) -> None:
    refused, every = 0, set[bool]()
    for number, (maker, made) in enumerate(_worlds(language)):
        directory = tmp_path / f"{number}"
        directory.mkdir()
        async with Stored(directory) as stored:
            world = await stored.put(made)
            refused += stored.refused
            questions = _questions(maker, language, stored.clock.now())
            wanted = [_specified(world, each) for each in questions]
            checks = [check_of(each) for each in questions]
            by, stub = stored.asking.by(OWNER_REF), stored.asking.stub

            batch = await stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **by)
            singles = [await stub.Check(ds.CheckRequest(check=each), **by) for each in checks[:60]]
            streamed = await _streamed(stub, checks[60:], by)
            explained = [await _explained(stub, each, by) for each in checks[::5]]

            for question, decision, allowed in zip(questions, batch.decisions, wanted, strict=True):
                assert decision.allowed is allowed, f"{question}\n{world}"
            assert [_bare(each) for each in singles] == list(batch.decisions[:60])
            assert [_bare(each) for each in streamed] == list(batch.decisions[60:])
            assert [_bare(each) for each in explained] == list(batch.decisions[::5])
            every.update(wanted)
    assert every == {True, False}
    # Only what names a place that is none, or is held where it may not be.
    assert refused <= 3 * WORLDS


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_change_that_is_offered_for_a_denial_allows_as_specified(tmp_path: Path, language: str) -> None:
    offered = 0
    for number, (maker, made) in enumerate(list(_worlds(language))[:3]):
        directory = tmp_path / f"{number}"
        directory.mkdir()
        async with Stored(directory) as stored:
            world = await stored.put(made)
            for question in _questions(maker, language, stored.clock.now(), 25):
                request = ds.ExplainRequest(check=check_of(question))
                answer = await stored.asking.stub.Explain(request, **stored.asking.by(OWNER_REF))

                assert answer.decision.allowed is _specified(world, question)
                for repair in answer.repairs:
                    assert _specified(stored.repaired(world, question.principal, repair), question), f"{repair}"
                    offered += 1
    assert offered


@pytest.mark.slow
@pytest.mark.parametrize("language", ["statements", "role_rules", "resource_roles"])
async def test_kb12_what_is_listed_is_what_is_specified(tmp_path: Path, language: str) -> None:
    maker, made = next(_worlds(language))
    async with Stored(tmp_path) as stored:
        world = await stored.put(made)
        for question in _questions(maker, language, stored.clock.now(), 12):
            for place in ("", PROJECTS[0]):
                check = check_of(question)
                check.ClearField("permission")
                check.ClearField("operation")
                check.boundary.CopyFrom(Boundary(project_ids=[place]) if place else WHOLE)

                listed = await _listed(stored, check)

                for permission in {*words.PERMISSIONS, *(each for each in listed if "*" not in each)}:
                    allowed = _specified(world, _about(question, permission, place))
                    assert not allowed or permission in listed or permission not in _known(world)
                    assert allowed or permission not in listed


def _about(question: Question, permission: str, place: str) -> Question:
    return replace(question, request=replace(question.request, permission=permission, operation="", project_id=place))


def _known(world: spec.World) -> set[str]:
    """Return the permissions that a list must look at: some of those that are surely known."""
    texts = [each.text for each in world.documents if each.holder == EVERYONE]
    return {*own_permissions(), *supplied_permissions(), *(p for p in words.PERMISSIONS if f'"{p}"' in "".join(texts))}


async def _listed(stored: Stored, check: d.Check) -> list[str]:
    names: list[str] = []
    request = ds.ListPermissionsRequest(check=check, page_size=40)
    while True:
        page = await stored.asking.stub.ListPermissions(request, **stored.asking.by(OWNER_REF))
        names.extend(each.permission for each in page.permissions)
        if not page.next_page_token:
            return names
        request.page_token = page.next_page_token


def _specified(world: spec.World, question: Question) -> bool:
    if question.request.project_id == STRANGE_PROJECT:
        # Nobody may do anything in a project that there is not.
        return False
    return specified(world, question).allowed


async def _streamed(stub: Any, checks: list[d.Check], by: Any) -> list[d.Decision]:
    call = stub.StreamCheck(**by)
    answers = []
    for check in checks:
        await call.write(ds.StreamCheckRequest(check=check))
        answer = await call.read()
        assert answer is not grpc.aio.EOF
        answers.append(answer.decision)
    await call.done_writing()
    return answers


async def _explained(stub: Any, check: d.Check, by: Any) -> d.Decision:
    answer = await stub.Explain(ds.ExplainRequest(check=check, without_repairs=True), **by)
    decision: d.Decision = answer.decision
    return decision


def _bare(decision: d.Decision) -> d.Decision:
    bare = d.Decision()
    bare.CopyFrom(decision)
    bare.ClearField("revision")
    return bare
