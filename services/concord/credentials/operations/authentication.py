"""Examining a shown credential: whose it is, and whether it is good at this instant.

A reason beyond "invalid" is told only to who showed the right secret: an unknown id, a wrong
secret and a secret of another key all answer the same.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from concord.credentials.model.api_keys import ApiKeyState, FoundKey
from concord.credentials.model.holders import Holder, LifeState
from concord.credentials.model.sessions import PASSPORT_LIFETIME, FoundToken
from concord.credentials.secrets.drawing import TOKEN_PREFIX
from concord.credentials.secrets.vault import Vault
from concord.credentials.store.directory import Directory
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import Passport, PrincipalRef
from concord.kernel.secret import Secret, SecretHash


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """An API key; without an access id the secret must identify it."""

    secret: Secret
    access_id: str = ""


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """An access token."""

    token: Secret


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """An OAuth client's id and one of its secrets."""

    client_id: str
    secret: Secret


Credential = KeyCredential | TokenCredential | ClientCredential


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good credential proves."""

    organization_id: OrganizationId
    principal: PrincipalRef
    methods: tuple[str, ...]
    expire_time: datetime | None = None
    session_id: SessionId | None = None
    api_key_id: ApiKeyId | None = None
    secret_number: int = 0
    """Which secret of a client was shown; 0 for other credentials."""
    mfa: bool = False
    ceiling: tuple[str, ...] = ()
    rights_snapshot_id: str = ""


def bearer_credential(text: Secret) -> Credential:
    """Tell by its look what came as a bearer token: keys never begin like access tokens nor hold a dot."""
    if text.reveal().startswith(TOKEN_PREFIX) or text.reveal().count(".") == _DOTS:
        return TokenCredential(text)
    return KeyCredential(text)


def examine(store: Directory, vault: Vault, credential: Credential, now: datetime) -> Proof:
    """Return what a credential proves, or raise Unauthenticated with the reason. Reads once."""
    match credential:
        case KeyCredential():
            shown = vault.hash(credential.secret)
            return prove_key(_require_good_key(vault, shown, _find_key(store, credential, shown), now))
        case TokenCredential():
            return _examine_token(store, vault, credential, now)
        case ClientCredential():
            return _examine_client(store, vault, credential)


def examine_former(store: Directory, vault: Vault, credential: KeyCredential, now: datetime) -> Proof:
    """Examine a key that `examine` did not find as one that was rotated. Reads once."""
    shown = vault.hash(credential.secret)
    return prove_key(_require_good_key(vault, shown, _find_former(store, credential, shown), now))


def examine_key(store: Directory, vault: Vault, credential: KeyCredential, now: datetime) -> FoundKey:
    """Return the key that was shown, rotated or not, or raise Unauthenticated with the reason. Reads twice."""
    shown = vault.hash(credential.secret)
    found = _find_key(store, credential, shown) or _find_former(store, credential, shown)
    return _require_good_key(vault, shown, found, now)


def _find_key(store: Directory, credential: KeyCredential, shown: SecretHash) -> FoundKey | None:
    if not credential.access_id:
        return store.find_key_by_secret(shown)
    return store.find_key_by_access_id(credential.access_id) if _is_storable(credential.access_id) else None


def _find_former(store: Directory, credential: KeyCredential, shown: SecretHash) -> FoundKey | None:
    return store.find_former_key(credential.access_id, shown) if _is_storable(credential.access_id) else None


def _require_good_key(vault: Vault, shown: SecretHash, found: FoundKey | None, now: datetime) -> FoundKey:
    if not vault.matches(shown, None if found is None else found.secret_hash) or found is None:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    _require_existing(found.holder)
    if found.key.state is not ApiKeyState.ACTIVE:
        raise Unauthenticated(Reason.CREDENTIAL_REVOKED, f"the API key is {found.key.state.value}")
    if found.key.is_expired(now):
        raise Unauthenticated(Reason.CREDENTIAL_EXPIRED, "the API key has expired")
    if found.former_until is not None and now >= found.former_until:
        raise Unauthenticated(Reason.CREDENTIAL_REVOKED, "the API key was rotated")
    _require_active(found.holder)
    return found


def prove_key(found: FoundKey) -> Proof:
    """Return what a good key proves."""
    key = found.key
    ends = [each for each in (key.expire_time, found.former_until) if each is not None]
    return Proof(
        key.organization_id,
        key.bearer,
        methods=("api_key",),
        expire_time=min(ends, default=None),
        api_key_id=key.id,
        ceiling=key.ceiling,
    )


def make_passport(proof: Proof, now: datetime, address: str, agent: str) -> Passport:
    """Return the passport for a proof: five minutes, or until the credential ends."""
    expire_time = now + PASSPORT_LIFETIME
    if proof.expire_time is not None:
        expire_time = min(expire_time, proof.expire_time)
    return Passport(
        principal=proof.principal,
        organization_id=proof.organization_id,
        issue_time=now,
        expire_time=expire_time,
        session_id=proof.session_id,
        api_key_id=proof.api_key_id,
        methods=proof.methods,
        mfa=proof.mfa,
        caller_address=address,
        caller_agent=agent,
        ceiling=proof.ceiling,
        rights_snapshot_id=proof.rights_snapshot_id,
    )


def examine_token(store: Directory, vault: Vault, credential: TokenCredential, now: datetime) -> FoundToken:
    """Return the access token that was shown, or raise Unauthenticated with the reason."""
    found = store.find_token(vault.hash(credential.token))
    if found is None or found.audience:
        # A token for somebody else proves nothing here, and who holds it need not learn more.
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    require_good_token(found, now)
    return found


def require_good_token(found: FoundToken, now: datetime) -> datetime:
    """Return until when a token is good, whomever it is for, or raise Unauthenticated with the reason."""
    session = found.session
    _require_existing(found.holder)
    if session.end_time is not None:
        # A suspended principal's sessions have ended too; why is what its holder can act on.
        _require_active(found.holder)
        raise Unauthenticated(Reason.CREDENTIAL_REVOKED, "the session has ended")
    expire_time = min(found.expire_time, session.expire_time)
    if now >= expire_time:
        raise Unauthenticated(Reason.CREDENTIAL_EXPIRED, "the session has expired")
    _require_active(found.holder)
    return expire_time


def _examine_token(store: Directory, vault: Vault, credential: TokenCredential, now: datetime) -> Proof:
    found = examine_token(store, vault, credential, now)
    session = found.session
    return Proof(
        session.organization_id,
        session.principal,
        methods=("session", *session.methods),
        expire_time=min(found.expire_time, session.expire_time),
        session_id=session.id,
        # The key or client that opened it: where that ends, what it opened ends.
        api_key_id=session.api_key_id or (ApiKeyId(session.client_id) if session.client_id else None),
        mfa=session.mfa,
        ceiling=session.ceiling if found.scopes is None else found.scopes,
        rights_snapshot_id=session.rights_snapshot_id,
    )


def _examine_client(store: Directory, vault: Vault, credential: ClientCredential) -> Proof:
    if not _is_storable(credential.client_id):
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    found = store.find_client(credential.client_id, vault.hash(credential.secret))
    if found is None:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    client = found.client
    if found.holder is not None:
        _require_existing(found.holder)
    if client.end_time is not None or client.bearer is None or found.holder is None:
        raise Unauthenticated(Reason.CREDENTIAL_REVOKED, "the client is deleted, or acts for nobody of its own")
    _require_active(found.holder)
    if not client.auth_method.has_secret:
        # It was registered to prove itself otherwise since the secret was made.
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    return Proof(
        client.organization_id,
        client.bearer,
        methods=("oauth_client",),
        # A passport names its long-lived credential here, and that is the client: ids are
        # UUIDs, so whoever refuses ended credentials needs no second list.
        api_key_id=ApiKeyId(client.id),
        secret_number=found.secret_number,
        ceiling=client.scopes,
    )


# In a signed token.
_DOTS: Final = 2
_GONE: Final = (Reason.PRINCIPAL_DELETED, "the principal does not exist any more")
_HELD: Final = (Reason.PRINCIPAL_SUSPENDED, "the principal is suspended")


def _require_existing(holder: Holder) -> None:
    _require(holder, LifeState.DELETED, *_GONE)


def _require_active(holder: Holder) -> None:
    _require(holder, LifeState.SUSPENDED, *_HELD)


def _require(holder: Holder, state: LifeState, reason: Reason, message: str) -> None:
    if state in (holder.principal, holder.organization):
        raise Unauthenticated(reason, message)


def _is_storable(text: str) -> bool:
    # No stored id is longer or holds a null character, which PostgreSQL would not even compare.
    return len(text) <= 256 and "\x00" not in text
