"""What is asked of the storage of codes, refresh tokens, consents and signing keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from concord.credentials.model.clients import SigningAlgorithm
from concord.credentials.model.tokens import AuthorizationCode, Consent, RefreshToken, SigningKey
from concord.kernel.ids import OAuthClientId, OrganizationId, SessionId, UserId
from concord.kernel.secret import SecretHash


class Grants(Protocol):
    """Codes, refresh tokens and consents of organizations."""

    def add_code(self, code: AuthorizationCode, code_hash: SecretHash) -> None:
        """Store a new code by its hash."""

    def use_code(self, code_hash: SecretHash, now: datetime) -> bool:
        """Mark a code as used; False when it was used before. Of parallel uses exactly one is True."""

    def finish_code(self, code_hash: SecretHash, session_id: SessionId) -> None:
        """Remember what a code was exchanged for."""

    def add_refresh_token(self, token: RefreshToken, token_hash: SecretHash) -> None:
        """Store a new refresh token by its hash."""

    def use_refresh_token(self, token_hash: SecretHash, now: datetime) -> bool:
        """Mark a refresh token as used; False when it was used before. Of parallel uses exactly one is True."""

    def find_consent(
        self, organization_id: OrganizationId, user_id: UserId, client_id: OAuthClientId
    ) -> Consent | None:
        """Return what a user has allowed a client."""

    def put_consent(self, consent: Consent) -> None:
        """Store a consent in place of the one before."""

    def remove_consent(self, organization_id: OrganizationId, user_id: UserId, client_id: OAuthClientId) -> bool:
        """Forget a consent; tell whether there was one."""

    def remove_consents_of_client(self, organization_id: OrganizationId, client_id: OAuthClientId) -> None:
        """Forget all consents given to a client."""

    def remove_consents_of_user(self, organization_id: OrganizationId, user_id: UserId) -> None:
        """Forget all consents of a user."""

    def list_consents(self, organization_id: OrganizationId, user_id: UserId, most: int) -> Sequence[Consent]:
        """Return a user's consents by client, at most so many."""

    def trim_grants(self, before: datetime) -> None:
        """Forget codes and refresh tokens of all organizations that expired before an instant."""


class SigningKeys(Protocol):
    """The deployment's signing keys. They belong to no organization."""

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return all keys, the oldest first."""

    def find_signing_key(self, algorithm: SigningAlgorithm) -> tuple[str, bytes] | None:
        """Return the name and the sealed private half of the key that signs with an algorithm."""

    def add_signing_key(self, key: SigningKey, sealed_private: bytes) -> None:
        """Store a new key."""

    def replace_signing_key(self, key: SigningKey) -> None:
        """Store the new state of a known key."""

    def remove_signing_key(self, kid: str) -> None:
        """Forget a key."""
