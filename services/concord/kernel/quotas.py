"""The limits an organization starts with. People's objects count; supplied ones do not."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from concord.kernel.errors import QuotaExceeded

DEFAULT_LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "api_keys": 50,
        "applications": 100,
        "groups": 50,
        "policies": 50,
        "users": 50,
        "projects": 25,
        "ssh_keys": 50,
        "roles": 1000,
        "grants": 10_000,
    }
)


def require_room(name: str, limit: int | None, count: Callable[[], int]) -> None:
    """Raise QuotaExceeded when there is no room for one more; a limit of None is none, and nothing is counted.

    Called in the write's own unit, and units of one organization never overlap: parallel
    creations cannot pass the limit together.
    """
    if limit is None:
        return
    current = count()
    if current >= limit:
        raise QuotaExceeded(name, limit, current)
