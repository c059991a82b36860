"""What an OAuth client may be registered with. RFC 9700 holds without anybody choosing it."""

import re
from collections.abc import Iterable
from typing import Final

from concord.credentials.model.clients import ClientAuthMethod
from concord.credentials.model.tokens import CLIENT_CREDENTIALS, GRANT_TYPES, is_audience
from concord.kernel.errors import Violation

_LOOPBACK: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[^\\]*)?")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?][^\\]*)?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?([/?][^\\]*)?")
# RFC 8252: a domain name of the app's maker, backwards.
_PRIVATE: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:/[^\\]*")


def check_redirect_uris(uris: Iterable[str], field: str) -> list[Violation]:
    """Return what is wrong with redirect addresses: a code must not be sent where others can read or claim it."""
    found = []
    for uri in uris:
        if not _is_safe(uri):
            text = "must be https, http on this machine, or an app's own scheme with a dot, without user and fragment"
            found.append(Violation(field, f"`{uri[:256]}` {text}", rule="pattern"))
    return found


def check_grants(grant_types: Iterable[str], method: ClientAuthMethod, field: str) -> list[Violation]:
    """Return what is wrong with grant types."""
    found = [
        Violation(field, f"`{each[:64]}` is not supported", rule="enum")
        for each in grant_types
        if each not in GRANT_TYPES
    ]
    if method is ClientAuthMethod.NONE and CLIENT_CREDENTIALS in grant_types:
        found.append(Violation(field, "a client without proof has no credentials to exchange", rule="conflict"))
    return found


def check_audiences(audiences: Iterable[str], field: str) -> list[Violation]:
    """Return what is wrong with audiences."""
    return [
        Violation(field, "must have at most 512 characters each", rule="length")
        for each in audiences
        if not is_audience(each)
    ]


def _is_safe(uri: str) -> bool:
    if "#" in uri or "\\" in uri:
        return False
    if uri.startswith("https://"):
        return _HOST.fullmatch(uri.removeprefix("https://")) is not None
    if uri.startswith("http://"):
        return _LOOPBACK.fullmatch(uri.removeprefix("http://")) is not None
    return _PRIVATE.fullmatch(uri) is not None
