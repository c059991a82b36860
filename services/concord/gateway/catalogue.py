"""Makes the catalogue of operations that the decision point reads, from the routes that carry them out."""

from typing import Any

from concord.gateway.route import Covers, Dialect, Route


def operations(dialect: Dialect) -> dict[str, Any]:
    """Return the catalogue of a dialect's operations, by name."""
    rows = [_row(dialect, route) for route in dialect.routes]
    return {"operations": sorted(rows, key=lambda row: str(row["name"]))}


def _row(dialect: Dialect, route: Route) -> dict[str, Any]:
    return {
        "name": dialect.operation_name(route),
        "primary_permission": route.permission,
        "carries": list(route.carries),
        "covers": {rpc: _covers(covers) for rpc, covers in route.covers.items()},
    }


def _covers(covers: Covers) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if covers.update_mask is not None:
        row["update_mask"] = sorted(covers.update_mask)
    if covers.pinned:
        row["pinned"] = {field: sorted(values) for field, values in covers.pinned.items()}
    return row
