"""The life of signing keys: published before they sign, kept until what they signed has died."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from concord.credentials.model.clients import SigningAlgorithm
from concord.credentials.model.tokens import MAX_ACCESS_TTL, SigningKey, SigningKeyState
from concord.credentials.secrets.signing import DrawnSigningKey
from concord.credentials.store import CredentialStore
from concord.kernel.errors import Precondition, Reason
from concord.kernel.units import Change, Unit

# Longer than anybody keeps a key set without asking again.
PUBLISHED_BEFORE: Final = timedelta(hours=24)
SIGNS_FOR: Final = timedelta(days=30)
# The longest life of a token, and what clocks differ by.
KEPT_AFTER: Final = MAX_ACCESS_TTL + timedelta(hours=1)

Keys = Unit[CredentialStore]
Drawn = Mapping[SigningAlgorithm, Sequence[DrawnSigningKey]]


def keys_wanted(keys: Sequence[SigningKey]) -> dict[SigningAlgorithm, int]:
    """Return how many new keys there should be of each kind, where any."""
    wanted = {}
    for algorithm in SigningAlgorithm:
        states = [each.state for each in keys if each.algorithm is algorithm]
        missing = (SigningKeyState.ACTIVE not in states) + (SigningKeyState.NEXT not in states)
        if missing:
            wanted[algorithm] = missing
    return wanted


def is_due(keys: Sequence[SigningKey], now: datetime) -> bool:
    """Tell whether turning the keys would change anything."""
    if keys_wanted(keys):
        return True
    return any(_is_over(each, now) or _has_signed_enough(each, now) for each in keys)


def turn_keys(unit: Keys, drawn: Drawn) -> None:
    """Bring all keys to where they should be now. Turning twice does nothing more."""
    for key in unit.store.signing_keys():
        if _is_over(key, unit.now):
            unit.store.remove_signing_key(key.kid)
    for algorithm in SigningAlgorithm:
        spare = list(drawn.get(algorithm, ()))
        active, following = _pair(unit, algorithm)
        if active is None:
            active = _promote(unit, following) if following is not None else _add(unit, spare, SigningKeyState.ACTIVE)
            following = None if active is None else _pair(unit, algorithm)[1]
        elif _has_signed_enough(active, unit.now) and following is not None and _is_known(following, unit.now):
            _retire(unit, active)
            _promote(unit, following)
            following = None
        if following is None:
            _add(unit, spare, SigningKeyState.NEXT)


def rotate_key(unit: Keys, algorithm: SigningAlgorithm, drawn: Drawn, *, compromised: bool) -> SigningKey:
    """Let the next key sign at once. That of a compromised one goes with all that it signed."""
    active, following = _pair(unit, algorithm)
    if active is None or following is None:
        raise Precondition(Reason.INVALID_STATE, "there are no signing keys yet", "signing_key")
    if not compromised and not _is_known(following, unit.now):
        text = "the next key has not been published long enough for everybody to know it"
        raise Precondition(Reason.INVALID_STATE, text, "signing_key", following.kid)
    if compromised:
        unit.store.remove_signing_key(active.kid)
    else:
        _retire(unit, active)
    fresh = _promote(unit, following)
    _add(unit, list(drawn[algorithm]), SigningKeyState.NEXT)
    unit.record(
        Change("signing_key.rotated", "signing_key", fresh.kid, before=active, after=fresh, security_relevant=True)
    )
    return fresh


def _pair(unit: Keys, algorithm: SigningAlgorithm) -> tuple[SigningKey | None, SigningKey | None]:
    found = {each.state: each for each in reversed(unit.store.signing_keys()) if each.algorithm is algorithm}
    return found.get(SigningKeyState.ACTIVE), found.get(SigningKeyState.NEXT)


def _add(unit: Keys, spare: list[DrawnSigningKey], state: SigningKeyState) -> SigningKey | None:
    if not spare:
        return None
    drawn = spare.pop()
    activated = unit.now if state is SigningKeyState.ACTIVE else None
    key = SigningKey(drawn.kid, drawn.algorithm, drawn.public_jwk, state, unit.now, activated)
    unit.store.add_signing_key(key, drawn.sealed_private)
    return key


def _promote(unit: Keys, key: SigningKey) -> SigningKey:
    fresh = replace(key, state=SigningKeyState.ACTIVE, activate_time=unit.now)
    unit.store.replace_signing_key(fresh)
    return fresh


def _retire(unit: Keys, key: SigningKey) -> None:
    unit.store.replace_signing_key(replace(key, state=SigningKeyState.RETIRED, retire_time=unit.now))


def _is_known(key: SigningKey, now: datetime) -> bool:
    return now >= key.create_time + PUBLISHED_BEFORE


def _has_signed_enough(key: SigningKey, now: datetime) -> bool:
    return (
        key.state is SigningKeyState.ACTIVE and key.activate_time is not None and now >= key.activate_time + SIGNS_FOR
    )


def _is_over(key: SigningKey, now: datetime) -> bool:
    return key.state is SigningKeyState.RETIRED and key.retire_time is not None and now >= key.retire_time + KEPT_AFTER
