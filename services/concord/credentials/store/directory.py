"""Finds shown credentials in the whole deployment: what is shown tells the organization."""

from collections.abc import Sequence
from typing import Protocol

from concord.credentials.model.api_keys import FoundKey
from concord.credentials.model.clients import FoundClient
from concord.credentials.model.sessions import FoundToken
from concord.credentials.model.tokens import AuthorizationCode, FoundRefreshToken
from concord.kernel.secret import SecretHash


class Directory(Protocol):
    """Finds shown credentials in the whole deployment. One indexed read each."""

    def find_key_by_access_id(self, access_id: str) -> FoundKey | None:
        """Return the key, expired, suspended and deleted ones included: callers explain refusals."""

    def find_key_by_secret(self, secret_hash: SecretHash) -> FoundKey | None:
        """Return the key that this secret identifies; keys whose secret does not identify are never found."""

    def find_former_key(self, access_id: str, secret_hash: SecretHash) -> FoundKey | None:
        """Return the key whose access id, or where it is empty whose identifying secret, this was before a rotation.

        `secret_hash` is that of the secret before, and `former_until` tells how long the pair is good.
        """

    def find_token(self, token_hash: SecretHash) -> FoundToken | None:
        """Return the session behind an access token, expired and ended ones included."""

    def find_client(self, client_id: str, secret_hash: SecretHash) -> FoundClient | None:
        """Return the client with this id and this secret, deleted ones included; a live one before a deleted one."""

    def find_refresh_token(self, token_hash: SecretHash) -> FoundRefreshToken | None:
        """Return the token with its session, used and expired ones included until they are trimmed."""

    def find_code(self, code_hash: SecretHash) -> AuthorizationCode | None:
        """Return the code, used and expired ones included until they are trimmed."""

    def find_clients_named(self, client_id: str) -> Sequence[FoundClient]:
        """Return the living clients of all organizations with this client id, the oldest first."""
