"""What stops being a credential is refused at the very next call, and the vendor's client is told why."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from scaleway.iam.v1alpha1 import IamV1Alpha1API
from scaleway.iam.v1alpha1.types import CreateUserRequestMember, OrganizationSecuritySettings, User
from scaleway_core.api import ScalewayException

from e2e.clients import iam, log_in
from e2e.test_scaleway_credentials import PASSWORD, person, settings, unique, with_token
from e2e.test_security_settings import refusal
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

# Fixtures of the module that made them first.
__all__ = ["person", "settings"]


def told(call: Callable[[], object]) -> tuple[int, str, str, str]:
    """Return the status, type, method and reason with which a credential is refused."""
    with pytest.raises(ScalewayException) as caught:
        call()
    answer = caught.value.response.json()
    return caught.value.status_code, answer["type"], answer["method"], answer["reason"]


def program_of(
    suite: RunningSuite, owner: IamV1Alpha1API, user_id: str, ends: datetime | None = None
) -> IamV1Alpha1API:
    """Return the client of a user's new key, which works."""
    key = owner.create_api_key(user_id=user_id, description="", expires_at=ends)
    assert key.secret_key is not None
    program = iam(suite, key.access_key, key.secret_key)
    assert program.get_user(user_id=user_id).id == user_id
    return program


def test_a_locked_members_key(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    program = program_of(suite, owner, person.id)

    owner.lock_user(user_id=person.id)

    refused = told(lambda: program.get_user(user_id=person.id))
    assert refused == (401, "denied_authentication", "api_key", "unknown_reason")
    owner.unlock_user(user_id=person.id)
    assert program.get_user(user_id=person.id).id == person.id


def test_a_revoked_jwts_session(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    session = log_in(suite, person.username, PASSWORD)
    browser = with_token(suite, session.access_token.token)
    assert browser.get_user(user_id=person.id).id == person.id

    owner.delete_jwt(jti=session.session.id)

    refused = told(lambda: browser.get_user(user_id=person.id))
    assert refused == (401, "denied_authentication", "jwt", "not_found")


def test_a_key_past_its_expiry(suite: RunningSuite, owner: IamV1Alpha1API, person: User) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=2.5)
    program = program_of(suite, owner, person.id, ends)

    time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 0.01)

    refused = told(lambda: program.get_user(user_id=person.id))
    assert refused == (401, "denied_authentication", "api_key", "expired")


def test_a_key_of_a_deleted_user(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    name = unique("gone")
    member = CreateUserRequestMember(
        email=f"{name}@people.example", send_password_email=False, send_welcome_email=False, username=name,
        password="", first_name="", last_name="", phone_number="", locale="",
    )  # fmt: skip
    user = owner.create_user(member=member)
    program = program_of(suite, owner, user.id)

    owner.delete_user(user_id=user.id)

    refused = told(lambda: program.list_api_keys())
    assert refused == (401, "denied_authentication", "api_key", "not_found")


def test_a_login_beyond_the_attempt_limit(
    suite: RunningSuite, owner: IamV1Alpha1API, person: User, settings: OrganizationSecuritySettings
) -> None:
    owner.update_organization_security_settings(login_attempts_before_locked=3)
    # Logins have no place in the vendor's description: they are refused with the core's reasons.
    wrong = [refusal(lambda: log_in(suite, person.username, "wrong Password 9")) for _ in range(3)]

    assert wrong == [("CREDENTIAL_INVALID", [])] * 3
    assert refusal(lambda: log_in(suite, person.username, PASSWORD)) == ("CREDENTIAL_LOCKED", [])
    owner.unlock_user(user_id=person.id)
    assert log_in(suite, person.username, PASSWORD).session.principal.id == person.id
