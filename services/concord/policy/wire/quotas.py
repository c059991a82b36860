"""Limits."""

from datetime import datetime
from typing import Any

from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.model import Quota
from concord.policy.v1 import quota_pb2


def quota_to_wire(quota: Quota) -> quota_pb2.Quota:
    """Return the message for a limit."""
    return quota_pb2.Quota(
        name=quota.name,
        organization_id=quota.organization_id,
        version=quota.version,
        etag=quota.etag,
        create_time=_time(quota.create_time),
        update_time=_time(quota.update_time),
        display_name=quota.display_name,
        unit=quota.unit,
        description=quota.description,
        locality=quota_pb2.QUOTA_LOCALITY_GLOBAL,
        limit=quota.limit,
        unlimited=quota.unlimited,
        limits=[
            quota_pb2.QuotaLimit(locality=quota_pb2.QUOTA_LOCALITY_GLOBAL, limit=quota.limit, unlimited=quota.unlimited)
        ],
    )


def _time(instant: datetime | None) -> Any:
    return None if instant is None else instant_to_wire(instant)
