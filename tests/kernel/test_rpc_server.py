"""What a server does besides answering calls: health, reflection, draining, TLS, caution about where it listens."""

import asyncio
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from concord.kernel.clock import SystemClock
from concord.kernel.errors import Unavailable
from concord.kernel.rpc.channels import ChannelTls, open_channel, wait_until_ready
from concord.kernel.rpc.server import Listener, UnsafeListener, build_grpc_server
from concord.kernel.rpc.status import from_rpc_error
from kernel.rpc_fixtures import SERVICE, TRANSPORTS, GetThingRequest, Stub, Thing, add_servicer, open_world


async def health_of(channel, service):
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def test_health_answers_for_every_service_without_a_credential():
    async with open_world("grpc") as world:
        assert [await health_of(world.channel, name) for name in ("", SERVICE)] == ["SERVING", "SERVING"]


async def test_a_server_does_not_say_that_it_serves_before_it_is_ready():
    async with open_world("grpc") as world:
        server = build_grpc_server(Listener("127.0.0.1:0"), [(add_servicer, world.servicer)], world.steps.chain())
        address = await server.start()
        async with open_channel(address) as channel:
            before = await health_of(channel, SERVICE)
            await server.ready()
            after = await health_of(channel, SERVICE)
        await server.stop(0)

    assert (before, after) == ("NOT_SERVING", "SERVING")


async def test_reflection_names_the_services_without_a_credential():
    async with open_world("grpc") as world:
        stub = reflection_pb2_grpc.ServerReflectionStub(world.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]

    assert SERVICE in {service.name for service in answers[0].list_services_response.service}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_draining_finishes_accepted_calls_and_refuses_later_ones(transport):
    release, started = asyncio.Event(), asyncio.Event()

    async def wait(request, context):
        started.set()
        await release.wait()
        return Thing(name="done")

    async with open_world(transport) as world:
        world.servicer.handle = wait
        accepted = asyncio.ensure_future(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))
        await started.wait()
        stopping = asyncio.create_task(world.stop(10))
        await asyncio.sleep(0.05)

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())
        release.set()
        answer = await accepted
        await asyncio.wait_for(stopping, 5)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert answer.name == "done"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_draining_has_a_limit(transport):
    started = asyncio.Event()

    async def wait(request, context):
        started.set()
        await asyncio.sleep(60)

    async with open_world(transport) as world:
        world.servicer.handle = wait
        stuck = asyncio.ensure_future(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))
        await started.wait()

        await asyncio.wait_for(world.stop(0.1), 5)

        with pytest.raises(grpc.aio.AioRpcError):
            await stuck


async def test_draining_ends_streams_at_once_and_says_why():
    async with open_world("grpc") as world:
        call = world.stub.Chat(metadata=world.as_user())
        await call.write(GetThingRequest(text="hello"))
        await call.read()

        await asyncio.wait_for(world.stop(30), 5)

        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
    assert isinstance(from_rpc_error(ended.value), Unavailable)


async def test_a_port_that_is_taken_is_not_shared():
    async with open_world("grpc") as world:
        second = build_grpc_server(Listener(world.address), [], world.steps.chain())

        with pytest.raises(OSError, match="cannot listen"):
            await second.start()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:50051", "example.org:50051"])
async def test_plaintext_is_not_offered_to_a_network_unless_told(address):
    async with open_world("inprocess") as world:
        with pytest.raises(UnsafeListener):
            build_grpc_server(Listener(address), [], world.steps.chain())

        assert build_grpc_server(Listener(address, plaintext_allowed=True), [], world.steps.chain())


async def test_waiting_for_a_sibling_that_is_not_there_has_an_end():
    async with open_channel("127.0.0.1:1") as channel:
        with pytest.raises(Unavailable, match="identity"):
            await wait_until_ready(channel, 0.1, "identity")


@dataclass(frozen=True)
class Files:
    certificate: Path
    key: Path
    client_authority: Path | None = None


def issue(folder, name, issuer=None):
    """Write a certificate for this machine's loopback, signed by `issuer` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.key").write_bytes(pem)
    return certificate, key


@pytest.fixture
def certificates(tmp_path):
    authority = issue(tmp_path, "authority")
    issue(tmp_path, "server", authority)
    issue(tmp_path, "client", authority)
    issue(tmp_path, "stranger")
    return tmp_path


@pytest.mark.parametrize(
    ("client", "served"), [(None, False), ("client", True), ("stranger", False)], ids=["none", "ours", "a stranger's"]
)
async def test_a_server_with_a_client_authority_serves_its_clients_only(certificates, client, served):
    files = Files(certificates / "server.pem", certificates / "server.key", certificates / "authority.pem")
    shown = (certificates / f"{client}.pem", certificates / f"{client}.key") if client else (None, None)
    async with open_world("inprocess") as world:
        server = build_grpc_server(
            Listener("127.0.0.1:0", tls=files), [(add_servicer, world.servicer)], world.steps.chain()
        )
        address = await server.start()
        async with open_channel(address, ChannelTls(certificates / "authority.pem", *shown)) as channel:
            call = Stub(channel).Ping(GetThingRequest(), timeout=5)
            if served:
                assert await call
            else:
                with pytest.raises(grpc.aio.AioRpcError):
                    await call
        await server.stop(0)
