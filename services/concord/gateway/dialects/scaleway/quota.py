"""Quota: how many things of a kind an organization may have."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import BigCount, Paged, Texts, Uuid, canonical, listed, order
from concord.gateway.shapes import Text, text_rule
from concord.kernel.errors import NotFound
from concord.policy.v1 import quota_pb2, quota_service_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

NAME_PATH = Text(text_rule(at_least=1, at_most=256))
_PREFIX = "iam_"
# Quotas of this API; projects are another one's matter.
_SERVED = ("api_keys", "applications", "groups", "policies", "ssh_keys", "users")
_ORDERS = {"name": "name"}
Unset = msgspec.UnsetType
Locality = Literal["global", "region", "zone"]
_LOCALITIES: dict[int, Locality] = {
    quota_pb2.QUOTA_LOCALITY_REGION: "region",
    quota_pb2.QUOTA_LOCALITY_ZONE: "zone",
}


class QuotumLimit(msgspec.Struct, frozen=True):
    """The limit in one place. Of place and value only the arms there are."""

    global_: bool | Unset = msgspec.field(name="global", default=msgspec.UNSET)
    region: str | Unset = msgspec.UNSET
    zone: str | Unset = msgspec.UNSET
    limit: BigCount | Unset = msgspec.UNSET
    unlimited: bool | Unset = msgspec.UNSET


class Quotum(msgspec.Struct, frozen=True, kw_only=True):
    """A quota as it is answered."""

    name: str
    limit: BigCount | Unset = msgspec.UNSET
    unlimited: bool | Unset = msgspec.UNSET
    pretty_name: str
    unit: str
    description: str
    locality_type: Locality
    limits: list[QuotumLimit]


class ListQuotaResponse(msgspec.Struct, frozen=True):
    """One page of quotas."""

    quota: list[Quotum]
    total_count: BigCount


class ListQuotaQuery(Paged, frozen=True, kw_only=True):
    """Which quotas to list."""

    order_by: Literal["name_asc", "name_desc"] = "name_asc"
    organization_id: Uuid
    quotum_names: Texts | None = None


class GetQuotumQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose quota."""

    organization_id: Uuid


def to_quotum(source: quota_pb2.Quota) -> Quotum:
    """Translate an answer."""
    return Quotum(
        name=_PREFIX + source.name,
        limit=msgspec.UNSET if source.unlimited else source.limit,
        unlimited=True if source.unlimited else msgspec.UNSET,
        pretty_name=source.display_name,
        unit=source.unit,
        description=source.description,
        locality_type=_LOCALITIES.get(source.locality, "global"),
        limits=[_to_limit(limit) for limit in source.limits],
    )


def _to_limit(source: quota_pb2.QuotaLimit) -> QuotumLimit:
    locality = _LOCALITIES.get(source.locality, "global")
    return QuotumLimit(
        global_=True if locality == "global" else msgspec.UNSET,
        region=source.place if locality == "region" else msgspec.UNSET,
        zone=source.place if locality == "zone" else msgspec.UNSET,
        limit=msgspec.UNSET if source.unlimited else source.limit,
        unlimited=True if source.unlimited else msgspec.UNSET,
    )


def core_names(names: Iterable[str]) -> list[str]:
    """Return the core's names of quotas; one that is not served here becomes one that is found nowhere."""
    return [_core_name(name) or f"?{name}" for name in names]


def _core_name(name: str) -> str:
    core = name.removeprefix(_PREFIX)
    return core if core in _SERVED and core != name else ""


def from_list(query: ListQuotaQuery, skip: int, size: int) -> quota_service_pb2.ListQuotasRequest:
    """Translate a list's filter."""
    return quota_service_pb2.ListQuotasRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        names=core_names(query.quotum_names) if query.quotum_names else _SERVED,
    )


async def list_quota(call: Call) -> ListQuotaResponse:
    """GET /quota."""

    async def fetch(skip: int, size: int) -> ListQuotaResponse:
        answer = await call.ask(call.core.quotas.ListQuotas, from_list(call.query, skip, size))
        return ListQuotaResponse([to_quotum(entry) for entry in answer.quotas], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListQuotaResponse([], n))


async def get_quotum(call: Call) -> Quotum:
    """GET /quota/{quotum_name}. Another organization is as unknown as its quotas."""
    name = call.path["quotum_name"]
    # One that is not served here is asked for as well: whether the caller may ask at all, the core knows.
    (core_name,) = core_names([name])
    try:
        quota = await call.ask(call.core.quotas.GetQuota, quota_service_pb2.GetQuotaRequest(name=core_name))
    except NotFound:
        raise NotFound("quotum", name) from None
    organization_id = canonical(call.query.organization_id)
    if quota.organization_id != organization_id:
        raise NotFound("organization", organization_id)
    return to_quotum(quota)
