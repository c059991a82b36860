"""After a run of everything, no issued secret lies anywhere but where it was meant to go.

Databases, their logs, the process's log, events and audit entries (which are rows of the databases), the answers
kept for repetitions and the mails are read as bytes and searched for every secret that was given out.
"""

import base64
import contextlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from concord.common.v1 import principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    authentication_service_pb2,
    authentication_service_pb2_grpc,
    mfa_service_pb2,
    mfa_service_pb2_grpc,
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_client_service_pb2_grpc,
    password_pb2,
    password_service_pb2,
    password_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    trust_policy_pb2,
    trust_policy_service_pb2,
    trust_policy_service_pb2_grpc,
)
from concord.identity.v1 import organization_service_pb2, organization_service_pb2_grpc
from concord.kernel.errors import Reason
from concord.kernel.rpc.status import from_rpc_error
from e2e.worlds import World, make_world
from processes import RunningSuite, serve_whole

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("at_rest")]

SECONDS = 30
# What the suite writes down on purpose: its own keys, and the first owner's credentials in a file of the owner's alone.
MEANT = re.compile(r"(^|/)(keys/[^/]+\.key|bootstrap\.json)$")


class Run:
    """Everything that gives out a secret, done once, and the secrets that came of it."""

    def __init__(self, suite: RunningSuite, world: World, channel: grpc.Channel) -> None:
        self.secrets: dict[str, str] = {}
        self.channel = channel
        self.world = world
        self.user = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=world.ids["user"])

    def call(self, stub: Any, rpc: str, request: Any, metadata: Any = None) -> Any:
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            # So that every answer is kept for its repetition.
            request.request_id = str(uuid.uuid4())
        shown = self.world.metadata if metadata is None else metadata
        return getattr(stub(self.channel), rpc)(request, metadata=shown, timeout=SECONDS)

    def keep(self, name: str, secret: str) -> str:
        assert len(secret) >= 6, name
        self.secrets[name] = secret
        return secret

    def keys(self) -> None:
        stub = api_key_service_pb2_grpc.ApiKeyServiceStub
        for recoverable in (False, True):
            made = self.call(
                stub,
                "CreateApiKey",
                api_key_service_pb2.CreateApiKeyRequest(
                    api_key=api_key_pb2.ApiKey(bearer=self.user, secret_recoverable=recoverable)
                ),
            )
            self.keep(f"key {recoverable}", made.secret)
            rotated = self.call(stub, "RotateApiKey", api_key_service_pb2.RotateApiKeyRequest(id=made.api_key.id))
            self.keep(f"rotated key {recoverable}", rotated.secret)
        shown = self.call(stub, "RevealApiKey", api_key_service_pb2.RevealApiKeyRequest(id=made.api_key.id))
        assert shown.secret == rotated.secret
        pair = authentication_service_pb2.ApiKeyCredential(secret=rotated.secret)
        session = self.call(
            session_service_pb2_grpc.SessionServiceStub,
            "CreateSession",
            session_service_pb2.CreateSessionRequest(api_key=pair),
            (),
        )
        self.keep("session token", session.access_token.token)
        authenticated = self.call(
            authentication_service_pb2_grpc.AuthenticationServiceStub,
            "Authenticate",
            authentication_service_pb2.AuthenticateRequest(bearer_token=session.access_token.token),
            (),
        )
        self.keep("passport", authenticated.passport)

    def clients(self) -> None:
        made = self.call(
            oauth_client_service_pb2_grpc.OAuthClientServiceStub,
            "CreateOAuthClient",
            oauth_client_service_pb2.CreateOAuthClientRequest(
                oauth_client=oauth_client_pb2.OAuthClient(bearer=self.user, grant_types=["client_credentials"])
            ),
        )
        self.keep("client secret", made.secret)

    def passwords(self) -> None:
        user_id = self.user.id
        password = self.keep("password", f"Correct-horse-{uuid.uuid4().hex}")
        stub = password_service_pb2_grpc.PasswordServiceStub
        self.call(stub, "SetPassword", password_service_pb2.SetPasswordRequest(user_id=user_id, password=password))
        device = self.call(
            mfa_service_pb2_grpc.MfaServiceStub,
            "CreateMfaDevice",
            mfa_service_pb2.CreateMfaDeviceRequest(user_id=user_id),
        )
        self.keep("seed", device.seed)
        login = password_pb2.Login(organization=self.world.ids["organization"], name=self.world.ids["username"])
        session = self.call(
            session_service_pb2_grpc.SessionServiceStub,
            "CreateSession",
            session_service_pb2.CreateSessionRequest(
                password=password_pb2.PasswordCredential(login=login, password=password)
            ),
            (),
        )
        self.keep("token of a login", session.access_token.token)
        wrong = self.keep("a password that was wrong", f"Wrong-{uuid.uuid4().hex}")
        with pytest.raises(grpc.RpcError) as caught:
            self.call(
                session_service_pb2_grpc.SessionServiceStub,
                "CreateSession",
                session_service_pb2.CreateSessionRequest(
                    password=password_pb2.PasswordCredential(login=login, password=wrong)
                ),
                (),
            )
        assert from_rpc_error(caught.value).reason is Reason.CREDENTIAL_INVALID  # type: ignore[arg-type]
        drawn = self.call(stub, "GeneratePassword", password_service_pb2.GeneratePasswordRequest(user_id=self.user.id))
        self.keep("temporary password", drawn.temporary_password)

    def recovery(self) -> None:
        self.call(
            password_service_pb2_grpc.PasswordServiceStub,
            "StartPasswordRecovery",
            password_service_pb2.StartPasswordRecoveryRequest(
                login=password_pb2.Login(organization=self.world.ids["organization"], name=self.world.ids["email"])
            ),
            (),
        )

    def trust(self, operator: int) -> None:
        name = f"srn:soracom:OP{operator:010d}::Operator:OP{operator:010d}"
        document = f'{{"statements": [{{"effect": "allow", "principal": {{"soracom": ["{name}"]}}}}]}}'
        stub = trust_policy_service_pb2_grpc.TrustPolicyServiceStub
        policy = trust_policy_pb2.TrustPolicy(user_id=self.user.id, language="call_trust", document=document)
        self.call(stub, "SetTrustPolicy", trust_policy_service_pb2.SetTrustPolicyRequest(trust_policy=policy))
        opened = self.call(stub, "AssumeUser", trust_policy_service_pb2.AssumeUserRequest(user_id=self.user.id))
        self.keep("token of an assumed session", opened.access_token.token)


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path, RunningSuite]]:
    """Run everything, and let the suite end as it should."""
    data_dir = tmp_path_factory.mktemp("at_rest") / "data"
    with contextlib.ExitStack() as ended:
        suite = serve_whole(data_dir, "--log-level", "debug")
        ended.callback(suite.stop)
        world = make_world(suite, "rest")
        with grpc.insecure_channel(suite.grpc("credentials")) as channel:
            run = Run(suite, world, channel)
            run.keep("owner's key", world.secret)
            organization = organization_service_pb2_grpc.OrganizationServiceStub(channel).GetOrganization(
                organization_service_pb2.GetOrganizationRequest(id=world.ids["organization"]),
                metadata=world.metadata,
                timeout=SECONDS,
            )
            run.keys()
            run.clients()
            run.passwords()
            run.recovery()
            run.trust(organization.number)
        for dialect, credentials in suite.bootstrap.items():
            if isinstance(credentials, dict):
                for name, value in credentials.items():
                    if re.search(r"secret|password|authKey$|token|native|api_key", name, re.IGNORECASE):
                        run.keep(f"{dialect} {name}", value)
        yield run.secrets, data_dir, suite


