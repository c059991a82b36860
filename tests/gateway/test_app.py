"""One request from its arrival to its answer."""

from datetime import timedelta

import pytest

from concord.gateway.http import BODY_LIMIT, DISCARD_LIMIT
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.application_service_pb2 import ListApplicationsResponse
from concord.kernel.errors import Reason, Unauthenticated, Unavailable
from gateway.cores import SECRET_KEY, Shim

ID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
ONE = f"/iam/v1alpha1/applications/{ID}"


@pytest.fixture
def served(shim: Shim) -> Shim:
    shim.core.answers["GetApplication"] = Application(id=ID, name="one")
    return shim


async def test_a_core_call_carries_passport_operation_caller_and_deadline(served: Shim) -> None:
    await served.send("GET", ONE)

    (asked,) = served.core.calls("GetApplication")
    assert asked.metadata == {
        "authorization": "Bearer passport-1",
        "concord-operation": "scaleway/GetApplication",
        "concord-service": "gateway-token",
        "concord-caller-address": "192.0.2.7",
        "concord-caller-agent": "test/1",
    }
    assert 0 < asked.timeout <= 15


async def test_authentication_says_who_shows_the_credential(served: Shim) -> None:
    await served.send("GET", ONE)

    (asked,) = served.core.calls("Authenticate")
    assert asked.message.api_key.secret == SECRET_KEY
    assert (asked.message.caller_address, asked.message.caller_agent) == ("192.0.2.7", "test/1")
    assert asked.metadata["concord-service"] == "gateway-token"


async def test_a_jwt_is_shown_as_a_bearer_token(served: Shim) -> None:
    await served.send("GET", ONE, token="aa.bb.cc")

    assert served.core.calls("Authenticate")[0].message.bearer_token == "aa.bb.cc"


async def test_a_passport_is_remembered_for_the_same_credential_and_caller(served: Shim) -> None:
    await served.send("GET", ONE)
    await served.send("GET", ONE)

    assert len(served.core.calls("Authenticate")) == 1


async def test_another_agent_gets_another_passport(served: Shim) -> None:
    await served.send("GET", ONE)
    await served.send("GET", ONE, headers={"user-agent": "x"})

    assert len(served.core.calls("Authenticate")) == 2


async def test_a_passport_is_forgotten_when_it_expires(served: Shim) -> None:
    await served.send("GET", ONE)
    served.clock.advance(timedelta(minutes=5))
    await served.send("GET", ONE)

    assert len(served.core.calls("Authenticate")) == 2


async def test_a_refused_remembered_passport_is_replaced_once(served: Shim) -> None:
    await served.send("GET", ONE)
    answers = iter([Unauthenticated(Reason.CREDENTIAL_EXPIRED), Application(id=ID)])
    served.core.answers["GetApplication"] = lambda request: next(answers)

    answer = await served.send("GET", ONE)

    assert answer.status == 200
    assert served.core.calls("GetApplication")[-1].metadata["authorization"] == "Bearer passport-2"


async def test_a_credential_that_ended_is_refused_at_the_next_call(served: Shim) -> None:
    await served.send("GET", ONE)
    served.core.answers["GetApplication"] = Unauthenticated(Reason.CREDENTIAL_REVOKED)
    served.core.answers["concord.credentials.v1.AuthenticationService/Authenticate"] = Unauthenticated(
        Reason.CREDENTIAL_INVALID
    )

    answer = await served.send("GET", ONE)

    assert answer.status == 401
    assert len(served.core.calls("GetApplication")) == 2


async def test_a_fresh_passport_that_is_refused_is_not_tried_again(served: Shim) -> None:
    served.core.answers["GetApplication"] = Unauthenticated(Reason.CREDENTIAL_REVOKED)

    answer = await served.send("GET", ONE)

    assert answer.status == 401
    assert len(served.core.calls("GetApplication")) == 1


async def test_a_refusal_is_not_remembered(served: Shim) -> None:
    rpc = "concord.credentials.v1.AuthenticationService/Authenticate"
    served.core.answers[rpc] = Unavailable("not yet")
    first = await served.send("GET", ONE)
    served.core.answers[rpc] = served.core.authenticate
    second = await served.send("GET", ONE)

    assert (first.status, second.status) == (503, 200)


