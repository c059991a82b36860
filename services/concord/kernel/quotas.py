"""The limits an organization starts with. People's objects count; supplied ones do not."""

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "api_keys": 50,
        "applications": 100,
        "groups": 50,
        "policies": 50,
        "users": 50,
        "projects": 25,
        "ssh_keys": 50,
    }
)
