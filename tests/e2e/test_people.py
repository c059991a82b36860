"""People on the running suite: a temporary password, the way to one's own, a second factor, and mail."""

import email
import email.policy
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pyotp
import pytest

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.credentials.v1 import (
    mfa_service_pb2,
    mfa_service_pb2_grpc,
    password_pb2,
    password_service_pb2,
    password_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
)
from concord.identity.v1 import user_service_pb2, user_service_pb2_grpc
from concord.policy.v1 import policy_pb2, policy_service_pb2, policy_service_pb2_grpc, statement_pb2, subject_pb2
from e2e.worlds import World, make_world
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SECONDS = 30


class Door:
    """The stubs that a person needs."""

    def __init__(self, suite: RunningSuite) -> None:
        self.channels = {name: grpc.insecure_channel(suite.grpc(name)) for name in ("identity", "credentials")}
        credentials = self.channels["credentials"]
        self.passwords: Any = password_service_pb2_grpc.PasswordServiceStub(credentials)
        self.sessions: Any = session_service_pb2_grpc.SessionServiceStub(credentials)
        self.mfa: Any = mfa_service_pb2_grpc.MfaServiceStub(credentials)
        self.users: Any = user_service_pb2_grpc.UserServiceStub(self.channels["identity"])

    def log_in(self, world: World, password: str, **fields: Any) -> Any:
        login = password_pb2.Login(organization=world.ids["slug"], name=world.ids["username"])
        request = session_service_pb2.CreateSessionRequest(
            password=password_pb2.PasswordCredential(login=login, password=password, **fields)
        )
        return self.sessions.CreateSession(request, timeout=SECONDS)


def bearer(session: Any) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {session.access_token.token}"),)


def let_manage(suite: RunningSuite, world: World) -> None:
    """Give the world's user rights that reach beyond what a temporary password leaves of them."""
    statement = statement_pb2.Statement(
        role_names=["IAMManager"],
        boundary=boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id=world.ids["organization"]
        ),
    )
    user = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=world.ids["user"])
    policy = policy_pb2.Policy(
        name="managers",
        language="role_rules",
        subject=subject_pb2.PolicySubject(principal=user),
        statements=[statement],
    )
    with grpc.insecure_channel(suite.grpc("policy")) as channel:
        policy_service_pb2_grpc.PolicyServiceStub(channel).CreatePolicy(
            policy_service_pb2.CreatePolicyRequest(policy=policy), metadata=world.metadata, timeout=SECONDS
        )


@pytest.fixture
def door(suite: RunningSuite) -> Iterator[Door]:
    opened = Door(suite)
    yield opened
    for channel in opened.channels.values():
        channel.close()


def test_a_temporary_password_lets_its_user_do_nothing_but_replace_it(suite: RunningSuite, door: Door) -> None:
    world = make_world(suite, "people")
    let_manage(suite, world)
    user_id = world.ids["user"]
    drawn = door.passwords.GeneratePassword(
        password_service_pb2.GeneratePasswordRequest(user_id=user_id), metadata=world.metadata, timeout=SECONDS
    )

    lowered = door.log_in(world, drawn.temporary_password)
    read = door.users.GetUser(user_service_pb2.GetUserRequest(id=user_id), metadata=bearer(lowered), timeout=SECONDS)
    with pytest.raises(grpc.RpcError) as refused:
        door.users.ListUsers(user_service_pb2.ListUsersRequest(), metadata=bearer(lowered), timeout=SECONDS)
    door.passwords.ChangePassword(
        password_service_pb2.ChangePasswordRequest(
            user_id=user_id, password="plum-Garage-41", current_password=drawn.temporary_password
        ),
        metadata=bearer(lowered),
        timeout=SECONDS,
    )
    free = door.log_in(world, "plum-Garage-41")

    assert read.id == user_id
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert not free.session.HasField("ceiling")
    with pytest.raises(grpc.RpcError) as ended:
        door.users.GetUser(user_service_pb2.GetUserRequest(id=user_id), metadata=bearer(lowered), timeout=SECONDS)
    assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_second_factor_is_asked_for_and_shown_on_the_user(suite: RunningSuite, door: Door) -> None:
    world = make_world(suite, "factors")
    let_manage(suite, world)
    user_id, password = world.ids["user"], f"Ferry-{uuid.uuid4().hex}"
    door.passwords.SetPassword(
        password_service_pb2.SetPasswordRequest(user_id=user_id, password=password),
        metadata=world.metadata,
        timeout=SECONDS,
    )
    own = bearer(door.log_in(world, password))
    made = door.mfa.CreateMfaDevice(
        mfa_service_pb2.CreateMfaDeviceRequest(user_id=user_id), metadata=own, timeout=SECONDS
    )
    confirmed = door.mfa.ConfirmMfaDevice(
        mfa_service_pb2.ConfirmMfaDeviceRequest(
            user_id=user_id, code=pyotp.TOTP(made.seed).now(), recovery_code_count=2
        ),
        metadata=own,
        timeout=SECONDS,
    )

    with pytest.raises(grpc.RpcError) as refused:
        door.log_in(world, password)
    session = door.log_in(world, password, recovery_code=confirmed.recovery_codes[0])
    shown = door.users.GetUser(user_service_pb2.GetUserRequest(id=user_id), metadata=bearer(session), timeout=SECONDS)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert (list(session.session.methods), session.session.mfa) == (["password", "recovery_code"], True)
    assert shown.mfa_enabled


def test_a_mailed_code_opens_a_session(suite: RunningSuite, door: Door) -> None:
    world = make_world(suite, "letters")
    login = password_pb2.Login(organization=world.ids["slug"], name=world.ids["email"])
    door.sessions.StartLogin(session_service_pb2.StartLoginRequest(login=login), timeout=SECONDS)

    code = _mailed_to(suite, world.ids["email"])
    session = door.sessions.CreateSession(
        session_service_pb2.CreateSessionRequest(
            mailed_code=password_pb2.MailedCodeCredential(login=login, mailed_code=code)
        ),
        timeout=SECONDS,
    )

    assert session.session.principal.id == world.ids["user"]


def _mailed_to(suite: RunningSuite, address: str) -> str:
    """Wait for the mail and return what it was sent for."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for path in (suite.data_dir / "mail").glob("*.eml"):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            found = re.search(r"^    (\S+)$", mail.get_content() if mail["To"] else "", re.MULTILINE)
            if mail["To"] == address and found is not None:
                return found[1]
        time.sleep(0.05)
    raise AssertionError("no mail came")
