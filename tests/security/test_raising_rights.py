"""Somebody with a few rights tries to have more."""

import pytest

from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    authentication_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    session_service_pb2,
)
from concord.identity.v1 import user_pb2, user_service_pb2
from concord.policy.v1 import decision_pb2, decision_service_pb2, statement_pb2

from .conftest import Attacked, a_user, bearer, code_of

CLAIMS = [(), (("concord-operation", "scaleway/CreateAPIKey"),)]


@pytest.mark.parametrize("claim", CLAIMS, ids=["native", "claimed"])
def test_an_operation_that_makes_keys_makes_none_for_the_owner(
    attacked: Attacked, claim: tuple[tuple[str, str]]
) -> None:
    member, secret = attacked.delegate(attacked.statement(operations=["scaleway/CreateAPIKey"]))
    caller = bearer(secret, *claim)

    assert code_of(attacked.keys.CreateApiKey, attacked.key_request(attacked.owner_id), caller) == "PERMISSION_DENIED"
    assert code_of(attacked.keys.CreateApiKey, attacked.key_request(member), caller) == "OK"


def test_an_operation_that_changes_users_does_not_change_the_owner(attacked: Attacked) -> None:
    member, secret = attacked.delegate(attacked.statement(operations=["scaleway/UpdateUser"]))

    def rename(user_id: str) -> user_service_pb2.UpdateUserRequest:
        user = user_pb2.User(id=user_id, given_name="mine")
        return user_service_pb2.UpdateUserRequest(user=user, update_mask={"paths": ["given_name"]})

    assert code_of(attacked.users.UpdateUser, rename(attacked.owner_id), bearer(secret)) == "PERMISSION_DENIED"
    assert code_of(attacked.users.UpdateUser, rename(member), bearer(secret)) == "OK"


def test_an_operation_about_oneself_does_not_ask_about_others(attacked: Attacked) -> None:
    _, secret = attacked.delegate(attacked.statement(operations=["scaleway/CheckPermissions"]))
    check = decision_pb2.Check(permission="instances.servers.read", subject=a_user(attacked.owner_id))

    request = decision_service_pb2.BatchCheckRequest(checks=[check])

    assert code_of(attacked.decisions.BatchCheck, request, bearer(secret)) == "PERMISSION_DENIED"


def test_a_right_over_all_keys_does_not_outweigh_a_deny_of_ones_own(attacked: Attacked) -> None:
    user = attacked.member()
    attacked.grant(
        user,
        attacked.statement(permissions=["credentials.api_keys.*"]),
        attacked.statement(permissions=["credentials.own_api_keys.*"], effect=statement_pb2.EFFECT_DENY),
    )
    made = attacked.key(user)
    caller, key_id = bearer(made.secret), made.api_key.id

    got = code_of(attacked.keys.GetApiKey, api_key_service_pb2.GetApiKeyRequest(id=key_id), caller)
    deletion = api_key_service_pb2.DeleteApiKeyRequest(id=key_id, validate_only=True)
    listed = attacked.keys.ListApiKeys(api_key_service_pb2.ListApiKeysRequest(), metadata=caller)

    assert code_of(attacked.keys.CreateApiKey, attacked.key_request(user), caller) == "PERMISSION_DENIED"
    assert key_id not in [each.id for each in listed.api_keys]
    assert (got, code_of(attacked.keys.DeleteApiKey, deletion, caller)) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


def ceiling(*scopes: str) -> dict[str, list[str]]:
    return {"scopes": list(scopes)}


