"""What credentials asks of its storage. Every promise is written here and tested for every engine.

Methods take the caller's organization, except those under *directory*: they are the few
deployment-wide lookups that turn a shown credential into an organization. Another
organization's id answers exactly as an unknown one. Writes to one organization never overlap.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from concord.credentials.model import (
    EVERYTHING,
    ApiKey,
    ApiKeyState,
    CredentialStatus,
    FoundClient,
    FoundKey,
    FoundToken,
    LifeState,
    OAuthClient,
    OrganizationRules,
    Password,
    Session,
    Sight,
)
from concord.kernel.ids import ApiKeyId, OAuthClientId, OrganizationId, SessionId, UserId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import SecretHash

API_KEY_ORDERS = ("create_time", "update_time", "expire_time", "last_used_time", "access_id", "name", "number")
SESSION_ORDERS = ("create_time", "update_time", "expire_time")
CLIENT_ORDERS = ("create_time", "update_time", "client_id", "name")


@dataclass(frozen=True, slots=True)
class ApiKeyFilter:
    """Which keys a list keeps; None keeps all. Texts are found in any ASCII case."""

    now: datetime
    sight: Sight = EVERYTHING
    ids: frozenset[str] | None = None
    bearers: frozenset[PrincipalRef] | None = None
    bearer_kind: PrincipalKind | None = None
    access_ids: frozenset[str] | None = None
    expired: bool | None = None
    text: str | None = None
    description: str | None = None
    editable: bool | None = None
    state: ApiKeyState | None = None


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions a list keeps; None keeps all."""

    now: datetime
    sight: Sight = EVERYTHING
    ids: frozenset[str] | None = None
    principals: frozenset[PrincipalRef] | None = None
    live_only: bool = False


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """Which clients a list keeps; None keeps all."""

    sight: Sight = EVERYTHING
    ids: frozenset[str] | None = None
    bearers: frozenset[PrincipalRef] | None = None
    text: str | None = None


class Directory(Protocol):
    """Finds shown credentials in the whole deployment. One indexed read each."""

    def find_key_by_access_id(self, access_id: str) -> FoundKey | None:
        """Return the key, expired, suspended and deleted ones included: callers explain refusals."""

    def find_key_by_secret(self, secret_hash: SecretHash) -> FoundKey | None:
        """Return the key that this secret identifies; keys whose secret does not identify are never found."""

    def find_token(self, token_hash: SecretHash) -> FoundToken | None:
        """Return the session behind an access token, expired and ended ones included."""

    def find_client(self, client_id: str, secret_hash: SecretHash) -> FoundClient | None:
        """Return the client with this id and this secret, deleted ones included; a live one before a deleted one."""


class ApiKeys(Protocol):
    """The keys of organizations."""

    def next_number(self, organization_id: OrganizationId, name: str) -> int:
        """Return 1, 2, 3 … for each name; never the same again, unless the unit is undone."""

    def add_key(self, key: ApiKey, secret_hash: SecretHash, sealed_secret: bytes | None) -> None:
        """Store a new key. Raises AlreadyExists when its access id was ever used in the deployment."""

    def find_key(self, organization_id: OrganizationId, key_id: ApiKeyId) -> ApiKey | None:
        """Return the key, or None when it is unknown or deleted."""

    def find_key_named(self, organization_id: OrganizationId, access_id: str) -> ApiKey | None:
        """Return the key with this access id, or None when it is unknown, deleted or another organization's."""

    def replace_key(self, key: ApiKey) -> None:
        """Store the new state of a known key. A key in state DELETED loses its sealed secret."""

    def count_keys(self, organization_id: OrganizationId) -> int:
        """Return how many keys count against the quota: neither deleted nor supplied."""

    def keys_of(self, organization_id: OrganizationId, bearer: PrincipalRef) -> Sequence[ApiKey]:
        """Return a bearer's keys that are not deleted, by number."""

    def keys_in_project(self, organization_id: OrganizationId, project_id: str) -> Sequence[ApiKey]:
        """Return the keys, not deleted, whose default project this is, by number."""

    def list_keys(self, organization_id: OrganizationId, wanted: ApiKeyFilter, page: PageRequest) -> Page[ApiKey]:
        """Return one page of keys that are not deleted. Missing instants sort as the latest of all."""

    def note_key_use(self, uses: Mapping[tuple[OrganizationId, ApiKeyId], datetime]) -> None:
        """Move `last_used_time` forward, never back. Version and update time stay. Unknown keys are ignored."""


