"""What is asked of the storage of logins: who answers to a name, attempts, second factors, mailed secrets."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from concord.credentials.model.logins import (
    AttemptBudget,
    GracePeriod,
    GraceType,
    LoginRules,
    MfaDevice,
    OneTimeToken,
    Person,
    Purpose,
)
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.secret import SecretHash


class Doors(Protocol):
    """Who may be meant by what somebody types at the door. Fed by identity's changes."""

    def find_login_organization(self, text: str) -> OrganizationId | None:
        """Return the organization with this id, slug, alias or number, deleted ones included."""

    def find_login_rules(self, organization_id: OrganizationId) -> LoginRules | None:
        """Return what an organization demands at the door, None while nothing was heard of it."""

    def put_login_rules(self, rules: LoginRules) -> None:
        """Store rules in place of what was known."""

    def find_person(self, organization_id: OrganizationId, user_id: UserId) -> Person | None:
        """Return a user as the door knows one."""

    def find_person_named(self, organization_id: OrganizationId, username: str, address: str) -> Person | None:
        """Return who has this very username, else the staff member with this folded address, else the customer."""

    def find_owner(self, address: str) -> Person | None:
        """Return the owner in the whole deployment who has this folded address."""

    def put_person(self, person: Person, address: str) -> None:
        """Store a user's names in place of what was known; `address` is the e-mail address folded."""

    def remove_person(self, organization_id: OrganizationId, user_id: UserId) -> None:
        """Forget a user at the door: names, second factors, mailed secrets, grace periods, attempts."""


class Attempts(Protocol):
    """Budgets of attempts. A holder is a user's id, or the hash of a name that nobody answers to."""

    def take_attempt(
        self, organization_id: OrganizationId, holder: str, now: datetime, stale: datetime
    ) -> AttemptBudget:
        """Count one more failure, by one statement where the holder has failed before; return the budget after it.

        Where the last attempt was not after `stale` and did not lock the holder, the count begins anew.
        """

    def lock_holder(self, organization_id: OrganizationId, holder: str, now: datetime) -> None:
        """Lock a holder that is not locked."""

    def give_back_attempt(self, organization_id: OrganizationId, holder: str, most: int) -> None:
        """Take one failure off, never below none. Fewer than `most` failures lift the lock."""

    def clear_attempts(self, organization_id: OrganizationId, holder: str) -> None:
        """Forget failures and lock; the time of the last attempt stays."""

    def find_attempts(self, organization_id: OrganizationId, holder: str) -> AttemptBudget:
        """Return a holder's budget, an untouched one for an unknown holder."""

    def trim_strangers(self, stale: datetime, most: int) -> int:
        """Forget unlocked names nobody answers to whose last attempt was not after an instant.

        Where more than `most` are left, the oldest go, those that are locked last. Return how many went.
        """

    def grace_periods(self, organization_id: OrganizationId, user_id: UserId) -> Sequence[GracePeriod]:
        """Return a user's grace periods, the first to end first; those that have not begun come last."""

    def put_grace_period(self, period: GracePeriod) -> None:
        """Store a period in place of the one of its type."""

    def remove_grace_period(self, organization_id: OrganizationId, user_id: UserId, type: GraceType) -> None:
        """Forget a period; an unknown one is ignored."""

    def overdue(self, now: datetime, most: int) -> Sequence[GracePeriod]:
        """Return periods of all organizations that have run out, at most so many."""


class SecondFactors(Protocol):
    """Devices and recovery codes."""

    def find_mfa_device(self, organization_id: OrganizationId, user_id: UserId) -> MfaDevice | None:
        """Return a user's device with the number of its recovery codes."""

    def find_mfa_seed(self, organization_id: OrganizationId, user_id: UserId) -> bytes | None:
        """Return the sealed seed of a user's device."""

    def put_mfa_device(self, device: MfaDevice, sealed_seed: bytes) -> None:
        """Store a device in place of the user's present one; its codes start from nothing."""

    def replace_mfa_device(self, device: MfaDevice) -> None:
        """Store the new state of a known device; seed and used codes stay."""

    def remove_mfa_device(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        """Forget a user's device and recovery codes; tell whether there was one."""

    def claim_step(self, organization_id: OrganizationId, user_id: UserId, step: int) -> bool:
        """Mark a time step as used; tell whether it, and every later one, was unused until now."""

    def put_recovery_codes(
        self, organization_id: OrganizationId, user_id: UserId, hashes: Collection[SecretHash]
    ) -> None:
        """Store codes in place of those before."""

    def use_recovery_code(self, organization_id: OrganizationId, user_id: UserId, code: SecretHash) -> bool:
        """Use a code up; tell whether it was there until now."""


class OneTimeTokens(Protocol):
    """Secrets that were mailed: one of each purpose for each user."""

    def find_one_time_token(
        self, organization_id: OrganizationId, user_id: UserId, purpose: Purpose
    ) -> OneTimeToken | None:
        """Return what was mailed last, used up or not, expired or not."""

    def find_token_by_id(self, id: str) -> OneTimeToken | None:
        """Return the mailed token with this id in the whole deployment, expired ones included."""

    def put_one_time_token(self, token: OneTimeToken, secret_hash: SecretHash) -> None:
        """Store a mailed secret in place of the one before, which is void from now on."""

    def find_one_time_hash(
        self, organization_id: OrganizationId, user_id: UserId, purpose: Purpose, now: datetime
    ) -> SecretHash | None:
        """Return the hash of the secret that is good now: not used, not expired."""

    def use_one_time_token(
        self, organization_id: OrganizationId, user_id: UserId, purpose: Purpose, secret: SecretHash, now: datetime
    ) -> bool:
        """Use a secret up; tell whether it was good until now. At the instant of its end it is too late."""

    def void_one_time_tokens(self, organization_id: OrganizationId, user_id: UserId) -> None:
        """Make all that was mailed to a user void."""

    def trim_one_time_tokens(self, before: datetime) -> int:
        """Forget mailed secrets of all organizations that expired before an instant."""