def test_a_key_with_limits_makes_no_key_without_them(attacked: Attacked) -> None:
    user = attacked.member()
    attacked.grant(user, attacked.statement(permissions=["*.*.*"]))
    limits = ("credentials.own_api_keys.create", "credentials.own_api_keys.list")
    caller = bearer(attacked.key(user, ceiling=ceiling(*limits)).secret)

    beyond = attacked.key_request(user, ceiling=ceiling("*"))
    within = attacked.keys.CreateApiKey(attacked.key_request(user, ceiling=ceiling(limits[1])), metadata=caller)
    unsaid = attacked.keys.CreateApiKey(attacked.key_request(user), metadata=caller)

    assert code_of(attacked.keys.CreateApiKey, beyond, caller) == "PERMISSION_DENIED"
    assert tuple(within.api_key.ceiling.scopes) == limits[1:]
    assert tuple(unsaid.api_key.ceiling.scopes) == limits
    listing = user_service_pb2.ListUsersRequest()
    assert code_of(attacked.users.ListUsers, listing, bearer(unsaid.secret)) == "PERMISSION_DENIED"


def test_a_key_with_limits_makes_no_client_without_them(attacked: Attacked) -> None:
    user = attacked.member()
    attacked.grant(user, attacked.statement(permissions=["*.*.*"]))
    caller = bearer(attacked.key(user, ceiling=ceiling("credentials.own_oauth_clients.create")).secret)
    client = oauth_client_pb2.OAuthClient(name="c", bearer=a_user(user), grant_types=["client_credentials"])

    made = attacked.clients.CreateOAuthClient(
        oauth_client_service_pb2.CreateOAuthClientRequest(oauth_client=client), metadata=caller
    )

    assert list(made.oauth_client.scopes) == ["credentials.own_oauth_clients.create"]


def test_a_session_keeps_the_limits_of_the_key_that_opened_it(attacked: Attacked) -> None:
    user = attacked.member()
    attacked.grant(user, attacked.statement(permissions=["*.*.*"]))
    key = attacked.key(user, ceiling=ceiling("credentials.api_keys.list"))
    shown = authentication_service_pb2.ApiKeyCredential(secret=key.secret)

    opened = attacked.sessions.CreateSession(session_service_pb2.CreateSessionRequest(api_key=shown))
    caller = bearer(opened.access_token.token)

    assert code_of(attacked.users.ListUsers, user_service_pb2.ListUsersRequest(), caller) == "PERMISSION_DENIED"
    assert code_of(attacked.keys.ListApiKeys, api_key_service_pb2.ListApiKeysRequest(), caller) == "OK"


def test_a_right_to_make_keys_and_clients_makes_none_for_the_owner(attacked: Attacked) -> None:
    _, secret = attacked.delegate(attacked.statement(permissions=["credentials.*.*", "identity.*.*"]))
    caller = bearer(secret)
    key = attacked.key_request(attacked.owner_id)
    in_capitals = attacked.key_request(attacked.owner_id.upper())
    clients = [
        oauth_client_pb2.OAuthClient(name="c", bearer=a_user(attacked.owner_id)),
        oauth_client_pb2.OAuthClient(name="c", owner_user_id=attacked.owner_id),
    ]

    refused = [code_of(attacked.keys.CreateApiKey, each, caller) for each in (key, in_capitals)]
    for client in clients:
        request = oauth_client_service_pb2.CreateOAuthClientRequest(oauth_client=client)
        refused.append(code_of(attacked.clients.CreateOAuthClient, request, caller))

    assert refused == ["PERMISSION_DENIED"] * 4


@pytest.mark.parametrize("paths", [[], ["*"], ["kind"], ["id"], ["state"], ["bearer.id"]])
def test_no_mask_of_a_claimed_operation_reaches_further_than_the_operation(
    attacked: Attacked, paths: list[str]
) -> None:
    user, secret = attacked.delegate(attacked.statement(permissions=["credentials.api_keys.*"]))
    key = api_key_pb2.ApiKey(id=attacked.key(user).api_key.id, state=api_key_pb2.API_KEY_STATE_SUSPENDED)
    request = api_key_service_pb2.UpdateApiKeyRequest(api_key=key, update_mask={"paths": paths})

    code = code_of(attacked.keys.UpdateApiKey, request, bearer(secret, ("concord-operation", "scaleway/UpdateAPIKey")))

    assert code == "PERMISSION_DENIED"
