"""Roles that people make: what they are made of, what is refused, what follows from a change."""

import json
import uuid
from typing import Any

import pytest

from concord.kernel.errors import AlreadyExists, Conflict, Invalid, NotFound, Precondition, QuotaExceeded, Reason
from concord.kernel.paging import PageRequest
from concord.policy.model import (
    Boundary,
    BoundaryKind,
    LocalizedText,
    RoleFilter,
    RoleKind,
    RoleRelation,
)
from concord.policy.operations.quotas import set_quota
from concord.policy.operations.role_names import get_role
from concord.policy.operations.roles import RoleDraft, RolePatch, create_role, delete_role, list_roles, update_role
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import World

GET, LIST, UPDATE = "identity.users.get", "identity.users.list", "identity.users.update"
PAGE = PageRequest(size=1000, order=(("name", False),), with_total=True)


def document(*permissions: str, effect: str = "allow", **more: Any) -> str:
    # Spaces that no writer of ours would put there: what comes back must have them.
    return json.dumps({"statements": [{"effect": effect, "permissions": permissions, **more}]}, indent=3) + "\n "


def composed(*included: Any, **more: Any) -> RoleDraft:
    return RoleDraft(kind=RoleKind.COMPOSED, included=tuple(getattr(each, "id", each) for each in included), **more)


async def find(world: World, locator: str, organization_id: Any = ORGANIZATION) -> Any:
    return await world.ask(lambda store: get_role(store, organization_id, locator))


async def test_a_document_comes_back_byte_for_byte_with_what_it_says(world: World) -> None:
    text = document(GET, LIST)

    role = await world.do(lambda unit: create_role(unit, RoleDraft(handle="readers", document=text)))
    again = await find(world, "readers")

    assert again == role
    assert role.document == text
    assert [each.permissions for each in role.statements] == [(GET, LIST)]
    assert (role.name.text, role.language, role.version) == ("readers", "statements", 1)


@pytest.mark.parametrize(
    ("draft", "place", "broken"),
    [
        (RoleDraft(), "role.permissions", "required"),
        (RoleDraft(permissions=(GET,), document=document(GET)), "role.permissions", "required"),
        (RoleDraft(permissions=("not a pattern",)), "role.permissions[0]", "pattern"),
        (RoleDraft(permissions=(GET, GET)), "role.permissions", "unique"),
        (RoleDraft(permissions=(GET,), language="unheard_of"), "role.language", "unknown"),
        (RoleDraft(permissions=(GET,), handle="x" * 257), "role.handle", "length"),
        (RoleDraft(permissions=(GET,), handle=str(uuid.uuid4())), "role.handle", "handle"),
        (RoleDraft(permissions=(GET,), handle="a\x00"), "role.handle", "pattern"),
        (RoleDraft(permissions=(GET,), name=LocalizedText("a", {"": "b"})), "role.name.translations", "pattern"),
        (RoleDraft(permissions=(GET,), attributes={"plain": "x"}), "role.attributes", "pattern"),
        (RoleDraft(permissions=(GET,), included=("IAMReadOnly",)), "role.included_role_ids", "constraint"),
        (RoleDraft(permissions=(GET,), resource_type_id="a.b"), "role.resource_type_id", "constraint"),
        (RoleDraft(document="{"), "document", "json"),
        (
            RoleDraft(document=document(GET, boundary={"kind": "group_subtree", "group_id": ORGANIZATION})),
            "group",
            "not found",
        ),
        (RoleDraft(document=document(GET, boundary={"kind": "own_divisions"})), "statements[0].boundary", "constraint"),
        (RoleDraft(document=document("x y")), "statements[0].permissions[0]", "pattern"),
        (composed(), "role.included_role_ids", "required"),
        (composed("IAMReadOnly", permissions=(GET,)), "role.permissions", "constraint"),
        (composed("IAMReadOnly", language="statements"), "role.language", "constraint"),
        (composed("IAMReadOnly", boundary_kind=BoundaryKind.PROJECTS), "role.boundary_kind", "constraint"),
        (RoleDraft(kind=RoleKind.NARROWED, included=("IAMReadOnly",)), "role.resource_type_id", "pattern"),
        (RoleDraft(kind=RoleKind.NARROWED, resource_type_id="a.b"), "role.included_role_ids", "required"),
    ],
)
async def test_what_is_wrong_with_a_role_is_named_and_nothing_made(
    world: World, draft: RoleDraft, place: str, broken: str
) -> None:
    with pytest.raises((Invalid, NotFound)) as refused:
        await world.do(lambda unit: create_role(unit, draft))

    if isinstance(refused.value, NotFound):
        assert (refused.value.resource_type, broken) == (place, "not found")
    else:
        assert (place, broken) in {(each.field, each.rule) for each in refused.value.violations}
    assert await world.ask(lambda store: store.count_roles(ORGANIZATION)) == 0


