"""Whatever ended is refused at the very next call, cached or not."""

import time
from typing import Any

import pytest

from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    authentication_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    session_service_pb2,
)
from concord.identity.v1 import user_service_pb2

from .conftest import Attacked, a_user, bearer, code_of

ASK = user_service_pb2.ListUsersRequest(page_size=1)


@pytest.fixture
def user(attacked: Attacked) -> str:
    """A member who may list users."""
    user_id = attacked.member()
    attacked.grant(user_id, attacked.statement(permissions=["identity.users.list"]))
    return user_id


def asks(attacked: Attacked, secret: str) -> str:
    return code_of(attacked.users.ListUsers, ASK, bearer(secret))


def session_of(attacked: Attacked, secret: str) -> Any:
    shown = authentication_service_pb2.ApiKeyCredential(secret=secret)
    return attacked.sessions.CreateSession(session_service_pb2.CreateSessionRequest(api_key=shown))


def update(attacked: Attacked, key: api_key_pb2.ApiKey, path: str) -> None:
    request = api_key_service_pb2.UpdateApiKeyRequest(api_key=key, update_mask={"paths": [path]})
    attacked.keys.UpdateApiKey(request, metadata=attacked.owner)


def test_a_key_that_was_given_an_end_is_refused_from_then_on(attacked: Attacked, user: str) -> None:
    made = attacked.key(user)
    passport = attacked.authentication.Authenticate(
        authentication_service_pb2.AuthenticateRequest(bearer_token=made.secret)
    ).passport
    assert asks(attacked, passport) == "OK"
    key = api_key_pb2.ApiKey(id=made.api_key.id)
    key.expire_time.FromMilliseconds(int((time.time() + 1) * 1000))

    update(attacked, key, "expire_time")
    time.sleep(1.1)

    assert (asks(attacked, passport), asks(attacked, made.secret)) == ("UNAUTHENTICATED", "UNAUTHENTICATED")


def test_a_deleted_client_is_refused_with_the_passport_it_has(attacked: Attacked, user: str) -> None:
    made = attacked.clients.CreateOAuthClient(
        oauth_client_service_pb2.CreateOAuthClientRequest(
            oauth_client=oauth_client_pb2.OAuthClient(name="c", bearer=a_user(user), grant_types=["client_credentials"])
        ),
        metadata=attacked.owner,
    )
    shown = authentication_service_pb2.ClientCredential(
        client_id=made.oauth_client.client_id, client_secret=made.secret
    )
    passport = attacked.authentication.Authenticate(
        authentication_service_pb2.AuthenticateRequest(client=shown)
    ).passport
    assert asks(attacked, passport) == "OK"

    attacked.clients.DeleteOAuthClient(
        oauth_client_service_pb2.DeleteOAuthClientRequest(id=made.oauth_client.id), metadata=attacked.owner
    )

    assert asks(attacked, passport) == "UNAUTHENTICATED"


@pytest.mark.parametrize("ending", ["delete key", "suspend key", "revoke", "revoke all", "suspend user", "delete user"])
def test_a_session_ends_at_the_next_call(attacked: Attacked, user: str, ending: str) -> None:
    made = attacked.key(user)
    opened = session_of(attacked, made.secret)
    token = opened.access_token.token
    assert asks(attacked, token) == "OK"

    match ending:
        case "delete key":
            request = api_key_service_pb2.DeleteApiKeyRequest(id=made.api_key.id)
            attacked.keys.DeleteApiKey(request, metadata=attacked.owner)
        case "suspend key":
            key = api_key_pb2.ApiKey(id=made.api_key.id, state=api_key_pb2.API_KEY_STATE_SUSPENDED)
            update(attacked, key, "state")
        case "revoke":
            revoke = session_service_pb2.RevokeSessionRequest(id=opened.session.id)
            attacked.sessions.RevokeSession(revoke, metadata=attacked.owner)
        case "revoke all":
            everything = session_service_pb2.RevokeAllSessionsRequest(principal=a_user(user))
            attacked.sessions.RevokeAllSessions(everything, metadata=attacked.owner)
        case "suspend user":
            attacked.users.SuspendUser(user_service_pb2.SuspendUserRequest(id=user), metadata=attacked.owner)
        case _:
            attacked.users.DeleteUser(user_service_pb2.DeleteUserRequest(id=user), metadata=attacked.owner)

    assert asks(attacked, token) == "UNAUTHENTICATED"


def test_a_session_of_a_suspended_key_does_not_come_back_with_the_key(attacked: Attacked, user: str) -> None:
    made = attacked.key(user)
    token = session_of(attacked, made.secret).access_token.token
    assert asks(attacked, token) == "OK"

    for state in (api_key_pb2.API_KEY_STATE_SUSPENDED, api_key_pb2.API_KEY_STATE_ACTIVE):
        update(attacked, api_key_pb2.ApiKey(id=made.api_key.id, state=state), "state")

    assert asks(attacked, token) == "UNAUTHENTICATED"
    assert asks(attacked, made.secret) == "OK"
