"""The groups that an organization is born with, by catalogue. The catalogues themselves are package data."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from importlib import resources

from concord.groups.model import Group, LocalizedText
from concord.kernel import ids
from concord.kernel.ids import GroupId, OrganizationId


def birth_groups(organization_id: OrganizationId, catalogues: Iterable[str], now: datetime) -> list[Group]:
    """Return the groups that these catalogues supply. The same birth always makes the same ids."""
    supplied = [(catalogue, *row) for catalogue in catalogues for row in _supplied().get(catalogue, ())]
    groups = []
    for place, (catalogue, name, description) in enumerate(supplied):
        # A microsecond apart, so that lists by time keep the catalogue's order.
        born = now + timedelta(microseconds=place)
        groups.append(
            Group(
                id=ids.derive(GroupId, organization_id, catalogue, name),
                organization_id=organization_id,
                create_time=born,
                update_time=born,
                catalogue=catalogue,
                name=LocalizedText(name),
                description=LocalizedText(description),
            )
        )
    return groups


@cache
def _supplied() -> dict[str, tuple[tuple[str, str], ...]]:
    folder = resources.files("concord.groups") / "catalogues"
    return {
        each.name: tuple((row["name"], row["description"]) for row in json.loads(file.read_text("utf-8")))
        for each in folder.iterdir()
        if each.is_dir() and (file := each / "groups.json").is_file()
    }
