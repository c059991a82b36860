"""The store's promises, on both engines."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from concord.kernel.errors import AlreadyExists, NotFound
from concord.kernel.ids import GroupId, PolicyId, ProjectId, StatementId
from concord.kernel.paging import PageRequest
from concord.policy.model import (
    EVERYONE,
    NOBODY,
    Boundary,
    BoundaryKind,
    Effect,
    EndedCredential,
    EndedKind,
    Endpoint,
    KnownGroup,
    KnownOrganization,
    KnownPrincipal,
    OrganizationState,
    Policy,
    PolicyFilter,
    PrincipalState,
    Quota,
    Statement,
    Subject,
    SubjectKind,
)
from concord.policy.server import MIGRATIONS
from concord.policy.sql import METADATA
from databases import schema_differences
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, Stored, new_user

START = datetime(2026, 1, 1, tzinfo=UTC)
BY_NAME = PageRequest(order=(("name", False),), with_total=True)


def a_statement(**more: Any) -> Statement:
    return Statement(id=StatementId(str(uuid.uuid4())), **{"permissions": ("identity.users.get",), **more})


def a_policy(*statements: Statement, **more: Any) -> Policy:
    facts = {
        "organization_id": ORGANIZATION,
        "name": "policy",
        "version": 1,
        "create_time": START,
        "update_time": START,
    }
    return Policy(id=PolicyId(str(uuid.uuid4())), **{**facts, **more}).saying(statements)


async def born(both: Stored) -> None:
    def write(store: Any) -> None:
        store.put_organization(KnownOrganization(ORGANIZATION, OWNER.id))
        store.put_principal(ORGANIZATION, KnownPrincipal(OWNER, is_owner=True, name="owner"))

    await both.do(write)


async def test_the_history_makes_the_tables_of_the_metadata(database_engines: Any) -> None:
    assert await schema_differences(database_engines, METADATA, MIGRATIONS) == []


async def test_a_policy_comes_back_as_it_went_in(both: Stored) -> None:
    full = a_statement(
        effect=Effect.DENY,
        operations=("scaleway/*",),
        endpoints=(Endpoint("/v1", "/users/*", "GET"),),
        denied_endpoints=(Endpoint("/v1", "/users/me", ""),),
        source_network="192.0.2.0/24",
        parameters={"a": "b"},
        role_names=("IAMReadOnly",),
        boundary=Boundary(BoundaryKind.PROJECTS, project_ids=(ProjectId(str(uuid.uuid4())),)),
        condition="true",
    )
    policy = a_policy(
        full, a_statement(), tags=("b", "a"), attributes={"x.y": "z"}, subject=EVERYONE, description="d", document="{}"
    )

    await both.do(lambda store: store.add_policy(policy))

    assert await both.do(lambda store: store.find_policy(ORGANIZATION, policy.id)) == policy
    assert await both.do(lambda store: store.find_policy(OTHER_ORGANIZATION, policy.id)) is None


async def test_an_id_is_taken_within_its_organization_only(both: Stored) -> None:
    policy = a_policy()
    await both.do(lambda store: store.add_policy(policy))

    await both.do(lambda store: store.add_policy(replace(policy, organization_id=OTHER_ORGANIZATION)))

    with pytest.raises(AlreadyExists):
        await both.do(lambda store: store.add_policy(policy))


async def test_statements_are_replaced_as_a_whole_and_gone_with_their_policy(both: Stored) -> None:
    policy = a_policy(a_statement(), a_statement())
    await both.do(lambda store: store.add_policy(policy))
    after = policy.saying([a_statement(condition="true")])

    await both.do(lambda store: store.replace_statements(after))
    page = await both.do(
        lambda store: store.list_statements(ORGANIZATION, policy.id, PageRequest(order=(("position", False),)))
    )
    gone = await both.do(lambda store: store.delete_policy(ORGANIZATION, policy.id))
    left = await both.do(
        lambda store: store.known_statement_ids(ORGANIZATION, [each.id for each in after.statements or ()])
    )

    assert tuple(page.items) == after.statements
    assert (gone, left) == (True, frozenset())


async def test_saving_or_replacing_an_unknown_policy_is_refused(both: Stored) -> None:
    with pytest.raises(NotFound):
        await both.do(lambda store: store.save_policy(a_policy()))
    with pytest.raises(NotFound):
        await both.do(lambda store: store.replace_statements(a_policy(a_statement())))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (PolicyFilter(), ["alpha", "Beta", "gamma 100%"]),
        (PolicyFilter(name="ETA"), ["Beta"]),
        (PolicyFilter(name="%"), ["gamma 100%"]),
        (PolicyFilter(name="_"), []),
        (PolicyFilter(tag="red"), ["alpha", "gamma 100%"]),
        (PolicyFilter(tag="Red"), []),
        (PolicyFilter(editable=False), ["gamma 100%"]),
        (PolicyFilter(catalogues=("",)), ["alpha", "Beta"]),
        (PolicyFilter(catalogues=("scaleway", "")), ["alpha", "Beta", "gamma 100%"]),
        (PolicyFilter(subjects=(Subject(SubjectKind.USER, OWNER.id), EVERYONE)), ["alpha", "Beta"]),
        (PolicyFilter(subjects=(Subject(SubjectKind.APPLICATION, OWNER.id),)), []),
        (PolicyFilter(subject_kinds=(SubjectKind.NONE,)), ["gamma 100%"]),
        (PolicyFilter(ids=()), []),
        (PolicyFilter(name="a", tag="red", editable=True), ["alpha"]),
    ],
)
async def test_lists_show_what_passes_every_filter(both: Stored, wanted: PolicyFilter, names: list[str]) -> None:
    def write(store: Any) -> None:
        store.add_policy(a_policy(name="Beta", subject=EVERYONE))
        store.add_policy(a_policy(name="alpha", tags=("red",), subject=Subject(SubjectKind.USER, OWNER.id)))
        store.add_policy(a_policy(name="gamma 100%", tags=("red", "blue"), catalogue="scaleway", editable=False))
        store.add_policy(a_policy(name="alpha", tags=("red",), organization_id=OTHER_ORGANIZATION))

    await both.do(write)

    page = await both.do(lambda store: store.list_policies(ORGANIZATION, wanted, BY_NAME))

    assert [each.name for each in page.items] == names
    assert page.total_size == len(names)
    assert all(each.statements is None for each in page.items)


async def test_lists_page_without_gap_or_repeat_and_bring_statements_when_asked(both: Stored) -> None:
    policies = [a_policy(a_statement(), name=f"p{n // 2}", create_time=START + timedelta(seconds=n)) for n in range(5)]
    await both.do(lambda store: [store.add_policy(each) for each in policies])

    seen: list[Policy] = []
    after = None
    while True:
        page = PageRequest(size=2, after=after, order=(("name", True),))
        found = await both.do(
            lambda store, page=page: store.list_policies(ORGANIZATION, PolicyFilter(), page, with_statements=True)
        )
        seen.extend(found.items)
        after = found.after
        if after is None:
            break

    assert sorted(each.id for each in seen) == sorted(each.id for each in policies)
    assert [each.name for each in seen] == ["p2", "p1", "p1", "p0", "p0"]
    assert all(len(each.statements or ()) == 1 for each in seen)


async def test_only_what_people_made_counts(both: Stored) -> None:
    await both.do(lambda store: [store.add_policy(a_policy()), store.add_policy(a_policy(catalogue="scaleway"))])

    assert await both.do(lambda store: store.count_policies(ORGANIZATION)) == 1


async def test_policies_are_found_by_holder_and_by_project(both: Stored) -> None:
    project = ProjectId(str(uuid.uuid4()))
    within = a_policy(a_statement(boundary=Boundary(BoundaryKind.PROJECTS, project_ids=(project,))), subject=EVERYONE)
    await both.do(lambda store: [store.add_policy(within), store.add_policy(a_policy(subject=NOBODY))])

    held = await both.do(lambda store: store.policies_of(ORGANIZATION, [EVERYONE, Subject.of(OWNER)]))
    stamp = await both.do(lambda store: store.source_stamp(ORGANIZATION, [EVERYONE]))
    named = await both.do(lambda store: store.policies_within(ORGANIZATION, project))
    elsewhere = await both.do(lambda store: store.policies_within(OTHER_ORGANIZATION, project))

    assert (held, stamp.policies, named, elsewhere) == ([within], ((within.id, 1),), [within], [])


async def test_a_limit_is_kept_for_each_organization(both: Stored) -> None:
    quota = Quota("groups", ORGANIZATION, 7, version=1, create_time=START, update_time=START)
    await both.do(lambda store: store.put_quota(quota))
    await both.do(lambda store: store.put_quota(replace(quota, limit=8, version=2)))

    assert await both.do(lambda store: store.find_quota(ORGANIZATION, "groups")) == replace(quota, limit=8, version=2)
    assert await both.do(lambda store: store.list_quotas(OTHER_ORGANIZATION)) == []


async def test_a_standing_has_the_groups_above_and_survives_a_loop(both: Stored) -> None:
    top, middle, low, other = (GroupId(str(uuid.uuid4())) for _ in range(4))
    await born(both)

    def write(store: Any) -> None:
        for group, parent in ((top, low), (middle, top), (low, middle), (other, None)):
            store.put_group(ORGANIZATION, group, parent, "g")
        store.put_membership(ORGANIZATION, low, OWNER)
        store.put_membership(ORGANIZATION, low, OWNER)

    await both.do(write)

    standing = await both.do(lambda store: store.standing(ORGANIZATION, OWNER))
    assert standing.group_ids == {top, middle, low}
    assert await both.do(lambda store: store.standing(ORGANIZATION, new_user())) is None
    assert await both.do(lambda store: store.standing(OTHER_ORGANIZATION, OWNER)) is None


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.add_policy(a_policy()),
        lambda store: store.put_membership(ORGANIZATION, GroupId(str(uuid.uuid4())), OWNER),
        lambda store: store.delete_membership(ORGANIZATION, GroupId(str(uuid.uuid4())), OWNER),
        lambda store: store.delete_group(ORGANIZATION, GroupId(str(uuid.uuid4()))),
        lambda store: store.put_organization(KnownOrganization(ORGANIZATION, None)),
        lambda store: store.put_organization(KnownOrganization(ORGANIZATION, OWNER.id, OrganizationState.SUSPENDED)),
        lambda store: store.put_principal(ORGANIZATION, KnownPrincipal(OWNER, PrincipalState.SUSPENDED, True, "owner")),
        lambda store: store.put_ended(ORGANIZATION, EndedCredential(EndedKind.SESSION, OWNER.id, OWNER, START)),
        lambda store: store.delete_policy(ORGANIZATION, PolicyId(str(uuid.uuid4()))),
    ],
)
async def test_whatever_may_change_a_right_moves_a_stamp(both: Stored, write: Any) -> None:
    await born(both)
    before = await both.do(lambda store: store.stamps(ORGANIZATION, OWNER))

    await both.do(write)

    assert await both.do(lambda store: store.stamps(ORGANIZATION, OWNER)) != before


async def test_what_changes_nobodys_rights_moves_no_stamp(both: Stored) -> None:
    await born(both)
    before = await both.do(lambda store: store.stamps(ORGANIZATION, OWNER))

    await both.do(lambda store: store.put_principal(ORGANIZATION, KnownPrincipal(OWNER, is_owner=True, name="owner")))
    await both.do(lambda store: store.put_principal(ORGANIZATION, KnownPrincipal(new_user())))
    await both.do(lambda store: store.put_group(ORGANIZATION, GroupId(str(uuid.uuid4())), None, "g"))

    assert await both.do(lambda store: store.stamps(ORGANIZATION, OWNER)) == before


async def test_ended_credentials_are_remembered_until_purged(both: Stored) -> None:
    await born(both)
    early = EndedCredential(EndedKind.API_KEY, str(uuid.uuid4()), OWNER, START)
    late = EndedCredential(EndedKind.SESSION_EPOCH, OWNER.id, OWNER, START + timedelta(hours=1))

    def write(store: Any) -> None:
        store.put_ended(ORGANIZATION, early)
        store.put_ended(ORGANIZATION, late)
        store.put_ended(ORGANIZATION, replace(late, end_time=START))

    await both.do(write)
    kept = (await both.do(lambda store: store.standing(ORGANIZATION, OWNER))).ended
    purged = await both.do(lambda store: store.purge_ended(START + timedelta(minutes=1)))
    left = (await both.do(lambda store: store.standing(ORGANIZATION, OWNER))).ended

    assert (set(kept), purged, set(left)) == ({early, late}, 1, {late})


async def test_an_organization_is_forgotten_without_touching_another(both: Stored) -> None:
    await born(both)
    mine, theirs = a_policy(a_statement(), tags=("t",)), a_policy(organization_id=OTHER_ORGANIZATION)
    await both.do(lambda store: [store.add_policy(mine), store.add_policy(theirs)])

    await both.do(lambda store: store.forget_organization(ORGANIZATION))

    assert await both.do(lambda store: store.find_policy(ORGANIZATION, mine.id)) is None
    assert await both.do(lambda store: store.find_policy(OTHER_ORGANIZATION, theirs.id)) == theirs
    assert await both.do(lambda store: store.find_organization(ORGANIZATION)) is not None


async def test_names_are_known_by_the_kind_of_thing(both: Stored) -> None:
    await born(both)
    group, project = GroupId(str(uuid.uuid4())), ProjectId(str(uuid.uuid4()))

    def write(store: Any) -> None:
        store.put_group(ORGANIZATION, group, None, "crew")
        store.put_project(ORGANIZATION, project, "site")

    await both.do(write)
    asked = [("identity.users", OWNER.id), ("groups.groups", group), ("identity.projects", project), ("x.y", group)]
    names = [await both.do(lambda store, a=a: store.name_of(ORGANIZATION, *a)) for a in asked]

    assert names == ["owner", "crew", "site", ""]


async def test_groups_are_listed_in_the_order_of_their_ids_up_to_a_bound(both: Stored) -> None:
    top, below, other = sorted(GroupId(str(uuid.uuid4())) for _ in range(3))

    def write(store: Any) -> None:
        store.put_group(ORGANIZATION, below, top, "below")
        store.put_group(ORGANIZATION, top, None, "top")
        store.put_group(OTHER_ORGANIZATION, other, None, "other")

    await both.do(write)

    groups = [KnownGroup(top, None, "top"), KnownGroup(below, top, "below")]
    assert await both.do(lambda store: store.list_groups(ORGANIZATION, 10)) == groups
    assert await both.do(lambda store: store.list_groups(ORGANIZATION, 1)) == groups[:1]
