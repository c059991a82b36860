"""Password hashing: argon2id in a small pool of threads, so that logins cannot starve decisions."""

import asyncio
import os
import secrets
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher as Argon2
from argon2 import Type
from argon2.exceptions import InvalidHashError, VerificationError

from concord.kernel.config import BadSetting
from concord.kernel.errors import RateLimited
from concord.kernel.secret import Secret


@dataclass(frozen=True, slots=True)
class HashingSettings:
    """What a hash costs, and how many may be under way."""

    memory_kib: int = 19456
    iterations: int = 2
    lanes: int = 1
    threads: int = 2
    waiting: int = 64

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "HashingSettings":
        """Read the `CONCORD_PASSWORD_…` variables; what is not set keeps its default."""
        values = {}
        for field, (least, most) in _LIMITS.items():
            name = f"CONCORD_PASSWORD_{field.upper()}"
            text = environment.get(name)
            if text is None:
                continue
            if not text.isdecimal() or not least <= int(text) <= most:
                raise BadSetting(f"{name} must be a number between {least} and {most}")
            values[field] = int(text)
        return cls(**values)


_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "memory_kib": (1024, 4 * 1024 * 1024),
    "iterations": (1, 64),
    "lanes": (1, 16),
    "threads": (1, 64),
    "waiting": (1, 10_000),
}


def _give_way() -> None:
    """Let the hashing thread run only where nothing answers calls: a login may wait a moment, a decision may not."""
    if sys.platform == "linux":
        # Threads are scheduled by rules of their own here and nowhere else.
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


class PasswordHasher:
    """Hashes and verifies passwords off the event loop; refuses work past its queue."""

    def __init__(self, settings: HashingSettings) -> None:
        self._argon2 = Argon2(
            time_cost=settings.iterations,
            memory_cost=settings.memory_kib,
            parallelism=settings.lanes,
            type=Type.ID,
        )
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="concord-password", initializer=_give_way)
        self._room = threading.BoundedSemaphore(settings.threads + settings.waiting)
        # Verified where there is nothing to verify, so that strangers cost what users cost.
        self._decoy = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, password: Secret) -> str:
        """Return the encoded hash, salt and parameters included."""
        return await self._run(password, None)

    async def verify(self, password: Secret, encoded: str) -> bool:
        """Tell whether the password made this hash."""
        return bool(await self._run(password, encoded))

    async def verify_or_pretend(self, password: Secret, encoded: str | None) -> bool:
        """Tell whether the password made this hash; where there is none, do the same work and say no."""
        matches = await self.verify(password, self._decoy if encoded is None else encoded)
        return matches and encoded is not None

    def is_stale(self, encoded: str) -> bool:
        """Tell whether a hash was made with other parameters than hashes are now."""
        return self._argon2.check_needs_rehash(encoded)

    def close(self) -> None:
        """Let what runs finish and take no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _run(self, password: Secret, encoded: str | None) -> str:
        # What waits is counted here: the pool's own queue has no bound.
        if not self._room.acquire(blocking=False):
            raise RateLimited(1.0, "too many passwords are being examined")
        future = self._pool.submit(self._work, password, encoded)
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def _work(self, password: Secret, encoded: str | None) -> str:
        if encoded is None:
            return self._argon2.hash(password.reveal())
        try:
            self._argon2.verify(encoded, password.reveal())
        except (VerificationError, InvalidHashError):
            return ""
        return encoded