async def test_handles_are_taken_once_by_people_and_never_from_supplied_roles(world: World) -> None:
    await world.role(GET, handle="readers")

    for handle in ("readers", "IAMReadOnly"):
        with pytest.raises(AlreadyExists):
            await world.role(GET, handle=handle)


async def test_kb09_handles_that_look_alike_are_different_and_one_spelled_in_two_ways_is_one(world: World) -> None:
    made = [await world.role(GET, handle=each) for each in ("readers", "Readers", "readers ", "stra\u00dfe", "strasse")]
    composed_form = await world.role(GET, handle="caf\u00e9")

    found = [await find(world, each.handle) for each in made]

    assert [each.id for each in found] == [each.id for each in made]
    assert (await find(world, "cafe\u0301")).id == composed_form.id
    with pytest.raises(AlreadyExists):
        await world.role(GET, handle="cafe\u0301")


async def test_roles_of_another_organization_are_unknown(world: World) -> None:
    role = await world.role(GET, handle="readers")

    for locator in (role.id, role.handle, str(uuid.uuid4()), "", "\x00"):
        with pytest.raises(NotFound) as refused:
            await find(world, locator, OTHER_ORGANIZATION)
        assert refused.value.resource_type == "role"


async def test_lists_hold_supplied_roles_and_others_in_one_order(world: World) -> None:
    mine = await world.role(GET, handle="IAMReadOnly 2", categories=("x",))

    async def listed(page: PageRequest = PAGE, **wanted: Any) -> Any:
        return await world.ask(lambda store: list_roles(store, ORGANIZATION, RoleFilter(**wanted), page))

    everything = await listed()
    names = [each.name.text for each in everything.items]
    first = await listed(PageRequest(size=names.index("IAMReadOnly 2"), order=PAGE.order))
    rest = await listed(PageRequest(size=1000, after=first.after, order=PAGE.order))

    assert everything.total_size == 157
    assert names.index("IAMReadOnly 2") == names.index("IAMReadOnly") + 1
    assert [*first.items, *rest.items] == everything.items
    assert (await listed(catalogues=("",))).items == [mine]
    assert (await listed(ids=(mine.id,), kinds=(RoleKind.BASIC,))).items == [mine]
    assert (await listed(kinds=(RoleKind.COMPOSED,))).items == []
    assert (await listed(language="role_rules", boundary_kinds=(BoundaryKind.ORGANIZATION,))).total_size == 26


async def test_a_role_is_a_bounded_number_and_supplied_ones_do_not_count(world: World) -> None:
    await world.do(lambda unit: set_quota(unit, "roles", limit=1))
    await world.role(GET)

    with pytest.raises(QuotaExceeded) as refused:
        await world.role(GET)

    assert (refused.value.limit, refused.value.current) == (1, 1)


async def test_supplied_roles_are_neither_changed_nor_deleted(world: World) -> None:
    for operation in (
        lambda unit: update_role(unit, "IAMReadOnly", RolePatch({"permissions": ("*",)})),
        lambda unit: delete_role(unit, "IAMReadOnly"),
    ):
        with pytest.raises(Precondition) as refused:
            await world.do(operation)
        assert refused.value.reason is Reason.RESOURCE_MANAGED


async def test_an_update_moves_the_version_only_where_something_changes(world: World) -> None:
    role = await world.role(GET, handle="readers", description=LocalizedText("d", {"fr": "x"}))

    same = await world.do(lambda unit: update_role(unit, role.id, RolePatch({"permissions": (GET,)})))
    patch = RolePatch({"permissions": (LIST,)}, {("description", "text"): "e"})
    other = await world.do(lambda unit: update_role(unit, "readers", patch, role.etag))

    assert same == role
    assert (other.version, other.permissions, other.description) == (2, (LIST,), LocalizedText("e", {"fr": "x"}))
    assert other.update_time > role.update_time
    assert await find(world, role.id) == other
    with pytest.raises(Conflict):
        await world.do(lambda unit: update_role(unit, role.id, patch, role.etag))


