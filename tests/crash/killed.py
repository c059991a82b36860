"""Runs `concord` and ends it with SIGKILL at one exact step. Started by the crash tests as a process of its own.

    python killed.py SERVICE WHEN EVENT concord-arguments…

WHEN is `commit` (SERVICE has committed EVENT and not answered yet), `before` or `after` (SERVICE is about to apply
EVENT, or has applied it durably and not said so yet). Other steps run as they are. With `CRASH_ARMED` in the
environment the trap is set only while that file exists.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.database.contract import OutboxRow
from concord.kernel.units import Units


def die() -> None:
    """End as the machine's failure would, if the trap is set: no handler, no flush, no goodbye."""
    armed = os.environ.get("CRASH_ARMED")
    if armed is not None and not os.path.exists(armed):
        return
    os.kill(os.getpid(), signal.SIGKILL)


def arm(service: str, when: str, event_type: str) -> None:
    """Lay the trap."""
    apply, write = Units.apply, Units.write

    async def trapped_apply(self: Units[Any], source: str, events: Sequence[ChangeEvent], fn: Any) -> int:
        hit = self.service == service and any(event.type == event_type for event in events)
        if hit and when == "before":
            die()
        cursor = await apply(self, source, events, fn)
        if hit and when == "after":
            die()
        return cursor

    async def trapped_write(self: Units[Any], *arguments: Any, **options: Any) -> Any:
        if self.service != service or when != "commit":
            return await write(self, *arguments, **options)
        commit = self.database.write

        async def trapped_commit(key: Any, fn: Any, **more: Any) -> Any:
            seen: list[str] = []

            def watched(connection: Any) -> Any:
                seen.clear()
                publish = connection.publish

                class Watching:
                    def __getattr__(self, name: str) -> Any:
                        return getattr(connection, name)

                    def publish(self, row: OutboxRow) -> None:
                        seen.append(ChangeEvent.FromString(row.payload).type)
                        publish(row)

                return fn(Watching())

            written = await commit(key, watched, **more)
            if event_type in seen:
                die()
            return written

        self.database.write = trapped_commit  # type: ignore[method-assign]
        try:
            return await write(self, *arguments, **options)
        finally:
            self.database.write = commit  # type: ignore[method-assign]

    Units.apply = trapped_apply  # type: ignore[method-assign, assignment]
    Units.write = trapped_write  # type: ignore[method-assign]


if __name__ == "__main__":
    service, when, event_type, *arguments = sys.argv[1:]
    if when != "never":
        arm(service, when, event_type)
    sys.argv = ["concord", *arguments]
    from concord.suite.cli import main

    main()
