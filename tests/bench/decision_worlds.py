"""The worlds that decisions are measured in: for each, questions and what answers one of them."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from concord.policy.catalogues.loader import baselines
from concord.policy.engine import (
    Combine,
    Context,
    Effect,
    Policy,
    PolicySet,
    Program,
    Request,
    Statement,
    Subject,
    compile_program,
    decide,
)
from concord.policy.engine.model import BoundaryKind
from concord.policy.languages import LANGUAGES, Held, RoleView, assemble

World = tuple[list[tuple[Any, ...]], Callable[..., object]]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# Of ten rules one is a role's, and nine put somebody in a role; so do the benchmarks of others.
CASBIN_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
"""


def _sizes(size: int) -> tuple[int, int]:
    return size // 11 * 10, size // 11


def _asked(size: int, questions: int) -> list[tuple[str, int, bool]]:
    """Return who asks for which role's data, and whether the right is theirs: every other time."""
    users, roles = _sizes(size)
    chosen = random.Random(size)
    asked = []
    for number in range(questions):
        user = chosen.randrange(users)
        role = user // 10 if number % 2 else chosen.randrange(roles)
        asked.append((f"user{user}", role // 10, role // 10 == user // 10 // 10))
    return asked


def _only(*policies: Policy) -> Program:
    """Return the program of these policies and of what every dialect lets everybody do, as services make it."""
    return compile_program(PolicySet(Combine.ANY_OF, (*policies, *baselines())))


def rbac(size: int, questions: int) -> World:
    """Users in roles, roles with one right each: a program for each role, shared by those who hold it."""
    users, roles = _sizes(size)
    programs = [
        _only(Policy(f"role{role}", (Statement(f"role{role}", permissions=(f"bench.data{role // 10}.read",)),)))
        for role in range(roles)
    ]
    program_of = {f"user{user}": programs[user // 10] for user in range(users)}

    def answer(user: str, permission: str) -> bool:
        return decide(program_of[user], Request(permission, Subject("user", user))).allowed

    asked = [(user, f"bench.data{data}.read") for user, data, _ in _asked(size, questions)]
    return asked, answer


def one_program(size: int, questions: int) -> World:
    """All rules are one subject's."""
    statements = (Statement(f"s{number}", permissions=(f"bench.data{number}.read",)) for number in range(size))
    program = _only(Policy("all", tuple(statements)))
    chosen = random.Random(size)
    verbs = ("read", "write")

    def answer(permission: str) -> bool:
        return decide(program, Request(permission)).allowed

    return [(f"bench.data{chosen.randrange(size)}.{verbs[n % 2]}",) for n in range(questions)], answer


def fast_enforcer(size: int, questions: int) -> World:
    """The same rules in casbin's faster enforcer, with its policies keyed by object and action."""
    import casbin
    from casbin.model import FastModel

    model = FastModel([1, 2])
    model.load_model_from_text(CASBIN_MODEL)
    enforcer = casbin.FastEnforcer(model, None, cache_key_order=[1, 2])
    users, roles = _sizes(size)
    enforcer.add_policies([[f"role{role}", f"data{role // 10}", "read"] for role in range(roles)])
    enforcer.add_grouping_policies([[f"user{user}", f"role{user // 10}"] for user in range(users)])
    asked = _asked(size, questions)
    for user, data, expected in asked:
        assert enforcer.enforce(user, f"data{data}", "read") is expected
    return [(user, f"data{data}", "read") for user, data, _ in asked[:40]], enforcer.enforce


def hundred(questions: int) -> World:
    """A hundred policies of one statement."""
    return one_program(100, questions)


def cedar(questions: int) -> World:
    """A hundred policies in cedarpy, parsed beforehand."""
    import cedarpy

    texts = [
        f'permit(principal == User::"u", action == Action::"read", resource == Data::"data{number}");'
        for number in range(100)
    ]
    policies = cedarpy.PolicySet.from_str("\n".join(texts))
    entities = cedarpy.Entities.from_json_str("[]")
    chosen = random.Random(100)

    def answer(request: dict[str, str]) -> bool:
        return bool(cedarpy.is_authorized(request, policies, entities).allowed)

    verbs = ("read", "write")
    asked = [
        {
            "principal": 'User::"u"',
            "action": f'Action::"{verbs[n % 2]}"',
            "resource": f'Data::"data{chosen.randrange(100)}"',
        }
        for n in range(questions)
    ]
    assert [answer(each) for each in asked[:2]] == [True, False]
    return [(each,) for each in asked], answer


def deny_override(questions: int) -> World:
    """A hundred allows by stars, of which a hundred denies take single things away."""
    allows = tuple(Statement(f"a{number}", permissions=(f"bench{number}.*.*",)) for number in range(100))
    denies = tuple(
        Statement(f"d{number}", Effect.DENY, permissions=(f"bench{number}.secrets.*",)) for number in range(100)
    )
    program = _only(Policy("allows", allows), Policy("denies", denies))
    kinds = ("things", "secrets")

    def answer(permission: str) -> bool:
        return decide(program, Request(permission)).allowed

    assert [answer(f"bench7.{kind}.get") for kind in kinds] == [True, False]
    return [(f"bench{n % 100}.{kinds[n % 2]}.get",) for n in range(questions)], answer


def five_conditions(questions: int) -> World:
    """Five rules for one right, of which the last holds."""
    texts = (
        'request.ip == "198.51.100.1"',
        'request.user_agent.startsWith("curl")',
        "!request.mfa",
        'inIpRange(request.ip, "10.0.0.0/8")',
        'request.time.getHours("Europe/Paris") < 20',
    )
    statements = (Statement(f"s{n}", permissions=("bench.things.get",), condition=text) for n, text in enumerate(texts))
    program = _only(Policy("p", tuple(statements)))
    context = Context(ip="192.0.2.1", time=NOON, user_agent="cli/1", mfa=True)

    def answer(permission: str) -> bool:
        return decide(program, Request(permission, context=context)).allowed

    assert answer("bench.things.get")
    return [("bench.things.get",)] * questions, answer


def nested(depth: int, questions: int) -> World:
    """A right of the topmost of so many groups, each of which has a policy of its own."""
    held = [
        Held(
            f"group:{level}",
            "statements",
            Policy(f"p{level}", (Statement(f"s{level}", permissions=(f"bench.level{level}.get",)),)),
        )
        for level in range(depth)
    ]
    program = compile_program(assemble(held, baselines()))
    asked = f"bench.level{depth - 1}.get"

    def answer(permission: str) -> bool:
        return decide(program, Request(permission)).allowed

    assert answer(asked)
    return [(asked,)] * questions, answer


# One small document of each language, and of those that have none their statements.
DOCUMENTS = {
    "statements": {
        "statements": [
            {"effect": "allow", "permissions": ["identity.*.get"]},
            {"effect": "deny", "permissions": ["identity.users.delete"]},
            {"effect": "allow", "permissions": ["groups.*.*"], "condition": "request.mfa"},
        ]
    },
    "role_rules": {"rules": [{"role_names": ["Reader"], "boundary": {"kind": "organization"}}]},
    "call_statements": {
        "statements": [
            {"effect": "allow", "api": ["Sim:list*", "Group:*"]},
            {"effect": "deny", "api": "Sim:deleteSim", "condition": "ipAddress('10.0.0.0/8')"},
        ]
    },
    "endpoint_rows": {
        "resources": [
            {"basePath": "/business-process", "path": "/contracts", "verb": "GET", "ipAddress": "*"},
            {"basePath": "*", "path": "/tickets/*", "verb": "*", "ipAddress": "192.0.2.0/24"},
        ]
    },
    "endpoint_scopes": {"allowed_endpoints": [{"path": "/v1/**", "method": "*"}], "denied_endpoints": []},
}
_ROLES = {"Reader": RoleView("Reader", ("identity.*.get", "product.*.get"), BoundaryKind.ORGANIZATION)}


def mixed(questions: int) -> World:
    """Ten policies of each language in one program, asked about permissions, operations and paths."""
    held = []
    for name, document in DOCUMENTS.items():
        language = LANGUAGES.get(name)
        if language is None:
            continue
        statements = language.parse(json.dumps(document))
        held.extend(Held(f"group:{n}", name, language.compile(f"{name}{n}", statements, _ROLES.get)) for n in range(10))
    program = compile_program(assemble(held, baselines()))
    context = Context(ip="192.0.2.1", time=NOON, user_agent="cli/1", mfa=True)

    def path(method: str, path: str) -> Request:
        there = Context(ip="192.0.2.1", time=NOON, method=method, path=path, path_class="other")
        return Request("external", context=there)

    asked = [
        (Request("identity.users.get", context=context), True),
        (Request("identity.users.delete", context=context), False),
        (Request("groups.groups.update", context=context), True),
        (path("GET", "/business-process/contracts/12"), True),
        (path("POST", "/business-process/contracts"), False),
        (path("POST", "/v1/apilog/tickets/1"), True),
    ]

    def answer(request: Request) -> bool:
        return decide(program, request).allowed

    for request, expected in asked:
        assert answer(request) is expected, request
    return [(asked[n % len(asked)][0],) for n in range(questions)], answer
