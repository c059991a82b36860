"""One really served suite for all attacks, and the people who try them."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    authentication_service_pb2_grpc,
    oauth_client_service_pb2_grpc,
    password_service_pb2_grpc,
    session_service_pb2_grpc,
)
from concord.identity.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc
from concord.policy.v1 import (
    decision_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    statement_pb2,
    subject_pb2,
)
from processes import RunningSuite, running, serve_whole

Metadata = tuple[tuple[str, str], ...]

_numbers = itertools.count()


def bearer(secret: str, *more: tuple[str, str]) -> Metadata:
    """What somebody with this secret sends."""
    return (("authorization", f"Bearer {secret}"), *more)


def a_user(user_id: str) -> principal_pb2.PrincipalRef:
    """A user as messages name one."""
    return principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=user_id)


def code_of(call: Callable[..., Any], request: Any, metadata: Metadata, seconds: float = 20) -> str:
    """Make a call and return the name of its code."""
    try:
        call(request, metadata=metadata, timeout=seconds)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@dataclass
class Attacked:
    """The suite under attack: its stubs, its owner, and ways of making accomplices."""

    suite: RunningSuite
    channel: grpc.Channel
    owner_id: str = ""
    keys: Any = field(init=False)
    clients: Any = field(init=False)
    sessions: Any = field(init=False)
    passwords: Any = field(init=False)
    authentication: Any = field(init=False)
    users: Any = field(init=False)
    policies: Any = field(init=False)
    decisions: Any = field(init=False)

    def __post_init__(self) -> None:
        self.keys = api_key_service_pb2_grpc.ApiKeyServiceStub(self.channel)
        self.clients = oauth_client_service_pb2_grpc.OAuthClientServiceStub(self.channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.passwords = password_service_pb2_grpc.PasswordServiceStub(self.channel)
        self.authentication = authentication_service_pb2_grpc.AuthenticationServiceStub(self.channel)
        self.users = user_service_pb2_grpc.UserServiceStub(self.channel)
        self.policies = policy_service_pb2_grpc.PolicyServiceStub(self.channel)
        self.decisions = decision_service_pb2_grpc.DecisionServiceStub(self.channel)
        found = self.users.ListUsers(
            user_service_pb2.ListUsersRequest(kinds=[user_pb2.USER_KIND_OWNER]), metadata=self.owner
        )
        self.owner_id = found.users[0].id

    @property
    def organization_id(self) -> str:
        return str(self.suite.bootstrap["organization"]["id"])

    @property
    def owner(self) -> Metadata:
        """What the organization's owner sends."""
        return bearer(self.suite.bootstrap["native"]["api_key"])

    def member(self) -> str:
        """Make a member without rights and return the id."""
        name = f"member-{next(_numbers)}"
        user = user_pb2.User(kind=user_pb2.USER_KIND_MEMBER, username=name, primary_email=f"{name}@attacked.example")
        made = self.users.CreateUser(user_service_pb2.CreateUserRequest(user=user), metadata=self.owner)
        return str(made.id)

    def key_request(self, user_id: str, **key: Any) -> api_key_service_pb2.CreateApiKeyRequest:
        return api_key_service_pb2.CreateApiKeyRequest(
            api_key=api_key_pb2.ApiKey(bearer=a_user(user_id), **key),
            key_format=api_key_pb2.KeyFormat(access_id_prefix="key-", secret_prefix="cnc_"),
        )

    def key(self, user_id: str, **key: Any) -> Any:
        """Make a key for a user, as the owner."""
        return self.keys.CreateApiKey(self.key_request(user_id, **key), metadata=self.owner)

    def statement(self, **said: Any) -> statement_pb2.Statement:
        """A statement over the whole organization."""
        said.setdefault("effect", statement_pb2.EFFECT_ALLOW)
        boundary = boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id=self.organization_id
        )
        return statement_pb2.Statement(**{"boundary": boundary, **said})

    def grant(self, user_id: str, *statements: statement_pb2.Statement) -> Any:
        """Give a user a policy."""
        policy = policy_pb2.Policy(
            name=f"policy-{next(_numbers)}",
            language="statements",
            subject=subject_pb2.PolicySubject(principal=a_user(user_id)),
            statements=statements,
        )
        return self.policies.CreatePolicy(policy_service_pb2.CreatePolicyRequest(policy=policy), metadata=self.owner)

    def delegate(self, *statements: statement_pb2.Statement) -> tuple[str, str]:
        """Make a member with these rights; return its id and the secret of a key of its."""
        user_id = self.member()
        if statements:
            self.grant(user_id, *statements)
        return user_id, str(self.key(user_id).secret)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A served suite with its quotas out of the way."""
    directory: Path = tmp_path_factory.mktemp("attacked") / "data"
    with running(serve_whole, directory) as suite, grpc.insecure_channel(suite.grpc("identity")) as channel:
        lift_quotas(suite, channel)
        yield Attacked(suite, channel)


def lift_quotas(suite: RunningSuite, channel: grpc.Channel) -> None:
    """Let the tests make as many things as they like."""
    from concord.kernel.keyring import Keyring
    from concord.kernel.rpc.authentication import mint_service_token
    from concord.policy.v1 import quota_service_pb2, quota_service_pb2_grpc

    token = mint_service_token("system", Keyring(suite.data_dir / "keys").role_key("system"))
    quotas = quota_service_pb2_grpc.QuotaServiceStub(channel)
    for name in ("users", "api_keys", "policies"):
        quotas.SetQuota(
            quota_service_pb2.SetQuotaRequest(
                organization_id=suite.bootstrap["organization"]["id"], name=name, unlimited=True
            ),
            metadata=bearer(token),
            timeout=20,
        )
