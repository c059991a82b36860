"""A client that others wrote completes every grant against a served suite."""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from concord.credentials.v1 import (
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_client_service_pb2_grpc,
    password_service_pb2,
    password_service_pb2_grpc,
)
from concord.identity.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc
from processes import RunningSuite, running, serve_whole

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

CALLBACK = "https://app.example/callback"
PASSWORD = "Correct-horse-7-battery"
SECONDS = 30


@dataclass
class Registered:
    """A registered client, and the suite's metadata as a client reads it."""

    client_id: str
    secret: str
    username: str
    metadata: dict[str, Any]
    login: str

    def session(self, **fields: Any) -> OAuth2Session:
        return OAuth2Session(
            self.client_id,
            self.secret,
            token_endpoint_auth_method="client_secret_basic",
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            **fields,
        )

    def let_in(self, url: str) -> str:
        """Do what a browser does whose user allows what is asked; return where it is sent."""
        with httpx.Client(headers={"authorization": f"Bearer {self.login}"}) as browser:
            answer = browser.get(url)
            if answer.status_code == 403:
                said = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
                said |= {"consent": "granted", "consent_proof": answer.json()["consent_proof"]}
                answer = browser.post(self.metadata["authorization_endpoint"], data=said)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def keys(self) -> KeySet:
        return KeySet.import_key_set(httpx.get(self.metadata["jwks_uri"]).json())


@pytest.fixture
def registered(suite: RunningSuite) -> Registered:
    return register(suite)


def register(suite: RunningSuite) -> Registered:
    """Register a client that may use every grant, and a user with a password."""
    native = suite.bootstrap["native"]
    owner = (("authorization", f"Bearer {native['access_token']}"),)
    username = f"ann-{uuid.uuid4().hex[:8]}"
    with (
        grpc.insecure_channel(suite.grpc("credentials")) as credentials,
        grpc.insecure_channel(suite.grpc("identity")) as identity,
    ):
        user = user_service_pb2_grpc.UserServiceStub(identity).CreateUser(
            user_service_pb2.CreateUserRequest(
                user=user_pb2.User(
                    kind=user_pb2.USER_KIND_MEMBER,
                    username=username,
                    primary_email=f"{username}@demo.example",
                    interactive_login=True,
                )
            ),
            metadata=owner,
            timeout=SECONDS,
        )
        password_service_pb2_grpc.PasswordServiceStub(credentials).SetPassword(
            password_service_pb2.SetPasswordRequest(user_id=user.id, password=PASSWORD),
            metadata=owner,
            timeout=SECONDS,
        )
        made = oauth_client_service_pb2_grpc.OAuthClientServiceStub(credentials).CreateOAuthClient(
            oauth_client_service_pb2.CreateOAuthClientRequest(
                oauth_client=oauth_client_pb2.OAuthClient(
                    name="third party",
                    bearer={"kind": "PRINCIPAL_KIND_USER", "id": user.id},
                    grant_types=["authorization_code", "refresh_token", "client_credentials", "password"],
                    redirect_uris=[CALLBACK],
                    scopes=["openid", "offline_access", "identity.users.list"],
                    token_format=oauth_client_pb2.TOKEN_FORMAT_JWT,
                )
            ),
            metadata=owner,
            timeout=SECONDS,
        )
    metadata = httpx.get(f"{suite.http}/.well-known/openid-configuration").json()
    assert metadata["issuer"] == suite.http
    return Registered(made.oauth_client.client_id, made.secret, username, metadata, native["access_token"])


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    # The suite is served on this machine without TLS.
    monkeypatch.setitem(os.environ, "AUTHLIB_INSECURE_TRANSPORT", "1")


