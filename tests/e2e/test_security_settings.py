"""An organization tightens what it demands, on the running suite: each setting holds at the next call."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from concord.common.v1 import principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    mfa_pb2,
    mfa_service_pb2,
    mfa_service_pb2_grpc,
    password_pb2,
    password_service_pb2,
    password_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
)
from concord.identity.v1 import (
    organization_pb2,
    organization_service_pb2,
    organization_service_pb2_grpc,
    security_settings_pb2,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from e2e.worlds import World, make_world
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

SECONDS = 30
PASSWORD = "plum-Garage-41"
WRONG = "never-the-Right-1"


class Strict:
    """An organization that its owner tightens, and a user of it."""

    def __init__(self, suite: RunningSuite, name: str) -> None:
        self.world: World = make_world(suite, name)
        self.channels = {name: grpc.insecure_channel(suite.grpc(name)) for name in ("identity", "credentials")}
        identity, credentials = self.channels["identity"], self.channels["credentials"]
        self.organizations: Any = organization_service_pb2_grpc.OrganizationServiceStub(identity)
        self.users: Any = user_service_pb2_grpc.UserServiceStub(identity)
        self.keys: Any = api_key_service_pb2_grpc.ApiKeyServiceStub(credentials)
        self.mfa: Any = mfa_service_pb2_grpc.MfaServiceStub(credentials)
        self.passwords: Any = password_service_pb2_grpc.PasswordServiceStub(credentials)
        self.sessions: Any = session_service_pb2_grpc.SessionServiceStub(credentials)

    def close(self) -> None:
        for channel in self.channels.values():
            channel.close()

    def demand(self, *mask: str, **changes: Any) -> Any:
        settings = security_settings_pb2.SecuritySettings(id=self.world.ids["organization"], **changes)
        request = organization_service_pb2.UpdateSecuritySettingsRequest(
            security_settings=settings, update_mask=FieldMask(paths=mask)
        )
        return self.organizations.UpdateSecuritySettings(request, metadata=self.world.metadata, timeout=SECONDS)

    def allow(self, **ways: bool) -> organization_pb2.Organization:
        request = organization_service_pb2.UpdateLoginMethodsRequest(**ways)
        answer: organization_pb2.Organization = self.organizations.UpdateLoginMethods(
            request, metadata=self.world.metadata, timeout=SECONDS
        )
        return answer

    def set_password(self, password: str = PASSWORD) -> Any:
        request = password_service_pb2.SetPasswordRequest(user_id=self.world.ids["user"], password=password)
        return self.passwords.SetPassword(request, metadata=self.world.metadata, timeout=SECONDS)

    def log_in(self, password: str = PASSWORD, **fields: Any) -> Any:
        login = password_pb2.Login(organization=self.world.ids["slug"], name=self.world.ids["username"])
        credential = password_pb2.PasswordCredential(login=login, password=password)
        request = session_service_pb2.CreateSessionRequest(password=credential, **fields)
        return self.sessions.CreateSession(request, timeout=SECONDS)

    def reads_itself(self, session: Any) -> bool:
        """Tell whether the session is still good."""
        request = user_service_pb2.GetUserRequest(id=self.world.ids["user"])
        found = self.users.GetUser(
            request, metadata=(("authorization", f"Bearer {session.access_token.token}"),), timeout=SECONDS
        )
        return bool(found.id == self.world.ids["user"])

    def user(self) -> user_pb2.User:
        request = user_service_pb2.GetUserRequest(id=self.world.ids["user"])
        found: user_pb2.User = self.users.GetUser(request, metadata=self.world.metadata, timeout=SECONDS)
        return found

    def create_key(self, lasting: timedelta | None = None) -> Any:
        bearer = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=self.world.ids["user"])
        key = api_key_pb2.ApiKey(bearer=bearer)
        if lasting is not None:
            key.expire_time.FromDatetime(datetime.now(UTC) + lasting)
        request = api_key_service_pb2.CreateApiKeyRequest(api_key=key)
        return self.keys.CreateApiKey(request, metadata=self.world.metadata, timeout=SECONDS)

    def grace_periods(self) -> dict[int, datetime]:
        request = mfa_service_pb2.ListGracePeriodsRequest(user_id=self.world.ids["user"])
        found = self.mfa.ListGracePeriods(request, metadata=self.world.metadata, timeout=SECONDS)
        return {each.type: each.expire_time.ToDatetime(UTC) for each in found.grace_periods}


@pytest.fixture
def strict(suite: RunningSuite) -> Iterator[Strict]:
    made = Strict(suite, f"strict{uuid.uuid4().hex[:6]}")
    yield made
    made.close()


def refusal(call: Callable[[], Any]) -> tuple[str, list[str]]:
    """Return the reason that a call fails for, and the fields that it names."""
    with pytest.raises(grpc.RpcError) as refused:
        call()
    status = rpc_status.from_call(refused.value)
    assert status is not None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    fields: list[str] = []
    for detail in status.details:
        if detail.Unpack(bad):
            fields = [each.field for each in bad.field_violations]
        detail.Unpack(info)
    return info.reason, fields


def eventually(seen: Callable[[], bool]) -> bool:
    """Wait until a copy has followed what it is a copy of."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if seen():
            return True
        time.sleep(0.02)
    return False


