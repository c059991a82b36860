"""What may be stored, as far as no language says it."""

import pytest

from concord.kernel.errors import Invalid
from concord.kernel.ids import StatementId
from concord.policy.compiling import MAX_CONDITIONS, check_statements, compile_ceiling
from concord.policy.engine import Context, Endpoint, Request, decide, owner_program
from concord.policy.engine.model import BoundaryKind
from concord.policy.languages import RoleView, SourceStatement
from concord.policy.languages.path_classes import locate
from concord.policy.model import Statement


def _conditioned(text: str) -> Statement:
    return Statement(StatementId("s"), permissions=("a.b.c",), condition=text)


def test_conditions_of_one_policy_are_bounded_in_all() -> None:
    text = "true" + " " * 996
    most = MAX_CONDITIONS // len(text)
    check_statements("statements", [_conditioned(text)] * most)

    with pytest.raises(Invalid) as refusal:
        check_statements("statements", [_conditioned(text)] * (most + 1))

    assert refusal.value.violations[0].field == "statements"


def test_a_condition_that_may_take_too_long_is_refused_with_its_place() -> None:
    hostile = "['x']" + ".map(a,a+a+a+a+a+a+a+a)" * 8 + ".size() > 0"

    with pytest.raises(Invalid) as refusal:
        check_statements("statements", [_conditioned("true"), _conditioned(hostile)])

    assert refusal.value.violations[0].field == "statements[1].condition"


SCOPES = {
    "users:r": RoleView(
        "users:r",
        (),
        BoundaryKind.ORGANIZATION,
        (
            SourceStatement(
                endpoints=(Endpoint("/auth/users/**", "GET"),), denied_endpoints=(Endpoint("/auth/users/*/tokens"),)
            ),
            SourceStatement(permissions=("iscp.messages.ping",)),
        ),
    ),
    "narrow": RoleView(
        "narrow",
        (),
        BoundaryKind.ORGANIZATION,
        (SourceStatement(endpoints=(Endpoint("/auth/**"),), condition="false"),),
    ),
    "listers": RoleView("listers", ("identity.users.list",), BoundaryKind.ORGANIZATION),
}


def _passes(scopes: list[str], method: str, path: str, permission: str = "") -> bool:
    ceiling = compile_ceiling(scopes, SCOPES.get)
    request = locate(Request(permission, context=Context(method=method, path=path)))
    return decide(owner_program(), request, ceiling).allowed


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/auth/users/u1", True),
        ("GET", "/api/auth/users/u1", True),
        ("GET", "/auth/projects/11111111-1111-4111-8111-111111111111/users", False),
        ("POST", "/auth/users/u1", False),
        ("GET", "/auth/users/u1/tokens", False),
        ("GET", "/auth/groups", False),
        ("GET", "", False),
    ],
)
def test_a_ceiling_of_an_endpoint_scope_lets_its_paths_through_and_no_others(
    method: str, path: str, expected: bool
) -> None:
    assert _passes(["users:r"], method, path, "auth.anything.do") is expected
    # What else it is lowered to adds its own and no more.
    assert _passes(["openid", "users:r", "listers"], method, path, "auth.anything.do") is expected


def test_a_ceiling_of_a_scope_passes_its_messages_and_never_what_the_language_could_not_say() -> None:
    assert _passes(["users:r"], "", "", "iscp.messages.ping")
    assert not _passes(["users:r"], "", "", "iscp.messages.pong")
    assert not _passes(["narrow"], "GET", "/auth/users/u1")
    assert _passes(["listers", "users:r"], "", "", "identity.users.list")
    assert not _passes(["users:r"], "", "", "identity.users.list")
    assert not _passes([], "GET", "/auth/users/u1")
