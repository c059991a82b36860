"""Revision tokens: an opaque vector of service → revision, carried in `concord-revision`."""

import base64
import json
from collections.abc import Mapping

import msgspec

from concord.kernel.errors import Invalid, Violation

REVISION = "concord-revision"
SPREADING = "concord-spreading"

_ENCODER = msgspec.json.Encoder(order="sorted")
_MAX_TOKEN = 2048
_MAX_REVISION = 2**63 - 1


def encode_revisions(vector: Mapping[str, int]) -> str:
    """Return the token for a vector."""
    return base64.urlsafe_b64encode(_ENCODER.encode(vector)).rstrip(b"=").decode()


def parse_revisions(token: str) -> dict[str, int]:
    """Return the vector in a token, or raise Invalid."""
    try:
        if len(token) > _MAX_TOKEN:
            raise ValueError
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        vector = json.loads(raw)
        if not isinstance(vector, dict):
            raise ValueError
        for revision in vector.values():
            if type(revision) is not int or not 0 <= revision <= _MAX_REVISION:
                raise ValueError
    except (ValueError, RecursionError):
        raise Invalid(Violation(REVISION, "is no revision token", rule="format")) from None
    return vector


def merge_revisions(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """Return the vector that is as fresh as both."""
    merged = dict(first)
    for source, revision in second.items():
        merged[source] = max(revision, merged.get(source, 0))
    return merged


def add_trailing(trailing: list[tuple[str, str]], source: str, revision: int) -> None:
    """Raise the revision token among trailing metadata to cover this revision, by its name."""
    vector = {source: revision}
    for at, (name, value) in enumerate(trailing):
        if name == REVISION:
            trailing[at] = (REVISION, encode_revisions(merge_revisions(parse_revisions(value), vector)))
            return
    trailing.append((REVISION, encode_revisions(vector)))
