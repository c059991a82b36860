"""Nothing secret reaches a log, whatever goes wrong."""

import io
import json
import logging

import grpc
import grpc.aio
import pytest
import structlog

from concord.kernel.secret import Secret
from concord.kernel.telemetry import BLOT, blot, configure_logging
from kernel.rpc_fixtures import TRANSPORTS, GetThingRequest, open_world


@pytest.fixture
def log():
    stream = io.StringIO()
    configure_logging("json", "debug", stream)
    yield stream
    structlog.reset_defaults()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_kb15_a_defect_is_logged_with_its_call_and_without_the_callers_credential(transport, log):
    async with open_world(transport) as world:
        metadata = world.as_user()

        async def fail(request, context):
            header = next(value for key, value in context.invocation_metadata() if key == "authorization")
            raise RuntimeError(f"cannot parse {header} of postgresql://concord:hunter2@db/concord")

        world.servicer.handle = fail
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.stub.GetThing(GetThingRequest(), metadata=metadata)

    written = log.getvalue()
    entry = next(json.loads(line) for line in written.splitlines() if "call_failed" in line)
    assert entry["call_id"] in caught.value.details()
    assert "RuntimeError" in entry["exception"]
    assert metadata[0][1].removeprefix("Bearer ") not in written
    assert "hunter2" not in written


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refused_credential_is_not_logged(transport, log):
    async with open_world(transport) as world:
        for header in ("Bearer eyJhbGciOiJub25lIn0.e30.", "Basic c2VjcmV0", "Bearer plain-api-secret"):
            world.admitter.error = RuntimeError("down: plain")
            with pytest.raises(grpc.aio.AioRpcError):
                await world.stub.GetThing(GetThingRequest(), metadata=(("authorization", header),))

    assert "plain-api-secret" not in log.getvalue()
    assert "c2VjcmV0" not in log.getvalue()


def test_secrets_are_hidden_by_name_and_by_look_at_any_depth(log):
    structlog.get_logger().info(
        "made",
        password="p4ss",
        nested={"client_secret": "s3cr3t", "list": ["Bearer abcdefghijkl"]},
        wrapped=Secret("inside"),
        harmless="kept",
    )

    written = log.getvalue()
    assert not any(secret in written for secret in ("p4ss", "s3cr3t", "abcdefghijkl", "inside"))
    assert "kept" in written


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_libraries_log_is_hidden_too(style):
    stream = io.StringIO()
    configure_logging(style, "info", stream)
    try:
        raise RuntimeError("Bearer abcdefghijklmnop")
    except RuntimeError:
        logging.getLogger("library").exception("failed with %s", "secret-0123456789abcdef")
        structlog.get_logger().exception("failed")
    structlog.reset_defaults()

    written = stream.getvalue()
    assert written.count("RuntimeError") >= 2
    assert "abcdefghijklmnop" not in written
    assert "0123456789abcdef" not in written


def test_a_text_without_secrets_stays_as_it_is():
    assert blot("no user `u1` in this organization") == "no user `u1` in this organization"
    assert blot("key secret-0123456789abcdef") == f"key {BLOT}"