def test_tightening_holds_at_the_next_call_and_leaves_alone_what_there_is(strict: Strict) -> None:
    strict.set_password()
    session = strict.log_in(ttl=Duration(seconds=86400))
    endless = strict.create_key()

    strict.demand(password_rules=security_settings_pb2.PasswordRules(min_length=20))
    assert refusal(lambda: strict.set_password("Nine-ferries-3")) == ("INVALID_FIELDS", ["password"])

    strict.demand(max_session_ttl=Duration(seconds=300))
    assert refusal(lambda: strict.log_in(ttl=Duration(seconds=301))) == ("INVALID_FIELDS", ["ttl"])
    short = strict.log_in()
    lasts = short.session.expire_time.ToDatetime() - short.session.create_time.ToDatetime()
    assert lasts == timedelta(seconds=300)

    strict.demand(max_api_key_ttl=Duration(seconds=3600))
    assert refusal(strict.create_key) == ("INVALID_FIELDS", ["api_key.expire_time"])
    assert refusal(lambda: strict.create_key(timedelta(hours=2))) == ("INVALID_FIELDS", ["api_key.expire_time"])
    assert strict.create_key(timedelta(minutes=50)).secret

    strict.demand(temporary_password_ttl=Duration(seconds=300))
    closed = strict.allow(login_password_enabled=False)
    assert not closed.login_password_enabled
    assert refusal(strict.log_in)[0] == "LOGIN_DISABLED"

    assert strict.reads_itself(session)
    assert strict.reads_itself(short)
    opened = strict.sessions.CreateSession(
        session_service_pb2.CreateSessionRequest(api_key={"secret": endless.secret}), timeout=SECONDS
    )
    assert strict.reads_itself(opened)
    strict.allow(login_password_enabled=True)
    assert strict.reads_itself(strict.log_in())


def test_what_is_demanded_of_people_begins_with_their_next_login(strict: Strict) -> None:
    strict.set_password()
    strict.demand(enforce_password_renewal=True, enforce_mfa=True, grace_period=Duration(seconds=3600))

    before = strict.grace_periods()
    strict.log_in()
    of_the_old_password = strict.grace_periods()
    strict.set_password("Nine-quiet-ferries-3")
    strict.log_in("Nine-quiet-ferries-3")
    of_the_new = strict.grace_periods()

    assert before == {}
    assert set(of_the_old_password) == {mfa_pb2.GRACE_PERIOD_TYPE_SET_MFA}
    assert set(of_the_new) == {mfa_pb2.GRACE_PERIOD_TYPE_SET_MFA, mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD}
    for end in of_the_new.values():
        assert timedelta(minutes=55) < end - datetime.now(UTC) <= timedelta(hours=1)


def test_a_lower_number_of_attempts_counts_those_of_before_and_locks_the_user(strict: Strict) -> None:
    strict.set_password()
    for _ in range(3):
        assert refusal(lambda: strict.log_in(WRONG))[0] == "CREDENTIAL_INVALID"
    was = strict.user()

    strict.demand(max_login_attempts=3)

    assert refusal(strict.log_in)[0] == "CREDENTIAL_LOCKED"
    assert eventually(lambda: strict.user().locked)
    assert (was.locked, strict.user().state, strict.user().etag) == (False, user_pb2.USER_STATE_ACTIVE, was.etag)
    strict.passwords.UnlockPassword(
        password_service_pb2.UnlockPasswordRequest(user_id=strict.world.ids["user"]),
        metadata=strict.world.metadata,
        timeout=SECONDS,
    )
    assert strict.reads_itself(strict.log_in())
    assert eventually(lambda: not strict.user().locked)


def test_who_gets_in_with_the_last_attempt_is_not_shown_as_locked(strict: Strict) -> None:
    strict.demand(max_login_attempts=2)
    strict.set_password()

    refusal(lambda: strict.log_in(WRONG))
    session = strict.log_in()

    # Locks and logins travel one way, in their order.
    assert eventually(lambda: strict.user().last_login_time == session.session.create_time)
    assert not strict.user().locked


def test_settings_out_of_range_are_refused_and_nothing_changes(strict: Strict) -> None:
    before = strict.organizations.GetSecuritySettings(
        organization_service_pb2.GetSecuritySettingsRequest(), metadata=strict.world.metadata, timeout=SECONDS
    )

    refused = refusal(lambda: strict.demand(max_login_attempts=51, enforce_mfa=True))
    unset = refusal(lambda: strict.demand("max_session_ttl"))

    assert refused == ("INVALID_FIELDS", ["security_settings.max_login_attempts"])
    assert unset == ("INVALID_FIELDS", ["security_settings.max_session_ttl"])
    after = strict.organizations.GetSecuritySettings(
        organization_service_pb2.GetSecuritySettingsRequest(), metadata=strict.world.metadata, timeout=SECONDS
    )
    assert after == before