def spellings(secret: str) -> dict[bytes, str]:
    """A secret as it may stand somewhere: as it is, and in base64, whole groups of it at each offset."""
    raw = secret.encode()
    found = {raw: "as it is"}
    for offset in range(3):
        cut = raw[offset : offset + (len(raw) - offset) // 3 * 3]
        if len(cut) >= 9:
            found[base64.b64encode(cut)] = "in base64"
            found[base64.urlsafe_b64encode(cut)] = "in base64"
    return found


def files(data_dir: Path) -> list[Path]:
    everything = [path for path in data_dir.rglob("*") if path.is_file()]
    return [*everything, data_dir.with_suffix(".log")]


def test_no_issued_secret_lies_where_it_was_not_meant_to_go(rest: tuple[dict[str, str], Path, RunningSuite]) -> None:
    secrets, data_dir, _ = rest
    leaks = []
    looked = 0
    for path in files(data_dir):
        name = str(path.relative_to(data_dir.parent))
        if MEANT.search(name):
            continue
        content = path.read_bytes()
        looked += len(content)
        for what, secret in secrets.items():
            leaks += [f"{what} {how} in {name}" for text, how in spellings(secret).items() if text in content]

    assert len(secrets) >= 20
    assert looked > 100_000
    assert leaks == []


def test_the_search_would_find_a_secret(tmp_path: Path) -> None:
    secret = uuid.uuid4().hex
    for at, content in enumerate((secret.encode(), base64.b64encode(b"{" + secret.encode() + b"}"))):
        file = tmp_path / str(at)
        file.write_bytes(b"\x00" * 100 + content)
        assert any(text in file.read_bytes() for text in spellings(secret))


def test_a_mailed_secret_stands_in_its_mail_and_nowhere_else(rest: tuple[dict[str, str], Path, RunningSuite]) -> None:
    _, data_dir, _ = rest
    mails = [path for path in (data_dir / "mail").rglob("*") if path.is_file()]
    assert mails
    # Long words of letters and digits are what a mail carries of secrets.
    words = {word for path in mails for word in re.findall(rb"[A-Za-z0-9_.-]{32,}", path.read_bytes())}
    tokens = {word for word in words if re.search(rb"[0-9]", word) and b"@" not in word and b"example" not in word}
    assert tokens
    for path in files(data_dir):
        if path not in mails and not MEANT.search(str(path)):
            content = path.read_bytes()
            assert not [word for word in tokens if word in content], path.name