def test_authlib_completes_the_code_flow_refreshes_and_revokes(registered: Registered) -> None:
    meta = registered.metadata
    with registered.session(scope="openid offline_access", token_endpoint=meta["token_endpoint"]) as client:
        verifier = uuid.uuid4().hex * 2
        url, state = client.create_authorization_url(
            meta["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
        )
        place = registered.let_in(url)
        assert parse_qs(urlsplit(place).query)["iss"] == [meta["issuer"]]

        token = client.fetch_token(
            meta["token_endpoint"], authorization_response=place, state=state, code_verifier=verifier
        )
        claims = jwt.decode(token["id_token"], registered.keys(), algorithms=["RS256"]).claims
        told = client.get(meta["userinfo_endpoint"]).json()
        fresh = client.refresh_token(meta["token_endpoint"], refresh_token=token["refresh_token"])
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(meta["token_endpoint"], refresh_token=token["refresh_token"])

        assert (claims["nonce"], claims["aud"], claims["iss"]) == ("n-1", registered.client_id, meta["issuer"])
        assert told["sub"] == claims["sub"]
        assert fresh["access_token"] != token["access_token"]
        # The second use of the refresh token ended all that came of it.
        bearer = {"authorization": f"Bearer {fresh['access_token']}"}
        assert httpx.get(meta["userinfo_endpoint"], headers=bearer).status_code == 401


def test_authlib_revokes_a_token_and_it_is_refused_at_the_next_call(registered: Registered) -> None:
    meta = registered.metadata
    with registered.session(scope="openid") as client:
        verifier = uuid.uuid4().hex * 2
        url, state = client.create_authorization_url(meta["authorization_endpoint"], code_verifier=verifier)
        token = client.fetch_token(
            meta["token_endpoint"],
            authorization_response=registered.let_in(url),
            state=state,
            code_verifier=verifier,
        )
        bearer = {"authorization": f"Bearer {token['access_token']}"}
        assert httpx.get(meta["userinfo_endpoint"], headers=bearer).status_code == 200

        client.revoke_token(meta["revocation_endpoint"], token=token["access_token"])

        assert httpx.get(meta["userinfo_endpoint"], headers=bearer).status_code == 401


def test_authlib_completes_client_credentials(registered: Registered) -> None:
    meta = registered.metadata
    with registered.session(scope="identity.users.list") as client:
        token = client.fetch_token(meta["token_endpoint"], grant_type="client_credentials")

    claims = jwt.decode(token["access_token"], registered.keys(), algorithms=["RS256"]).claims
    assert token["scope"] == "identity.users.list"
    assert claims["client_id"] == registered.client_id
    assert "refresh_token" not in token


def test_authlib_completes_the_password_grant(registered: Registered) -> None:
    meta = registered.metadata
    with registered.session(scope="openid") as client:
        token = client.fetch_token(
            meta["token_endpoint"], username=registered.username, password=PASSWORD, grant_type="password"
        )
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.fetch_token(
                meta["token_endpoint"], username=registered.username, password="wrong", grant_type="password"
            )

    assert jwt.decode(token["id_token"], registered.keys(), algorithms=["RS256"]).claims["amr"] == ["password"]


def test_authlib_introspects_as_whoever_has_the_right_to(registered: Registered, suite: RunningSuite) -> None:
    meta = registered.metadata
    with registered.session(scope="identity.users.list") as client:
        token = client.fetch_token(meta["token_endpoint"], grant_type="client_credentials")
        denied = client.introspect_token(meta["introspection_endpoint"], token=token["access_token"])
    owner = {"authorization": f"Bearer {suite.bootstrap['native']['access_token']}"}
    told = httpx.post(meta["introspection_endpoint"], data={"token": token["access_token"]}, headers=owner).json()
    unknown = httpx.post(meta["introspection_endpoint"], data={"token": "cct_unknown"}, headers=owner).json()

    assert denied.status_code == 403
    assert (told["active"], told["iss"], told["scope"]) == (True, meta["issuer"], "identity.users.list")
    assert unknown == {"active": False}


def test_kb18_what_was_revoked_stays_so_when_the_process_is_killed(tmp_path: Path) -> None:
    suite = serve_whole(tmp_path / "data")
    try:
        registered = register(suite)
        proof = (registered.client_id, registered.secret)
        shown = {"grant_type": "password", "username": registered.username, "password": PASSWORD}
        first, second = (
            httpx.post(registered.metadata["token_endpoint"], data=shown, auth=proof).json()["refresh_token"]
            for _ in range(2)
        )
        revoked = httpx.post(registered.metadata["revocation_endpoint"], data={"token": first}, auth=proof)
        assert revoked.status_code == 200
    finally:
        for process in suite.processes.values():
            process.kill()

    with running(serve_whole, tmp_path / "data") as again:
        refresh = {"grant_type": "refresh_token", "refresh_token": first}
        refused = httpx.post(f"{again.http}/oauth2/token", data=refresh, auth=proof)
        good = httpx.post(f"{again.http}/oauth2/token", data={**refresh, "refresh_token": second}, auth=proof)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert good.status_code == 200
