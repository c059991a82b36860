"""A process from its ready line to its end: listeners, health, locks, what a signal does to calls under way."""

import ipaddress
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from concord.identity.v1 import application_pb2, application_service_pb2, application_service_pb2_grpc
from processes import SERVICES_ROOT, Process, RunningSuite, serve_whole

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

IAM = "/iam/v1alpha1"
OFFERED = {
    "identity": {"ApplicationService", "OrganizationService", "ProjectService", "UserService"},
    "credentials": {
        "ApiKeyService",
        "AuthenticationService",
        "FederationService",
        "OAuthClientService",
        "PasswordService",
        "SessionService",
        "SshKeyService",
        "StatusService",
        "TrustPolicyService",
    },
    "groups": {"GroupService", "MembershipService"},
    "policy": {"DecisionService", "PolicyService", "QuotaService", "RoleService"},
    "audit": {"AuditService"},
}
SHAPE = {
    "organization": {"id", "name", "project_id"},
    "native": {"access_token", "api_key"},
    "soracom": {"operatorId", "email", "password", "authKeyId", "authKey"},
    "ntt": {"consumerKey", "consumerSecret"},
    "scaleway": {"organization_id", "project_id", "access_key", "secret_key"},
    "emporix": {"tenant", "client_id", "client_secret"},
    "intdash": {"tenant_uuid", "username", "password", "client_id"},
}


