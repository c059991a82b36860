"""Refusals in the words of RFC 6749, 6750, 7009 and 7662."""

from typing import Final

from concord.gateway.http import Answer, Headers, encode
from concord.kernel.errors import ConcordError, RateLimited, Reason

NO_STORE: Final[Headers] = [("cache-control", "no-store"), ("pragma", "no-cache")]
JSON: Final[Headers] = [("content-type", "application/json"), *NO_STORE, ("x-content-type-options", "nosniff")]
OAUTH_ERROR: Final = "oauth_error"

_STATUSES: Final = {
    "invalid_client": 401,
    "invalid_token": 401,
    "login_required": 401,
    "access_denied": 403,
    "insufficient_scope": 403,
    "consent_required": 403,
    "slow_down": 429,
    "server_error": 500,
    "temporarily_unavailable": 503,
}
_IDENTITY: Final = frozenset(
    {
        Reason.CREDENTIAL_MISSING,
        Reason.CREDENTIAL_INVALID,
        Reason.CREDENTIAL_EXPIRED,
        Reason.CREDENTIAL_REVOKED,
        Reason.PRINCIPAL_SUSPENDED,
        Reason.PRINCIPAL_DELETED,
    }
)
_ABSENT: Final = frozenset({Reason.UNAVAILABLE, Reason.DEADLINE_EXCEEDED, Reason.CANCELLED})


class Problem(Exception):
    """A request is refused, by the error code of the protocol."""

    def __init__(self, error: str, description: str, *, status: int = 0, headers: Headers | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status or _STATUSES.get(error, 400)
        self.headers = headers or []


def problem_of(error: ConcordError, *, unidentified: str) -> Problem:
    """Return what a refusal of the core is here; `unidentified` is what a bad proof of identity is called."""
    told = error.metadata.get(OAUTH_ERROR)
    if told:
        return Problem(told, error.message)
    if isinstance(error, RateLimited):
        wait = [("retry-after", str(max(1, round(error.retry_seconds))))]
        return Problem("slow_down", "too many calls", headers=wait)
    if error.reason in _IDENTITY:
        # Why is for whoever asks the core itself: here everybody is told the same.
        return Problem(unidentified, "the proof of identity is not good")
    if error.reason in _ABSENT:
        return Problem("temporarily_unavailable", "try again", headers=[("retry-after", "1")])
    if error.reason is Reason.INTERNAL:
        return Problem("server_error", "internal error")
    if error.reason in (Reason.PERMISSION_DENIED, Reason.OPERATION_MISMATCH, Reason.SERVICE_ONLY):
        return Problem("access_denied", error.message)
    return Problem("invalid_request", error.message)


def refuse(problem: Problem) -> Answer:
    """Return the answer to a refused request."""
    headers = [*JSON, *problem.headers]
    if problem.error == "invalid_client":
        headers.append(("www-authenticate", 'Basic realm="concord", charset="UTF-8"'))
    elif problem.error in ("invalid_token", "insufficient_scope"):
        headers.append(("www-authenticate", f'Bearer realm="concord", error="{problem.error}"'))
    elif problem.error == "login_required" and problem.status == 401:
        headers.append(("www-authenticate", 'Bearer realm="concord"'))
    body = {"error": problem.error, "error_description": ascii_text(problem.description)}
    return Answer(problem.status, headers, encode(body))


def ascii_text(text: str) -> str:
    """Return a description in the characters that RFC 6749 allows: printable ASCII without `"` and a backslash."""
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in text)[:500]
