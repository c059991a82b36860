"""One process for each role of a data directory: a second one would answer half of the calls in silence."""

import fcntl
import os
from pathlib import Path

from concord.kernel.config import BadSetting


class RoleLocks:
    """Holds the locks of this process's roles until it is released, or the process ends in whatever way."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "locks"
        self._held: list[int] = []

    def take(self, roles: tuple[str, ...]) -> None:
        """Lock every role, or none and raise BadSetting with the one that is served already."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for role in roles:
            descriptor = os.open(self._directory / f"{role}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                self.release()
                raise BadSetting(f"another process serves `{role}` from this data directory") from None
            self._held.append(descriptor)

    def release(self) -> None:
        """Give the roles back."""
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()
