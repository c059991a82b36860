"""What is known of organizations, and what they allow."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from concord.credentials.model.holders import LifeState
from concord.credentials.model.sessions import MAX_SESSION_TTL
from concord.kernel.ids import OrganizationId

# Where the deployment's own things belong, and work that spans organizations.
NOWHERE: Final = OrganizationId("")


@dataclass(frozen=True, slots=True)
class OrganizationRules:
    """What credentials keeps of an organization: whether it lives, and its limits. Zero means none."""

    organization_id: OrganizationId
    state: LifeState = LifeState.ACTIVE
    max_session_ttl: timedelta = MAX_SESSION_TTL
    max_api_key_ttl: timedelta = timedelta(0)
    temporary_password_ttl: timedelta = timedelta(days=1)
