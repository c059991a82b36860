"""What all handlers that examine a person's proof share: the attempt first, then the work, then the verdict."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from google.protobuf.message import Message

from concord.credentials.model.holders import LifeState
from concord.credentials.model.logins import Purpose
from concord.credentials.operations.attempts import Knock, Standing, give_back, take_attempt
from concord.credentials.operations.logins import LoginName, find_knock
from concord.credentials.operations.one_time_tokens import hash_secret
from concord.credentials.secrets.hashing import PasswordHasher
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import ConcordError, NotFound, Reason, Unauthenticated
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.call import Call
from concord.kernel.secret import Secret, SecretHash
from concord.kernel.units import Unit, Units

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Door:
    """Takes attempts and compares what was shown. Users and strangers cost the same here."""

    def __init__(self, units: Units[CredentialStore], hasher: PasswordHasher, vault: Vault) -> None:
        self._units = units
        self._hasher = hasher
        self._vault = vault

    async def knock(self, login: LoginName) -> Knock:
        """Return who is meant."""
        return await self._units.read(lambda store: find_knock(store, self._vault, login))

    async def take(self, knock: Knock, purpose: Purpose) -> Standing:
        """Take one attempt; it is committed before anything is examined."""
        author = Call.current().author
        return await self._units.system(knock.organization_id, lambda unit: take_attempt(unit, knock, purpose), author)

    @asynccontextmanager
    async def attempt(self, knock: Knock, purpose: Purpose = Purpose.PASSWORD_RECOVERY) -> AsyncIterator[Standing]:
        """Examine something within one attempt.

        A wrong proof leaves it taken. Any other failure gives it back: what was shown was right as far as it went.
        A call that is cut short leaves it taken, too. What follows from a right proof settles the attempt itself.
        """
        standing = await self.take(knock, purpose)
        try:
            yield standing
        except ConcordError as error:
            if not (_is_wrong_proof(error) or standing.locked):
                await self.give_back(knock)
            raise

    async def write(
        self,
        standing: Standing,
        request: Message,
        operation: Callable[[Unit[CredentialStore]], T],
        pack: Callable[[T], M],
        *,
        secret: bool = False,
    ) -> M:
        """Carry out a write that settles the attempt; after a rehearsal or a repeated answer give it back."""
        ran = False

        def settle(unit: Unit[CredentialStore]) -> T:
            nonlocal ran
            ran = True
            return operation(unit)

        answer = await self._units.write(request, settle, pack, secret=secret, organization_id=standing.organization_id)
        if standing.taken and (not ran or getattr(request, "validate_only", False)):
            await self.give_back(standing.knock)
        return answer

    async def give_back(self, knock: Knock) -> None:
        """Take one attempt back."""
        author = Call.current().author
        await self._units.system(knock.organization_id, lambda unit: give_back(unit, knock), author)

    async def examine_password(self, standing: Standing, password: Secret) -> str | None:
        """Refuse a wrong password; return a fresh hash where the stored one is weaker than hashes are now."""
        encoded = standing.encoded
        matches = await self._hasher.verify_or_pretend(password, encoded)
        if not matches or encoded is None:
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        return await self._hasher.hash(password) if self._hasher.is_stale(encoded) else None

    def examine_mailed(self, standing: Standing, purpose: Purpose, secret: Secret) -> SecretHash:
        """Refuse what was not mailed last; return the hash of what was. Using it up is for the unit that follows."""
        shown = hash_secret(self._vault, standing.organization_id, standing.knock.holder, purpose, secret)
        if not self._vault.matches(shown, standing.mailed):
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        return shown


def _is_wrong_proof(error: ConcordError) -> bool:
    violations = getattr(error, "violations", ())
    return error.reason is Reason.CREDENTIAL_INVALID or any(
        each.rule in ("mismatch", "previous") for each in violations
    )


async def known_user(units: Units[CredentialStore], user_id: str) -> Knock:
    """Return the user that a call is about, as far as its caller may act on it; raise NotFound for an unknown one."""
    call = Call.current()
    organization_id = call.organization_id
    user = PrincipalRef(PrincipalKind.USER, ids.parse(UserId, user_id, "user_id"))
    call.require_target(user)
    state = await units.look(lambda store: store.find_principal(organization_id, user))
    if state in (None, LifeState.DELETED):
        raise NotFound("user", user.id)
    return Knock.of_user(organization_id, UserId(user.id))
