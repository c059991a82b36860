"""API keys as values. A secret is never part of one: it is stored beside the key as a hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from concord.credentials.model.holders import Holder
from concord.kernel.ids import ApiKeyId, OrganizationId
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash


class ApiKeyState(StrEnum):
    """Whether a key may be used. DELETED ones stay behind so that a refusal can say why."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A long-lived id and secret of one principal."""

    id: ApiKeyId
    organization_id: OrganizationId
    number: int
    version: int
    bearer: PrincipalRef
    access_id: str
    secret_recoverable: bool
    secret_identifies: bool
    default_project_id: str
    create_time: datetime
    update_time: datetime
    name: str = ""
    description: str = ""
    state: ApiKeyState = ApiKeyState.ACTIVE
    ceiling: tuple[str, ...] = ()
    expire_time: datetime | None = None
    last_used_time: datetime | None = None
    creation_ip: str = ""
    rotate_time: datetime | None = None
    former_expire_time: datetime | None = None
    """Until when the pair before the last rotation is good; None where it is not."""
    catalogue: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def is_managed(self) -> bool:
        """Whether the platform supplied it; then people may not change or delete it."""
        return bool(self.catalogue)

    def is_expired(self, now: datetime) -> bool:
        """Tell whether its time is over; the instant itself is already too late."""
        return self.expire_time is not None and now >= self.expire_time


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key as the directory found it, with what examining it needs."""

    key: ApiKey
    secret_hash: SecretHash
    holder: Holder
    former_until: datetime | None = None
    """Set where what was shown is the pair before a rotation: until when it is good."""