def concord(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CONCORD_")}
    return subprocess.run(
        [sys.executable, "-m", "concord.suite.cli", *arguments],
        env={**env, "PYTHONPATH": str(SERVICES_ROOT), **(environment or {})},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def secret(suite: RunningSuite) -> str:
    value: str = suite.bootstrap["scaleway"]["secret_key"]
    return value


def services(address: str) -> set[str]:
    """Ask reflection for the services behind an address."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(address) as channel:
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]), timeout=10)
        return {each.name for answer in answers for each in answer.list_services_response.service}


@pytest.mark.parametrize("service", OFFERED)
def test_reflection_lists_a_services_rpcs_and_health_answers_for_each(suite: RunningSuite, service: str) -> None:
    offered = services(suite.grpc(service))

    assert {f"concord.{service}.v1.{name}" for name in OFFERED[service]} <= offered
    assert "concord.common.v1.ChangeFeedService" in offered
    assert "grpc.health.v1.Health" in offered
    with grpc.insecure_channel(suite.grpc(service)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", *(each for each in offered if each.startswith("concord."))):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="concord.nothing.v1.NothingService"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_bootstrap_json_has_its_shape_and_is_its_owners_alone(suite: RunningSuite) -> None:
    file = suite.data_dir / "bootstrap.json"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Databases hold more than the file does, and may lie in a folder that others can enter.
    open_to_others = [each.name for each in suite.data_dir.iterdir() if each.stat().st_mode & 0o077]
    assert open_to_others == []
    content = json.loads(file.read_text())
    assert {key: set(value) for key, value in content.items() if isinstance(value, dict)} == SHAPE
    assert set(content) == {"http", "grpc", *SHAPE}
    flat = [value for part in content.values() for value in (part.values() if isinstance(part, dict) else [part])]
    assert all(isinstance(value, str) and value for value in flat)
    assert content["scaleway"]["project_id"] == content["organization"]["id"]


def test_a_lost_bootstrap_json_is_mended_with_new_credentials(suite: RunningSuite) -> None:
    file = suite.data_dir / "bootstrap.json"
    original = json.loads(file.read_text())
    siblings = {f"CONCORD_{name.upper()}_ADDRESS": address for name, address in suite.addresses.items()}
    file.unlink()
    try:
        mended = concord(
            "init", "--new-owner-credentials", "--data-dir", str(suite.data_dir),
            "--http", suite.http.removeprefix("http://"), environment=siblings,
        )  # fmt: skip
        assert mended.returncode == 0, mended.stderr
        facts = json.loads(file.read_text())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        # The new password ended the owner's sessions; other tests read the file and want one that is good.
        original["native"]["access_token"] = facts["native"]["access_token"]
        suite.bootstrap["native"]["access_token"] = facts["native"]["access_token"]
    finally:
        file.write_text(json.dumps(original))

    assert facts["organization"] == suite.bootstrap["organization"]
    assert facts["scaleway"]["secret_key"] != secret(suite)
    for key in (facts["scaleway"]["secret_key"], secret(suite)):
        answer = httpx.get(f"{suite.http}{IAM}/users", headers={"x-auth-token": key}, timeout=20)
        assert answer.status_code == 200
    assert all(value not in mended.stdout + mended.stderr for value in facts["scaleway"].values())


def test_a_bootstrap_json_that_was_taken_away_stays_away_until_it_is_asked_for(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    named = {"CONCORD_ORGANIZATION_NAME": "Ada's", "CONCORD_OWNER_EMAIL": "ada@ada.example"}
    born = serve_whole(data_dir, environment=named)
    assert born.bootstrap["organization"]["name"] == "Ada's"
    assert born.bootstrap["soracom"]["email"] == "ada@ada.example"
    headers = {"x-auth-token": secret(born)}
    keys = httpx.get(f"{born.http}{IAM}/api-keys", headers=headers, timeout=20).json()["api_keys"]
    native = next(each["access_key"] for each in keys if each["access_key"].startswith("key-"))
    deleted = httpx.delete(f"{born.http}{IAM}/api-keys/{native}", headers=headers, timeout=20)
    assert deleted.status_code == 204
    born.stop()
    # Its own key is gone: that does not keep the suite from starting.
    serve_whole(data_dir).stop()
    file = data_dir / "bootstrap.json"
    file.unlink()

    process = Process("serve", "--data-dir", str(data_dir), "--port", "0", log=tmp_path / "log")
    try:
        ready = process.wait_ready()
        assert set(ready) == {"ready", "http", "grpc"}
        assert not file.exists()
        kept = httpx.get(f"{ready['http']}{IAM}/api-keys", headers=headers, timeout=20).json()
        assert kept["total_count"] == len(keys) - 1
        where = ("--data-dir", str(data_dir), "--grpc", ready["grpc"], "--http", ready["http"].removeprefix("http://"))
        refused = concord("init", *where)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--new-owner-credentials" in refused.stderr
        made = concord("init", "--new-owner-credentials", *where)
        assert made.returncode == 0, made.stderr
        fresh = json.loads(file.read_text())["scaleway"]["secret_key"]
        assert fresh != secret(born)
        for key in (fresh, secret(born)):
            answer = httpx.get(f"{ready['http']}{IAM}/users", headers={"x-auth-token": key}, timeout=20)
            assert answer.status_code == 200
    finally:
        assert process.stop() == 0


class Caller(threading.Thread, ABC):
    """Counts in one application's description, from one write to the next, until it is refused."""

    def __init__(self, suite: RunningSuite, application: str) -> None:
        super().__init__(daemon=True)
        self.suite = suite
        self.application = application
        self.answered = 0
        self.end = ""

    def run(self) -> None:
        """Write until the first call that is not answered OK."""
        try:
            while not self.end:
                self.end = self.write(str(self.answered + 1))
                self.answered += not self.end
        except Exception as error:
            self.end = repr(error)

    @abstractmethod
    def write(self, text: str) -> str:
        """Write the text; return how that was refused, or nothing."""


class HttpCaller(Caller):
    """Through the REST shim, over one kept connection."""

    clean = frozenset({"ConnectError", "ReadError", "RemoteProtocolError", "503"})

    def run(self) -> None:
        with httpx.Client(base_url=self.suite.http, headers={"x-auth-token": secret(self.suite)}, timeout=20) as client:
            self.client = client
            super().run()

    def write(self, text: str) -> str:
        try:
            answer = self.client.patch(f"{IAM}/applications/{self.application}", json={"description": text})
        except httpx.TransportError as error:
            return type(error).__name__
        return "" if answer.status_code == 200 else str(answer.status_code)


class GrpcCaller(Caller):
    """Through the core's own rpc."""

    clean = frozenset({"UNAVAILABLE"})

    def run(self) -> None:
        with grpc.insecure_channel(self.suite.grpc("identity"), [("grpc.use_local_subchannel_pool", 1)]) as channel:
            self.stub = application_service_pb2_grpc.ApplicationServiceStub(channel)
            super().run()

    def write(self, text: str) -> str:
        request = application_service_pb2.UpdateApplicationRequest(
            application=application_pb2.Application(id=self.application, description=text),
            update_mask=FieldMask(paths=["description"]),
        )
        metadata = (("authorization", f"Bearer {self.suite.bootstrap['native']['api_key']}"),)
        try:
            self.stub.UpdateApplication(request, metadata=metadata, timeout=20)
        except grpc.RpcError as error:
            return str(error.code().name)
        return ""


def test_calls_accepted_before_the_signal_finish_and_later_ones_are_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    suite = serve_whole(data_dir)
    process = suite.processes["all"]
    with httpx.Client(base_url=suite.http, headers={"x-auth-token": secret(suite)}, timeout=20) as client:
        made = [client.post(f"{IAM}/applications", json={"name": "counter"}).json()["id"] for _ in range(30)]
    callers = [(HttpCaller if i % 2 else GrpcCaller)(suite, application) for i, application in enumerate(made)]
    for caller in callers:
        caller.start()
    while not all(caller.answered for caller in callers):
        assert not [caller.end for caller in callers if caller.end]
        time.sleep(0.02)

    started = time.monotonic()
    # In the middle of the writes: each caller has one under way nearly always.
    status = process.stop()
    assert status == 0
    assert time.monotonic() - started < 10
    for caller in callers:
        caller.join(30)
    assert [caller.end for caller in callers if caller.end not in caller.clean] == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{suite.http}/healthz")

    again = serve_whole(data_dir)
    try:
        with httpx.Client(base_url=again.http, headers={"x-auth-token": secret(again)}, timeout=20) as client:
            kept = {each: client.get(f"{IAM}/applications/{each}").json()["description"] for each in made}
        # Not one write more than was answered, and not one less.
        assert kept == {caller.application: str(caller.answered) for caller in callers}
        assert again.bootstrap["organization"] == suite.bootstrap["organization"]
        assert secret(again) == secret(suite)
        refused_second_server(data_dir, again)
        again.processes["all"].process.send_signal(signal.SIGINT)
        assert again.processes["all"].process.wait(20) == 0
    finally:
        again.stop()


def refused_second_server(data_dir: Path, suite: RunningSuite) -> None:
    """A second server for the same data, and one for the same port, end at once and say why."""
    second = concord("serve", "--data-dir", str(data_dir), "--port", "0")
    assert second.returncode == 2
    assert second.stderr.strip() == "concord: another process serves `identity` from this data directory"
    taken = suite.http.removeprefix("http://")
    other = concord("serve", "--data-dir", str(data_dir.with_name("other")), "--http", taken, "--grpc", "127.0.0.1:0")
    assert other.returncode == 2
    assert "Traceback" not in other.stderr
    assert taken in other.stderr
    taken = suite.grpc("identity")
    other = concord("serve", "--data-dir", str(data_dir.with_name("other")), "--http", "127.0.0.1:0", "--grpc", taken)
    assert other.returncode == 2
    assert "Traceback" not in other.stderr
    assert taken in other.stderr


def test_an_ephemeral_suite_says_where_it_is_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    process = Process(
        "serve", "--ephemeral", "--port", "0", log=tmp_path / "log", environment={"TMPDIR": str(tmp_path)}
    )
    ready = process.wait_ready()

    assert set(ready) == {"ready", "http", "grpc", "bootstrap"}
    assert ready["ready"] is True
    bootstrap = Path(ready["bootstrap"])
    assert tmp_path in bootstrap.parents
    assert stat.S_IMODE(bootstrap.parent.stat().st_mode) == 0o700
    facts = json.loads(bootstrap.read_text())
    assert (facts["http"], facts["grpc"]) == (ready["http"], ready["grpc"])
    assert httpx.get(f"{ready['http']}/healthz", timeout=10).json() == {"status": "serving"}
    assert process.stop() == 0
    assert process._lines.get(timeout=5) is None  # nothing followed the ready line
    assert [each.name for each in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("listener", ["--http", "--grpc"])
def test_plain_text_is_not_offered_to_a_network_unless_that_was_asked_for(tmp_path: Path, listener: str) -> None:
    other = "--grpc" if listener == "--http" else "--http"
    refused = concord("serve", "--data-dir", str(tmp_path / "data"), listener, "0.0.0.0:0", other, "127.0.0.1:0")

    assert refused.returncode == 2
    assert refused.stderr.strip() == "concord: `0.0.0.0:0` can be reached from outside: give it a certificate"
    assert refused.stdout == ""


def test_plain_text_is_offered_to_a_network_when_that_was_asked_for(tmp_path: Path) -> None:
    process = Process(
        "serve", "--ephemeral", "--insecure-listen", "--http", "0.0.0.0:0", "--grpc", "0.0.0.0:0", log=tmp_path / "log"
    )
    ready = process.wait_ready()
    port = ready["http"].rpartition(":")[2]

    assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200
    assert process.stop() == 0


class Authority:
    """A certificate authority made for one test, and what it signed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.certificate = self._sign("authority", self.key.public_key(), authority=True)
        self.file = directory / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the files of a new certificate for this machine and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_bytes(self._sign(name, key.public_key()).public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, private

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool = False) -> x509.Certificate:
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def test_both_listeners_take_a_certificate_and_ask_clients_for_theirs(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    certificate, key = authority.issue("server")
    own, own_key = authority.issue("client")
    process = Process(
        "serve", "--data-dir", str(tmp_path / "data"), "--port", "0",
        "--tls-cert", str(certificate), "--tls-key", str(key), "--client-ca", str(authority.file),
        log=tmp_path / "log",
    )  # fmt: skip
    try:
        ready = process.wait_ready()
        trusting = ssl.create_default_context(cafile=str(authority.file))
        assert ready["http"].startswith("https://127.0.0.1:")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{ready['http']}/healthz", verify=trusting, timeout=10)
        trusting.load_cert_chain(own, own_key)
        assert httpx.get(f"{ready['http']}/healthz", verify=trusting, timeout=10).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(ready["http"].replace("https", "http") + "/healthz", timeout=10)

        roots = authority.file.read_bytes()
        known = grpc.ssl_channel_credentials(roots, own_key.read_bytes(), own.read_bytes())
        assert serving(ready["grpc"], known)
        assert not serving(ready["grpc"], grpc.ssl_channel_credentials(roots))
        assert not serving(ready["grpc"], None)
    finally:
        assert process.stop() == 0


def serving(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether health answers a channel with these credentials."""
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.RpcError as error:
            return error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_a_signal_during_the_start_ends_it_cleanly(tmp_path: Path) -> None:
    process = Process("serve", "--data-dir", str(tmp_path / "data"), "--port", "0", log=tmp_path / "log")
    locks = tmp_path / "data" / "locks"
    end = time.monotonic() + 20
    while not locks.exists() and time.monotonic() < end:
        time.sleep(0.005)

    assert process.stop() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
