"""What identity knows of users of one person. Values, and what makes and recognizes a token; nothing is kept here."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from concord.identity.model import UserKind
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.secret import Secret

OFFERED_FOR: Final = timedelta(hours=1)
# More users than this one person hardly has.
MOST: Final = 1000
_PREFIX: Final = "ccn_"


@dataclass(frozen=True, slots=True)
class Connection:
    """That two users are one person, as seen from one of them."""

    organization_id: OrganizationId
    user_id: UserId
    peer_organization_id: OrganizationId
    peer_user_id: UserId
    create_time: datetime

    def mirrored(self) -> "Connection":
        """Return it as seen from the other one."""
        return Connection(
            self.peer_organization_id, self.peer_user_id, self.organization_id, self.user_id, self.create_time
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """A connection, and who is on the other side now."""

    connection: Connection
    username: str
    kind: UserKind
    organization_name: str
    locked: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """That a user may be joined by whoever has a token, by its hash. A user has one at most."""

    organization_id: OrganizationId
    user_id: UserId
    token_hash: str
    expire_time: datetime


def draw_token() -> Secret:
    """Draw a token of 256 random bits."""
    return Secret(_PREFIX + secrets.token_urlsafe(32))


def hash_token(token: Secret) -> str:
    """Return what is kept of a token. It is drawn, not chosen, so no key and no salt make it harder to guess."""
    return hashlib.sha256(token.reveal().encode(errors="surrogatepass")).hexdigest()
