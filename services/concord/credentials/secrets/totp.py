"""Time-based one-time codes (RFC 6238): six digits, thirty seconds, SHA-1, as every authenticator makes them."""

import hmac
from datetime import datetime
from typing import Final

import pyotp

from concord.kernel.secret import Secret

STEP_SECONDS: Final = 30
_DIGITS: Final = 6
# One step to either side: clocks of telephones are seldom right.
_WINDOW: Final = (0, -1, 1)


def draw_seed() -> Secret:
    """Draw the seed of a device: 160 random bits in base32."""
    return Secret(pyotp.random_base32(32))


def seed_uri(seed: Secret, account: str, issuer: str) -> Secret:
    """Return the seed as an address that authenticators read from a picture."""
    return Secret(pyotp.TOTP(seed.reveal()).provisioning_uri(name=account, issuer_name=issuer))


def matching_step(seed: Secret, code: str, now: datetime) -> int | None:
    """Return the time step that a code belongs to, None for one that is wrong now.

    That a step is used once only is for the caller to see to.
    """
    if len(code) != _DIGITS or not (code.isascii() and code.isdecimal()):
        return None
    generator = pyotp.TOTP(seed.reveal())
    present = int(now.timestamp()) // STEP_SECONDS
    found = None
    for offset in _WINDOW:
        # All are compared, so that the time taken does not tell which was near.
        if hmac.compare_digest(generator.generate_otp(max(present + offset, 0)), code) and found is None:
            found = present + offset
    return found
