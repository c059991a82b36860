"""The shim behind its real HTTP server."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from concord.gateway.server import CannotListen, Gateway, caller_address
from concord.identity.v1.application_pb2 import Application
from concord.kernel.addresses import TrustedProxies
from concord.kernel.config import Address
from gateway.cores import SECRET_KEY, Shim

ID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
PATH = f"/iam/v1alpha1/applications/{ID}"
TOKEN = {"x-auth-token": SECRET_KEY}


@pytest.fixture
async def gateway(shim: Shim) -> AsyncIterator[Gateway]:
    shim.core.answers["GetApplication"] = Application(id=ID, name="one")
    served = Gateway(shim.app, Address("127.0.0.1", 0), drain_seconds=5.0)
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        yield client


async def test_a_free_port_is_found_and_told(gateway: Gateway) -> None:
    assert gateway.address.port > 0
    assert gateway.url == f"http://127.0.0.1:{gateway.address.port}"


async def test_a_request_is_served_over_a_socket(http: httpx.AsyncClient) -> None:
    answer = await http.get(PATH, headers=TOKEN)

    assert answer.status_code == 200
    assert answer.json()["name"] == "one"
    assert answer.headers["content-type"] == "application/json"


async def test_an_answer_without_body_keeps_its_content_type(shim: Shim, http: httpx.AsyncClient) -> None:
    from google.protobuf.empty_pb2 import Empty

    shim.core.answers["DeleteApplication"] = Empty()

    answer = await http.request("DELETE", PATH, headers=TOKEN, content=b"{}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["content-type"] == "application/json"
    assert "x-total-count" not in answer.headers


async def test_a_body_of_many_megabytes_is_refused(http: httpx.AsyncClient) -> None:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    answer = await http.post("/iam/v1alpha1/applications", headers=TOKEN, content=content())

    assert answer.status_code == 400
    assert answer.json()["details"][0]["argument_name"] == "body"


async def test_encoded_slashes_never_reach_another_route(http: httpx.AsyncClient) -> None:
    for path in ("/iam/v1alpha1/applications/..%2Fusers", "/iam/v1alpha1/applications/%2e%2e", "/iam/v1alpha1/%252e"):
        assert (await http.get(path, headers=TOKEN)).status_code in (400, 404)


async def test_a_second_server_on_the_same_port_is_refused(shim: Shim, gateway: Gateway) -> None:
    with pytest.raises(CannotListen):
        await Gateway(shim.app, gateway.address).start()


async def test_stopping_lets_requests_end(shim: Shim, gateway: Gateway) -> None:
    entered, release = asyncio.Event(), asyncio.Event()
    answer_at_once = shim.core.answer

    async def answer(*asked: object) -> object:
        entered.set()
        await release.wait()
        return await answer_at_once(*asked)  # type: ignore[arg-type]

    shim.core.answer = answer  # type: ignore[method-assign,assignment]
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        request = asyncio.create_task(client.get(PATH, headers=TOKEN))
        await entered.wait()
        stopping = asyncio.create_task(gateway.stop())
        await asyncio.sleep(0)
        release.set()

        assert (await request).status_code == 200
        await stopping


async def test_stopping_does_not_wait_for_ever(shim: Shim, gateway: Gateway) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def answer(*asked: object) -> object:
        entered.set()
        await release.wait()
        raise RuntimeError

    shim.core.answer = answer  # type: ignore[method-assign,assignment]
    async with httpx.AsyncClient(base_url=gateway.url, timeout=5) as client:
        request = asyncio.create_task(client.get(PATH, headers=TOKEN))
        await entered.wait()

        async with asyncio.timeout(3):
            await gateway.stop(0.1)

        release.set()
        await asyncio.gather(request, return_exceptions=True)


def test_only_trusted_proxies_are_believed() -> None:
    trusted = TrustedProxies(["10.0.0.0/8"])
    headers = {"x-forwarded-for": "203.0.113.9, 198.51.100.4"}

    assert caller_address(trusted, "10.1.2.3:555", headers) == "198.51.100.4"
    assert caller_address(trusted, "192.0.2.1:555", headers) == "192.0.2.1"
    assert caller_address(trusted, "[2001:db8::1]:555", {}) == "2001:db8::1"


def test_a_port_in_use_by_anybody_is_refused(shim: Shim) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address("127.0.0.1", taken.getsockname()[1])

        with pytest.raises(CannotListen):
            asyncio.run(Gateway(shim.app, address).start())
