"""Refusals that every operation has, generated from the route table."""

import json
from typing import Any

import pytest

from concord.gateway.app import DIALECTS
from concord.gateway.http import BODY_LIMIT
from concord.gateway.route import Route
from concord.gateway.shapes import UUID_RULE
from concord.kernel.errors import Reason, Unauthenticated
from gateway.cores import SECRET_KEY, Shim

ROUTES = [route for dialect in DIALECTS for route in dialect.routes]
BODIES = [route for route in ROUTES if route.body is not None]
BY_UUID = [route for route in ROUTES if any(shape.rule is UUID_RULE for shape in route.path_shapes.values())]
ID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
PAGED = [route for route in ROUTES if route.query is not None and hasattr(route.query.shape, "page")]


def named(routes: list[Route]) -> Any:
    return pytest.mark.parametrize("route", routes, ids=[route.operation for route in routes])


def target(route: Route, value: str = ID) -> str:
    path = route.path
    for name in route.path_shapes:
        path = path.replace("{" + name + "}", value)
    return path


def only(status: int, answer: Any, body: dict[str, Any]) -> None:
    assert answer.status == status
    assert answer.json() == body
    assert list(answer.json()) == sorted(answer.json())
    assert [value for name, value in answer.headers if name == "content-type"] == ["application/json"]


@named(ROUTES)
async def test_without_a_token(shim: Shim, route: Route) -> None:
    only(
        401,
        await shim.send(route.method, target(route), token=None),
        {
            "message": "authentication is denied",
            "method": "unknown_method",
            "reason": "invalid_argument",
            "type": "denied_authentication",
        },
    )
    assert shim.core.asked == []


@named(ROUTES)
async def test_with_a_token_of_no_known_form(shim: Shim, route: Route) -> None:
    answer = await shim.send(route.method, target(route), token="hunter2")

    only(
        401,
        answer,
        {
            "message": "authentication is denied",
            "method": "api_key",
            "reason": "invalid_argument",
            "type": "denied_authentication",
        },
    )
    assert shim.core.asked == []


@named(ROUTES)
@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.CREDENTIAL_INVALID, "not_found"),
        (Reason.CREDENTIAL_REVOKED, "not_found"),
        (Reason.CREDENTIAL_EXPIRED, "expired"),
        (Reason.PRINCIPAL_SUSPENDED, "unknown_reason"),
    ],
)
async def test_with_a_token_that_does_not_authenticate(shim: Shim, route: Route, reason: Reason, told: str) -> None:
    shim.core.answers["Authenticate"] = Unauthenticated(reason)

    only(
        401,
        await shim.send(route.method, target(route)),
        {
            "message": "authentication is denied",
            "method": "api_key",
            "reason": told,
            "type": "denied_authentication",
        },
    )
    assert {asked.rpc.rpartition("/")[2] for asked in shim.core.asked} == {"Authenticate"}


@named(BY_UUID)
@pytest.mark.parametrize("value", ["x", "0", ID + "0", ID.replace("-", ""), "{" + ID + "}", "..", "a:b#@*"])
async def test_with_a_malformed_uuid(shim: Shim, route: Route, value: str) -> None:
    answer = await shim.send(route.method, target(route, value).replace("#", "%23"))

    assert answer.status == 400
    assert answer.json()["type"] == "invalid_arguments"
    assert {
        "argument_name": next(iter(route.path_shapes)),
        "help_message": "value must be a valid UUID",
        "reason": "format",
    } in answer.json()["details"]
    assert {asked.rpc.rpartition("/")[2] for asked in shim.core.asked} <= {"Authenticate"}


@named(ROUTES)
async def test_with_another_method(shim: Shim, route: Route) -> None:
    answer = await shim.send("OPTIONS", target(route))

    only(405, answer, {"message": "method not allowed", "type": "method_not_allowed"})
    assert route.method in (answer.header("allow") or "").split(", ")


@named(ROUTES)
async def test_with_more_body_than_is_read(shim: Shim, route: Route) -> None:
    answer = await shim.send(route.method, target(route), chunks=[b" " * (BODY_LIMIT + 1)])

    only(
        400,
        answer,
        {
            "details": [
                {"argument_name": "body", "help_message": "the body is larger than 1 MiB", "reason": "constraint"}
            ],
            "message": "invalid argument(s)",
            "type": "invalid_arguments",
        },
    )


@named(BODIES)
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"nonsense", b'{"a":}'])
async def test_with_a_body_that_is_no_json(shim: Shim, route: Route, content: bytes) -> None:
    answer = await shim.send(route.method, target(route), chunks=[content])

    only(
        400,
        answer,
        {
            "details": [{"argument_name": "body", "help_message": "must be a valid JSON object", "reason": "format"}],
            "message": "invalid argument(s)",
            "type": "invalid_arguments",
        },
    )


@named(BODIES)
@pytest.mark.parametrize("content", [[], "x", 5, True, None])
async def test_with_a_body_that_is_no_object(shim: Shim, route: Route, content: Any) -> None:
    answer = await shim.send(route.method, target(route), chunks=[json.dumps(content).encode()])

    assert answer.status == 400
    assert answer.json()["details"][0]["argument_name"] == "body"


@named(PAGED)
@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page_size=0", "page_size=101", "page_size=1.5"])
async def test_with_a_page_that_cannot_be(shim: Shim, route: Route, query: str) -> None:
    answer = await shim.send(route.method, f"{target(route)}?{query}")

    assert answer.status == 400
    assert query.partition("=")[0] in {detail["argument_name"] for detail in answer.json()["details"]}


@named([route for route in PAGED if route.operation != "ListRules"])
async def test_with_an_order_that_there_is_not(shim: Shim, route: Route) -> None:
    answer = await shim.send(route.method, f"{target(route)}?order_by=shoe_size_asc")

    assert answer.status == 400
    assert "order_by" in {detail["argument_name"] for detail in answer.json()["details"]}


async def test_unknown_paths_are_refused_in_the_dialects_own_words(shim: Shim) -> None:
    only(
        404, await shim.send("GET", "/iam/v1alpha1/nonsense"), {"message": "resource is not found", "type": "not_found"}
    )


def test_the_token_is_never_part_of_a_refusal() -> None:
    assert SECRET_KEY not in repr(ROUTES)
