"""Proofs of identity that were made up, or altered, prove nothing."""

import base64
import json
from typing import Any

import pytest

from concord.credentials.v1 import authentication_service_pb2
from concord.identity.v1 import user_service_pb2
from concord.kernel.keyring import Keyring
from concord.kernel.rpc.authentication import mint_service_token

from .conftest import Attacked, bearer, code_of

ASK = user_service_pb2.ListUsersRequest(page_size=1)
HEADERS: list[dict[str, Any]] = [
    {"alg": "none"},
    {"alg": "HS256"},
    {"kid": "../../role-system"},
    {"kid": "x" * 70},
    {"kid": ""},
    {"typ": "service+jwt"},
    {"typ": ["passport+jwt"]},
    {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}},
    {"jku": "http://127.0.0.1/keys"},
    {"crit": ["b64"], "b64": False},
]
CLAIMS: list[dict[str, Any]] = [
    {},
    {"iss": "system", "sub": "system"},
    {"iss": "../keys/role-system"},
    {"iss": "\0"},
    {"exp": 10**30},
    {"kind": "service"},
]


def read(part: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return content


def write(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def passport(attacked: Attacked) -> str:
    """A good passport of the owner."""
    secret = attacked.suite.bootstrap["native"]["api_key"]
    request = authentication_service_pb2.AuthenticateRequest(bearer_token=secret, caller_address="203.0.113.9")
    answer = attacked.authentication.Authenticate(request)
    assert answer.content.caller_address == "127.0.0.1"
    return str(answer.passport)


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_kb33_no_altered_passport_is_good(attacked: Attacked, passport: str, header: dict[str, Any]) -> None:
    head, body, signature = passport.split(".")
    assert code_of(attacked.users.ListUsers, ASK, bearer(passport)) == "OK"

    for claims in CLAIMS:
        for end in (signature, ""):
            forged = f"{write({**read(head), **header})}.{write({**read(body), **claims})}.{end}"
            assert code_of(attacked.users.ListUsers, ASK, bearer(forged)) == "UNAUTHENTICATED"


def test_a_passport_is_no_service_token(attacked: Attacked, passport: str) -> None:
    for token in (passport, "a.b.c", ""):
        metadata = (*attacked.owner, ("concord-service", token))
        assert code_of(attacked.users.ListUsers, ASK, metadata) == "UNAUTHENTICATED"


def test_a_caller_does_not_say_where_it_calls_from(attacked: Attacked) -> None:
    metadata = (*attacked.owner, ("concord-caller-address", "203.0.113.9"))

    made = attacked.keys.CreateApiKey(attacked.key_request(attacked.owner_id), metadata=metadata)

    assert made.api_key.creation_ip == "127.0.0.1"


@pytest.mark.parametrize("role", ["gateway", "identity", "policy"])
def test_no_role_but_systems_has_rights_of_its_own(attacked: Attacked, role: str) -> None:
    token = mint_service_token(role, Keyring(attacked.suite.data_dir / "keys").role_key(role))

    assert code_of(attacked.users.ListUsers, ASK, bearer(token)) == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Basic !!", "Bearer a b", "Bearer ..", "Bearer " + "a" * 8190, "Bearer W1tb" + "W1tb" * 1500 + ".x.y"],
    ids=lambda text: text[:12],
)
def test_a_malformed_credential_is_refused_and_nothing_more(attacked: Attacked, header: str) -> None:
    assert code_of(attacked.users.ListUsers, ASK, (("authorization", header),)) == "UNAUTHENTICATED"
