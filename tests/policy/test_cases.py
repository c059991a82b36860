"""Runs the tables in `cases/`: adding a case needs no Python.

given: `policies`, each of a `language` with its `document`; `owner: true` for the owner's
program; `ceiling`, a list of patterns. when: a request, or a list of them under `each`.
then: `allowed`, and optionally `statements`, `projects` (the reach), `failed` (statement ids).

given a `language` and a `document`, then: `refused`, the fields, and `telling`, a part of
what is said first. given `trust`, a trust document, when a `caller` or a `service`, then: `trusted`.

Further givens: `roles` by name, each a `language` and `document` or what it `includes`; `baseline` of a dialect.
A `when` with `asking` is about its path's place: who asks (`member`, `edge` or `none`), with which `scopes`, whether
it `belongs` there, and which groups lie `above`. `then: scopes` lists the scopes held in `resource_roles`.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from concord.kernel.errors import Invalid
from concord.policy.catalogues.loader import baselines, load_catalogue
from concord.policy.engine import (
    BoundaryKind,
    Context,
    Decision,
    Program,
    Request,
    Resource,
    Subject,
    ceiling_program,
    compile_program,
    decide,
    owner_program,
)
from concord.policy.languages import FindRole, Held, RoleView, SourceStatement, assemble, baseline, get_language
from concord.policy.languages.call_trust import TrustedUser, parse_trust, trusts_service, trusts_user
from concord.policy.languages.endpoint_scopes import EndpointScopes
from concord.policy.languages.path_classes import Counting, classify, counting, locate
from concord.policy.languages.resource_roles import held_scopes


def _cases() -> list[Any]:
    found = []
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text("utf-8")):
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


def _find_role(given: dict[str, Any]) -> FindRole:
    written = given.get("roles", {})

    def find_role(name: str) -> RoleView | None:
        row = written.get(name)
        if row is None:
            return load_catalogue("scaleway").find_role(name)
        statements = get_language(row["language"]).parse(row["document"]) if "document" in row else ()
        included = [role for role in map(find_role, row.get("includes", [])) if role is not None]
        below = tuple(statement for role in included for statement in role.statements)
        return RoleView(name, (), BoundaryKind.ORGANIZATION, (*statements, *below))

    return find_role


def _held(given: dict[str, Any]) -> list[Held]:
    find_role = _find_role(given)
    held = []
    for number, policy in enumerate(given.get("policies", [])):
        language = get_language(policy["language"])
        statements = language.parse(policy["document"])
        assert not language.faults(statements, find_role)
        name = policy.get("name", f"policy{number}")
        held.append(Held(policy.get("holder", "u1"), policy["language"], language.compile(name, statements, find_role)))
    return held


def _program(given: dict[str, Any]) -> Program:
    if given.get("owner"):
        return owner_program()
    ground = [baseline(row["dialect"], row["permissions"]) for row in given.get("baseline", [])]
    return compile_program(assemble(_held(given), (*baselines(), *ground)))


def _asked(given: dict[str, Any], asking: dict[str, Any], program: Program, request: Request) -> Decision:
    """Decide with the rights that count for the path's place, as the language's table says."""
    whose = counting(
        classify(request.context.path).path_class,
        subject=asking["by"] != "none",
        device=asking["by"] == "edge",
        belongs=asking.get("belongs", False),
    )
    if whose is Counting.THERE:
        return decide(program, request)
    scopes = [SourceStatement(role_names=tuple(asking["scopes"]))] if whose is Counting.ASKED else []
    policy = EndpointScopes().compile_asked("asked", scopes, _find_role(given))
    return decide(compile_program(assemble([Held("asked", EndpointScopes.name, policy)])), request)


def _request(when: dict[str, Any]) -> Request:
    context = dict(when.get("context", {}))
    if "time" in context:
        context["time"] = datetime.fromisoformat(context["time"])
    return Request(
        permission=when.get("permission", ""),
        subject=Subject(division_ids=frozenset(when.get("divisions", [])), **when.get("subject", {})),
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


def _check_refusal(given: dict[str, Any], then: dict[str, Any]) -> None:
    parse = parse_trust if "trust" in given else get_language(given["language"]).parse
    with pytest.raises(Invalid) as caught:
        parse(given.get("trust", given.get("document", "")))
    violations = caught.value.violations
    assert sorted(violation.field for violation in violations) == sorted(then["refused"])
    assert then.get("telling", "") in violations[0].description


def _is_trusted(document: str, when: dict[str, Any]) -> bool:
    statements = parse_trust(document)
    if "service" in when:
        return trusts_service(statements, when["service"], _request(when))
    return trusts_user(statements, TrustedUser(**when["caller"]), _request(when))


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any]) -> None:
    given, then = case["given"], case["then"]
    if "refused" in then:
        _check_refusal(given, then)
        return
    if "trust" in given:
        for when in case["when"].get("each", [case["when"]]):
            assert _is_trusted(given["trust"], when) is then["trusted"]
        return

    program = _program(case["given"])
    ceiling = ceiling_program(case["given"]["ceiling"]) if "ceiling" in case["given"] else None

    for when in case["when"].get("each", [case["when"]]):
        request, asking = _request(when), when.get("asking")
        if asking is None:
            decision = decide(program, request, ceiling)
        else:
            decision = _asked(case["given"], asking, program, locate(request, asking.get("above", ())))
        _check(decision, case["then"])
    if "scopes" in case["then"]:
        assert list(held_scopes(held.policy for held in _held(case["given"]))) == case["then"]["scopes"]
