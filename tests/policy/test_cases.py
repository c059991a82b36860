"""Runs the tables in `cases/`: adding a case needs no Python.

given: `policies`, each of a `language` with its `document`; `owner: true` for the owner's
program; `ceiling`, a list of patterns. when: a request, or a list of them under `each`.
then: `allowed`, and optionally `statements`, `projects` (the reach), `failed` (statement ids).
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from concord.policy.catalogues.loader import baselines, load_catalogue
from concord.policy.engine import (
    Context,
    Decision,
    Program,
    Request,
    Resource,
    ceiling_program,
    compile_program,
    decide,
    owner_program,
)
from concord.policy.languages import Held, assemble, get_language


def _cases() -> list[Any]:
    found = []
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text("utf-8")):
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


def _program(given: dict[str, Any]) -> Program:
    if given.get("owner"):
        return owner_program()
    find_role = load_catalogue("scaleway").find_role
    held = []
    for number, policy in enumerate(given.get("policies", [])):
        language = get_language(policy["language"])
        statements = language.parse(policy["document"])
        assert not language.faults(statements, find_role)
        name = policy.get("name", f"policy{number}")
        held.append(Held(policy.get("holder", "u1"), policy["language"], language.compile(name, statements, find_role)))
    return compile_program(assemble(held, baselines()))


def _request(when: dict[str, Any]) -> Request:
    context = dict(when.get("context", {}))
    if "time" in context:
        context["time"] = datetime.fromisoformat(context["time"])
    return Request(
        permission=when["permission"],
        operation=when.get("operation", ""),
        resource=Resource(**when.get("resource", {})),
        organization_id="o1",
        project_id=when.get("project", ""),
        anywhere=when.get("anywhere", False),
        context=Context(**context),
    )


def _check(decision: Decision, then: dict[str, Any]) -> None:
    assert decision.allowed is then["allowed"]
    if "statements" in then:
        assert list(decision.statement_ids) == then["statements"]
    if "projects" in then:
        assert sorted(decision.reach.project_ids) == then["projects"]
    if "everything" in then:
        assert decision.reach.everything is then["everything"]
    if "failed" in then:
        assert [failed.statement_id for failed in decision.failed_conditions] == then["failed"]


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any]) -> None:
    program = _program(case["given"])
    ceiling = ceiling_program(case["given"]["ceiling"]) if "ceiling" in case["given"] else None

    for when in case["when"].get("each", [case["when"]]):
        _check(decide(program, _request(when), ceiling), case["then"])
