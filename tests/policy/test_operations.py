"""Writing policies and limits: what is refused, what moves, what is told to others."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from concord.kernel.errors import ConcordError, Conflict, Invalid, NotFound, Precondition, QuotaExceeded, Reason
from concord.kernel.ids import ProjectId
from concord.kernel.paging import PageRequest
from concord.policy.model import EVERYONE, NOBODY, Boundary, BoundaryKind, Effect, Subject
from concord.policy.operations.policies import Draft, Patch, create_policy, delete_policy, set_statements, update_policy
from concord.policy.operations.quotas import get_quota, list_quotas, set_quota
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, World, allow, in_group, new_user, rule

STRANGER = str(uuid.uuid4())


def rules(*statements: Any, **more: Any) -> Draft:
    return Draft("policy", language="role_rules", statements=statements, **more)


@pytest.mark.parametrize(
    ("draft", "place", "broken"),
    [
        (rules(rule("IAMReadOnly", "NoSuchRole")), "statements[0].role_names[1]", "unknown"),
        (
            rules(rule("IAMReadOnly"), rule("AllProductsReadOnly", "IAMReadOnly")),
            "statements[1].role_names",
            "constraint",
        ),
        (rules(rule("IAMReadOnly", projects=(STRANGER,))), "statements[0].boundary.kind", "constraint"),
        (rules(rule()), "statements[0].role_names", "required"),
        (rules(allow("identity.users.get")), "statements[0].permissions", "constraint"),
        (rules(rule("IAMReadOnly", condition="1 +")), "statements[0].condition", "condition"),
        (Draft("p", statements=(allow("not a pattern"),)), "statements[0].permissions[0]", "pattern"),
        (
            Draft("p", statements=(replace(allow("a.b.c"), source_network="::/0"),)),
            "statements[0].source_network",
            "constraint",
        ),
        (Draft("p", language="unheard_of"), "policy.language", "unknown"),
        (Draft(""), "policy.name", "length"),
        (Draft("p" * 257), "policy.name", "length"),
        (Draft("p", tags=("a", "a")), "policy.tags", "unique"),
        (Draft("p", attributes={"plain": "x"}), "policy.attributes", "pattern"),
        (Draft("p", document="{}", statements=(allow("a.b.c"),)), "document", "constraint"),
    ],
)
async def test_what_is_wrong_with_a_policy_is_named(world: World, draft: Draft, place: str, broken: str) -> None:
    with pytest.raises(Invalid) as refused:
        await world.do(lambda unit: create_policy(unit, draft))

    assert (place, broken) in {(each.field, each.rule) for each in refused.value.violations}
    assert (refused.value.reason is Reason.INVALID_DOCUMENT) is (broken == "condition")


@pytest.mark.parametrize(
    ("draft", "what"),
    [
        (Draft("p", subject=Subject.of(new_user())), "user"),
        (Draft("p", subject=in_group(STRANGER)), "group"),
        (rules(rule("AllProductsReadOnly", projects=(STRANGER,))), "project"),
        (
            Draft("p", statements=(allow("a.b.c", boundary=Boundary(BoundaryKind.ORGANIZATION, OTHER_ORGANIZATION)),)),
            "organization",
        ),
        (
            Draft(
                "p", statements=(allow("a.b.c", boundary=Boundary(BoundaryKind.OWNER_ACCOUNT, owner_user_id=STRANGER)),)
            ),
            "user",
        ),
    ],
)
async def test_what_a_policy_refers_to_must_exist_here(world: World, draft: Draft, what: str) -> None:
    with pytest.raises(NotFound) as refused:
        await world.do(lambda unit: create_policy(unit, draft))

    assert refused.value.resource_type == what


async def test_a_policy_counts_statements_boundaries_and_roles(world: World) -> None:
    one, other = await world.project(), await world.project()

    policy = await world.policy(
        NOBODY,
        rule("IAMReadOnly", "OrganizationReadOnly"),
        rule("AllProductsReadOnly", projects=(one, other)),
        rule("AllProductsFullAccess", "AllProductsReadOnly", projects=(one,)),
    )

    assert (policy.statement_count, policy.boundary_count, policy.role_count) == (3, 3, 5)


async def test_the_quota_counts_what_people_made(world: World) -> None:
    await world.born("scaleway")
    await world.do(lambda unit: set_quota(unit, "policies", limit=1))
    await world.policy(NOBODY)

    with pytest.raises(QuotaExceeded) as refused:
        await world.policy(NOBODY)

    assert (refused.value.limit, refused.value.current) == (1, 1)
    await world.do(lambda unit: set_quota(unit, "policies", limit=0, unlimited=True))
    await world.policy(NOBODY)


async def test_the_update_time_follows_facts_and_statements_and_never_the_subject(world: World) -> None:
    user = await world.user()
    policy = await world.policy(NOBODY, allow("a.b.c"))

    attached = await world.do(lambda unit: update_policy(unit, policy.id, Patch(subject=Subject.of(user))))
    renamed = await world.do(lambda unit: update_policy(unit, policy.id, Patch(name="other")))
    said = await world.do(lambda unit: set_statements(unit, policy.id, [allow("a.b.d")]))

    assert attached.update_time == policy.update_time
    assert policy.update_time < renamed.update_time < said.update_time
    assert [attached.version, renamed.version, said.version] == [2, 3, 4]


async def test_statements_get_new_ids_even_when_they_say_the_same(world: World) -> None:
    policy = await world.policy(NOBODY, allow("a.b.c"))

    after = await world.do(lambda unit: set_statements(unit, policy.id, [allow("a.b.c")]))

    assert after.statements[0].id != policy.statements[0].id
    assert replace(after.statements[0], id="") == replace(policy.statements[0], id="")


async def test_tags_can_be_cleared_and_empty_patches_change_nothing(world: World) -> None:
    policy = await world.policy(NOBODY, tags=("a",))

    untouched = await world.do(lambda unit: update_policy(unit, policy.id, Patch()))
    cleared = await world.do(lambda unit: update_policy(unit, policy.id, Patch(tags=())))

    assert untouched == policy
    assert cleared.tags == ()


@pytest.mark.parametrize("write", ["update", "set", "delete"])
async def test_an_old_etag_and_an_unknown_policy_are_refused(world: World, write: str) -> None:
    policy = await world.policy(NOBODY)
    await world.do(lambda unit: update_policy(unit, policy.id, Patch(name="newer"), policy.etag))
    writes: dict[str, Any] = {
        "update": lambda unit, policy_id, etag: update_policy(unit, policy_id, Patch(name="x"), etag),
        "set": lambda unit, policy_id, etag: set_statements(unit, policy_id, [], etag=etag),
        "delete": delete_policy,
    }

    for policy_id, etag, failure in ((policy.id, policy.etag, Conflict), (STRANGER, "", NotFound)):
        with pytest.raises(failure):
            await world.do(lambda unit, p=policy_id, e=etag: writes[write](unit, p, e))


async def test_what_the_platform_keeps_cannot_be_written(world: World) -> None:
    policy = await world.policy(NOBODY)
    kept = replace(policy, editable=False, deletable=False, catalogue="scaleway")
    await world.do(lambda unit: unit.store.save_policy(kept))

    for write in (
        lambda unit: update_policy(unit, policy.id, Patch(name="x")),
        lambda unit: delete_policy(unit, policy.id),
    ):
        with pytest.raises(Precondition) as refused:
            await world.do(write)
        assert refused.value.reason is Reason.RESOURCE_MANAGED


async def test_a_document_is_kept_as_it_came_and_read(world: World) -> None:
    document = '{"statements": [ {"effect": "deny", "permissions": ["identity.users.get"]} ]}'

    policy = await world.do(lambda unit: create_policy(unit, Draft("p", document=document)))

    assert policy.document == document
    assert [each.effect for each in policy.statements] == [Effect.DENY]


async def test_changes_say_whether_they_may_take_rights_away(world: World) -> None:
    user = await world.user()
    deny = replace(allow("a.b.c"), effect=Effect.DENY)

    allowing = await world.recorded(lambda unit: create_policy(unit, Draft("p", statements=(allow("a.b.c"),))))
    denying = await world.recorded(lambda unit: create_policy(unit, Draft("p", statements=(deny,), subject=EVERYONE)))
    policy = allowing[0].after
    renaming = await world.recorded(lambda unit: update_policy(unit, policy.id, Patch(name="q")))
    moving = await world.recorded(lambda unit: update_policy(unit, policy.id, Patch(subject=Subject.of(user))))
    deleting = await world.recorded(lambda unit: delete_policy(unit, policy.id))

    told = [(each.type, each.security_relevant) for each in (*allowing, *denying, *renaming, *moving, *deleting)]
    assert told == [
        ("policy.created", False),
        ("policy.created", True),
        ("policy.updated", False),
        ("policy.updated", True),
        ("policy.deleted", True),
    ]


async def test_limits_have_defaults_until_they_are_set(world: World) -> None:
    default = await world.ask(lambda store: get_quota(store, ORGANIZATION, "applications"))

    await world.do(lambda unit: set_quota(unit, "applications", limit=3, etag=default.etag))

    after = await world.ask(lambda store: get_quota(store, ORGANIZATION, "applications"))
    assert (default.limit, default.version, after.limit, after.version) == (100, 0, 3, 1)
    with pytest.raises(Conflict):
        await world.do(lambda unit: set_quota(unit, "applications", limit=3, etag=default.etag))
    with pytest.raises(NotFound):
        await world.ask(lambda store: get_quota(store, ORGANIZATION, "unheard_of"))
    with pytest.raises(ConcordError):
        await world.do(lambda unit: set_quota(unit, "applications", limit=-1))


async def test_lists_outside_the_database_page_like_the_others(world: World) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = PageRequest(size=3, after=after, order=(("name", True),), with_total=True)
        found = await world.ask(lambda store, page=page: list_quotas(store, ORGANIZATION, None, page))
        seen.extend(each.name for each in found.items)
        after = found.after
        if after is None:
            break

    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == found.total_size == 9


async def test_nothing_attached_to_the_owner_has_any_effect(world: World) -> None:
    await world.policy(OWNER, replace(allow("*"), effect=Effect.DENY))
    await world.policy(EVERYONE, replace(allow("*"), effect=Effect.DENY))

    assert await world.allows(OWNER, "identity.users.list")
    assert ProjectId(ORGANIZATION) in await world.ask(lambda store: store.known_projects(ORGANIZATION, [ORGANIZATION]))