class Sessions(Protocol):
    """The sessions of organizations and their tokens."""

    def add_session(self, session: Session) -> None:
        """Store a new session."""

    def add_token(self, session: Session, token_hash: SecretHash, issue_time: datetime, expire_time: datetime) -> None:
        """Store a token of a session by its hash."""

    def find_session(self, organization_id: OrganizationId, session_id: SessionId) -> Session | None:
        """Return the session, expired and ended ones included, until it is trimmed."""

    def end_session(self, organization_id: OrganizationId, session_id: SessionId, now: datetime) -> None:
        """End a session. One that has ended keeps its end time."""

    def end_sessions_of(self, organization_id: OrganizationId, principal: PrincipalRef, now: datetime) -> int:
        """End all sessions of a principal that had not ended; return how many."""

    def live_sessions_of_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime, most: int
    ) -> Sequence[Session]:
        """Return sessions that a key opened and that are still good, at most so many."""

    def end_sessions_of_key(self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime) -> int:
        """End all sessions that a key opened and that had not ended; return how many."""

    def shorten_sessions_of_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, expire_time: datetime, now: datetime
    ) -> None:
        """Let no session that a key opened outlast an instant."""

    def list_sessions(self, organization_id: OrganizationId, wanted: SessionFilter, page: PageRequest) -> Page[Session]:
        """Return one page of sessions."""

    def trim_sessions(self, before: datetime) -> int:
        """Forget tokens and sessions of all organizations that expired before an instant; return how many sessions."""


class Passwords(Protocol):
    """The passwords of users: one each."""

    def find_password(self, organization_id: OrganizationId, user_id: UserId) -> Password | None:
        """Return what is known of a user's password, without its hash."""

    def find_encoded(self, organization_id: OrganizationId, user_id: UserId) -> str | None:
        """Return the encoded hash of a user's password."""

    def put_password(self, password: Password, encoded: str) -> None:
        """Store a password in place of the one before, whose hash is kept as the previous one."""

    def remove_password(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        """Forget a user's password and the previous one; tell whether there was one."""

    def statuses(
        self, organization_id: OrganizationId, principals: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, CredentialStatus]:
        """Return the state of each living principal's credentials, in a fixed number of reads."""


class Clients(Protocol):
    """The OAuth clients of organizations."""

    def add_client(self, client: OAuthClient) -> None:
        """Store a new client without its secrets. Raises AlreadyExists when a living one has its client id."""

    def add_client_secret(
        self, client: OAuthClient, number: int, name: str, secret_hash: SecretHash, now: datetime
    ) -> None:
        """Store a secret of a client by its hash."""

    def find_client_by_id(self, organization_id: OrganizationId, id: OAuthClientId) -> OAuthClient | None:
        """Return the client with its secrets by number, or None when it is unknown or deleted."""

    def find_client_named(self, organization_id: OrganizationId, client_id: str) -> OAuthClient | None:
        """Return the client with this client id, or None when it is unknown or deleted."""

    def end_client(self, client: OAuthClient, now: datetime) -> None:
        """Mark a client as deleted. Its client id is free again; it and its secrets are found by the directory only."""

    def clients_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> Sequence[OAuthClient]:
        """Return the living clients whose bearer this is, by creation."""

    def list_clients(
        self, organization_id: OrganizationId, wanted: ClientFilter, page: PageRequest
    ) -> Page[OAuthClient]:
        """Return one page of living clients with their secrets, in a fixed number of reads."""

    def release_clients(self, organization_id: OrganizationId, owner_user_id: UserId) -> None:
        """Take a user's name off the clients it looked after."""

    def note_secret_use(self, uses: Mapping[tuple[OrganizationId, int], datetime]) -> None:
        """Move the secrets' `last_used_time` forward, never back. Unknown secrets are ignored."""


class Replicas(Protocol):
    """What credentials keeps of other services' facts, fed by their changes."""

    def find_organization(self, organization_id: OrganizationId) -> OrganizationRules | None:
        """Return the limits and state of an organization, deleted ones included."""

    def put_organization(self, rules: OrganizationRules) -> None:
        """Store an organization's limits and state in place of what was known."""

    def end_organization(self, organization_id: OrganizationId, now: datetime) -> None:
        """Mark an organization as deleted and forget its passwords, sessions and sealed secrets.

        Its keys and clients stay behind, deleted, so that access ids are never given out again.
        """

    def find_principal(self, organization_id: OrganizationId, principal: PrincipalRef) -> LifeState | None:
        """Return whether a principal lives; DELETED for one that did, None for an unknown one."""

    def put_principal(self, organization_id: OrganizationId, principal: PrincipalRef, state: LifeState) -> None:
        """Store a principal's state in place of what was known. A deleted one stays deleted."""

    def has_project(self, organization_id: OrganizationId, project_id: str) -> bool:
        """Tell whether the organization has this project."""

    def put_project(self, organization_id: OrganizationId, project_id: str) -> None:
        """Remember a project; a known one stays."""

    def remove_project(self, organization_id: OrganizationId, project_id: str) -> None:
        """Forget a project; an unknown one is ignored."""

    def find_limit(self, organization_id: OrganizationId, name: str, default: int) -> int | None:
        """Return the limit an organization was given for a quota, the default where none was; None is unlimited."""

    def put_limit(self, organization_id: OrganizationId, name: str, limit: int | None) -> None:
        """Store a limit in place of the one before; None is unlimited."""


class CredentialStore(Directory, ApiKeys, Sessions, Passwords, Clients, Replicas, Protocol):
    """All that credentials stores."""