async def test_an_agent_that_does_not_fit_into_metadata_is_made_to(served: Shim) -> None:
    await served.send("GET", ONE, headers={"user-agent": "unused"})
    served.core.asked.clear()
    scope_agent = "ü\n" + "x" * 400

    from gateway.cores import Protocol, Scope

    protocol = Protocol([])
    await served.app.__rsgi__(
        Scope("GET", ONE, "", [("user-agent", scope_agent), ("x-auth-token", SECRET_KEY)]), protocol
    )

    assert served.core.calls("GetApplication")[0].metadata["concord-caller-agent"] == "??" + "x" * 253


async def test_get_and_delete_take_a_body_without_a_content_type(served: Shim) -> None:
    served.core.answers["ListApplications"] = ListApplicationsResponse()

    answer = await served.send("GET", "/iam/v1alpha1/applications", {})

    assert answer.status == 200


async def test_a_body_that_says_it_is_far_too_large_is_not_read(served: Shim) -> None:
    chunks = [b" " * (BODY_LIMIT + DISCARD_LIMIT + 1)]

    answer = await served.send("POST", "/iam/v1alpha1/applications", chunks=chunks)

    assert answer.status == 400
    assert answer.read == 0


async def test_a_body_that_is_too_large_is_read_to_its_end_within_reason(served: Shim) -> None:
    chunks = [b" " * 65536] * 20

    answer = await served.send("POST", "/iam/v1alpha1/applications", chunks=chunks)

    assert answer.json()["details"][0]["argument_name"] == "body"
    assert answer.read == 20


async def test_a_body_that_never_ends_is_read_no_further(served: Shim) -> None:
    chunks = [b" " * 65536] * 1000

    answer = await served.send(
        "POST", "/iam/v1alpha1/applications", chunks=chunks, headers={"transfer-encoding": "chunked"}
    )

    assert answer.status == 400
    assert answer.read == 257


async def test_an_unexpected_failure_tells_nothing_of_itself(served: Shim, caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: object) -> object:
        raise RuntimeError("the secret is hunter2")

    served.core.answers["GetApplication"] = fail

    answer = await served.send("GET", ONE)

    assert (answer.status, answer.json()) == (500, {"message": "internal error", "type": "internal"})
    assert "scaleway/GetApplication" in caplog.text


async def test_a_failure_while_the_request_is_taken_apart_is_answered_too(served: Shim) -> None:
    def fail(client: str, headers: object) -> str:
        raise RuntimeError

    served.app._caller_address = fail  # type: ignore[assignment]

    assert (await served.send("GET", ONE)).status == 500


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/openapi/scaleway.json", "/docs", "/docs/scaleway"])
async def test_own_pages_need_no_credential(shim: Shim, path: str) -> None:
    answer = await shim.send("GET", path, token=None)

    assert answer.status == 200
    assert answer.content


async def test_own_pages_are_read_only(shim: Shim) -> None:
    answer = await shim.send("POST", "/healthz", {}, token=None)

    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/iam", "/iam/v1alpha1x", "/docs/other", "//healthz"])
async def test_paths_of_no_dialect_are_not_found(shim: Shim, path: str) -> None:
    assert (await shim.send("GET", path, token=None)).status == 404


async def test_the_documentation_page_loads_nothing_from_elsewhere(shim: Shim) -> None:
    page = await shim.send("GET", "/docs/scaleway", token=None)

    text = page.content.decode()
    assert "default-src 'none'" in (page.header("content-security-policy") or "")
    assert "<script" not in text
    assert "//" not in text.replace("<!doctype", "")
    assert "CreateAPIKey" in text


async def test_requests_are_counted_by_operation(served: Shim) -> None:
    await served.send("GET", ONE)

    metrics = (await served.send("GET", "/metrics")).content.decode()

    assert 'concord_http_requests_total{dialect="scaleway",operation="GetApplication",status="200"} 1.0' in metrics