async def test_a_role_keeps_to_its_form(world: World) -> None:
    listing = await world.role(GET)
    written = await world.do(lambda unit: create_role(unit, RoleDraft(document=document(GET))))

    for role, fields in (
        (listing, {"document": document(GET), "permissions": ()}),
        (written, {"permissions": (GET,), "document": ""}),
        (written, {"document": ""}),
    ):
        with pytest.raises(Invalid):
            await world.do(lambda unit, role=role, fields=fields: update_role(unit, role.id, RolePatch(fields)))


async def test_roles_include_neither_themselves_nor_too_many_levels(world: World) -> None:
    chain = [await world.role(GET)]
    for _ in range(7):
        chain.append(await world.do(lambda unit: create_role(unit, composed(chain[-1]))))

    with pytest.raises(Invalid) as deep:
        await world.do(lambda unit: create_role(unit, composed(chain[-1])))
    round_again = RolePatch({"included_role_ids": (chain[-1].id,)})
    with pytest.raises(Invalid) as circle:
        await world.do(lambda unit: update_role(unit, chain[1].id, round_again))
    other = await world.do(lambda unit: create_role(unit, composed(chain[0])))
    one_more = RolePatch({"included_role_ids": (other.id,)})
    with pytest.raises(Invalid) as below:
        await world.do(lambda unit: update_role(unit, chain[1].id, one_more))

    assert [each.value.violations[0].rule for each in (deep, circle, below)] == ["depth", "cycle", "depth"]


async def test_included_roles_are_of_one_language_and_exist(world: World) -> None:
    mine = await world.role(GET)

    with pytest.raises(Invalid):
        await world.do(lambda unit: create_role(unit, composed(mine, "IAMReadOnly")))
    with pytest.raises(NotFound):
        await world.do(lambda unit: create_role(unit, composed(mine, str(uuid.uuid4()))))


async def test_a_role_made_of_supplied_ones_is_bounded_as_they_are(world: World) -> None:
    strict = await world.do(lambda unit: create_role(unit, composed("IAMReadOnly", "AllProductsReadOnly")))
    free = await world.do(lambda unit: create_role(unit, composed("AllProductsReadOnly")))

    assert (strict.boundary_kind, strict.language) == (BoundaryKind.ORGANIZATION, "role_rules")
    assert free.boundary_kind is BoundaryKind.PROJECTS


async def test_deleting_a_role_ends_its_grants_or_refuses(world: World) -> None:
    user = await world.user()
    role = await world.role(LIST)
    outer = await world.do(lambda unit: create_role(unit, composed(role)))
    await world.grant(user, role)

    with pytest.raises(Precondition) as included:
        await world.do(lambda unit: delete_role(unit, role.id))
    await world.do(lambda unit: delete_role(unit, outer.id))
    with pytest.raises(Precondition) as held:
        await world.do(lambda unit: delete_role(unit, role.id, {RoleRelation.GRANTS}))
    assert await world.allows(user, LIST)
    changes = await world.recorded(lambda unit: delete_role(unit, role.id))

    assert {included.value.reason, held.value.reason} == {Reason.RESOURCE_IN_USE}
    assert [each.type for each in changes] == ["grant.deleted", "role.deleted"]
    assert all(each.security_relevant for each in changes)
    assert not await world.allows(user, LIST)


async def test_kb08_a_boundary_kind_is_not_changed_under_those_who_hold_the_role(world: World) -> None:
    user, project = await world.user(), await world.project()
    role = await world.role(LIST)
    await world.grant(user, role, Boundary(BoundaryKind.PROJECTS, project_ids=(project,)))

    patch = RolePatch({"boundary_kind": BoundaryKind.ORGANIZATION})
    with pytest.raises(Precondition) as refused:
        await world.do(lambda unit: update_role(unit, role.id, patch))

    assert refused.value.reason is Reason.INVALID_STATE


async def test_a_created_role_takes_nothing_away_and_a_changed_one_may(world: World) -> None:
    created = await world.recorded(lambda unit: create_role(unit, RoleDraft(permissions=(GET,), handle="r")))
    updated = await world.recorded(lambda unit: update_role(unit, "r", RolePatch({"permissions": (LIST,)})))

    assert [(each.type, each.security_relevant) for each in (*created, *updated)] == [
        ("role.created", False),
        ("role.updated", True),
    ]
