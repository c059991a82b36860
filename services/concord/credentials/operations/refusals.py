"""How OAuth's own error codes become failures of the core."""

from dataclasses import dataclass
from typing import Final

from concord.kernel.errors import ConcordError, Reason

OAUTH_ERROR: Final = "oauth_error"

_REASONS: Final = {
    "invalid_client": Reason.CREDENTIAL_INVALID,
    "invalid_grant": Reason.CREDENTIAL_INVALID,
    "access_denied": Reason.PERMISSION_DENIED,
    "insufficient_scope": Reason.PERMISSION_DENIED,
}


class OAuthRefused(ConcordError):
    """A request of the protocol is refused; nothing is kept of it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(_REASONS.get(error, Reason.INVALID_FIELDS), description, {OAUTH_ERROR: error})
        self.error = error


@dataclass(frozen=True, slots=True)
class Spent:
    """A refusal that leaves a trace: a grant was used up, or what it had opened was ended."""

    error: str
    description: str

    def raise_it(self) -> None:
        """Raise the refusal, now that its trace is stored."""
        raise OAuthRefused(self.error, self.description)
