"""What the parts of the table share."""

from collections.abc import Mapping
from typing import Final

from concord.gateway.route import Covers

BASE: Final = "/iam/v1alpha1"

READ: Final = (400, 401, 403, 404, 429, 500, 501, 503, 504)
WRITE: Final = (400, 401, 403, 404, 409, 412, 429, 500, 501, 503, 504)
ANY: Final = Covers()


def one(rpc: str) -> Mapping[str, Covers]:
    """Return what an operation with a single plain rpc covers."""
    return {rpc: ANY}


def updates(rpc: str, *paths: str, pinned: Mapping[str, tuple[str, ...]] | None = None) -> dict[str, Covers]:
    """Return what a change of these paths covers."""
    return {rpc: Covers(update_mask=paths, pinned=pinned or {})}
