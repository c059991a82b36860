"""The vendor's unmodified client against a really served suite, through every method of the backbone."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from scaleway.iam.v1alpha1 import IamV1Alpha1API, RuleSpecs
from scaleway.iam.v1alpha1.types import (
    BearerType,
    CreateUserRequestMember,
    ListApplicationsRequestOrderBy,
    LogAction,
    LogResourceType,
    PermissionSetScopeType,
    UserStatus,
    UserType,
)
from scaleway_core.api import ScalewayException

from e2e.clients import iam
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """Return the status and the error type with which a call is refused."""
    with pytest.raises(ScalewayException) as caught:
        call()
    return caught.value.status_code, caught.value.response.json()["type"]


def in_organization(suite: RunningSuite, *names: str, condition: str = "") -> RuleSpecs:
    # The client sends its default, an empty list of projects, unless told that there is none.
    return RuleSpecs(
        condition=condition,
        permission_set_names=list(names),
        project_ids=None,
        organization_id=suite.bootstrap["organization"]["id"],
    )


def new_member(owner: IamV1Alpha1API, name: str) -> CreateUserRequestMember:
    return CreateUserRequestMember(
        email=f"{name}@people.example",
        send_password_email=False,
        send_welcome_email=False,
        username=name,
        password="a Long enough 1 password",
        first_name="Ada",
        last_name="Lovelace",
        phone_number="",
        locale="",
    )


def test_the_quickstart(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    application = owner.create_application(name=unique("ci"), description="builds")
    policy = owner.create_policy(
        name=unique("ci-may-read"),
        description="",
        application_id=application.id,
        rules=[in_organization(suite, "IAMReadOnly")],
    )
    key = owner.create_api_key(application_id=application.id, description="for the build")
    assert key.secret_key is not None
    robot = iam(suite, key.access_key, key.secret_key)

    assert application.id in {each.id for each in robot.list_applications_all()}
    assert refused(lambda: robot.create_application(name="x", description="")) == (403, "permissions_denied")

    owner.delete_policy(policy_id=policy.id)
    assert refused(lambda: robot.list_applications()) == (403, "permissions_denied")


def test_applications(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    name = unique("app")
    made = [owner.create_application(name=f"{name}-{i}", description="d", tags=["blue", name]) for i in range(3)]

    first = owner.get_application(application_id=made[0].id)
    assert first == made[0]
    assert (first.editable, first.deletable, first.managed, first.nb_api_keys) == (True, True, False, 0)
    assert first.created_at == first.updated_at

    newest_first = owner.list_applications_all(tag=name, order_by=ListApplicationsRequestOrderBy.CREATED_AT_DESC)
    assert [each.id for each in newest_first] == [each.id for each in reversed(made)]
    assert owner.list_applications(tag=name, page=2, page_size=2).total_count == 3
    assert [each.id for each in owner.list_applications_all(name=f"{name}-1")] == [made[1].id]
    ids = [made[2].id, str(uuid.uuid4())]
    assert [each.id for each in owner.list_applications_all(application_ids=ids)] == [made[2].id]

    changed = owner.update_application(application_id=first.id, name=f"{name}-renamed", tags=[])
    assert (changed.name, changed.description, changed.tags) == (f"{name}-renamed", "d", [])
    assert changed.updated_at is not None
    assert first.updated_at is not None
    assert changed.updated_at > first.updated_at

    owner.create_api_key(application_id=first.id, description="")
    assert owner.get_application(application_id=first.id).nb_api_keys == 1

    for each in made:
        owner.delete_application(application_id=each.id)
    assert refused(lambda: owner.get_application(application_id=first.id)) == (404, "not_found")
    assert owner.list_applications_all(tag=name) == []


def test_users(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    name = unique("ada")
    user = owner.create_user(member=new_member(owner, name), tags=["people"])

    assert (user.username, user.email, user.type_, user.status) == (
        name,
        f"{name}@people.example",
        UserType.MEMBER,
        UserStatus.ACTIVATED,
    )
    assert (user.locale, user.locked, user.mfa, user.account_root_user_id) == ("en_US", False, False, "")
    assert owner.get_user(user_id=user.id) == user
    assert [each.id for each in owner.list_users_all(user_ids=[user.id])] == [user.id]
    assert refused(lambda: owner.create_user(member=new_member(owner, name))) == (409, "already_exists")

    changed = owner.update_user(user_id=user.id, first_name="", email=f"{name}@new.example", tags=["a", "b"])
    assert (changed.first_name, changed.last_name, changed.email, changed.username) == (
        "",
        "Lovelace",
        f"{name}@new.example",
        name,
    )

    owners = owner.list_users_all(type_=UserType.OWNER)
    assert [each.account_root_user_id for each in owners] == [owners[0].id]
    assert not owners[0].deletable
    assert refused(lambda: owner.delete_user(user_id=owners[0].id))[1] == "precondition_failed"

    owner.delete_user(user_id=user.id)
    assert refused(lambda: owner.get_user(user_id=user.id)) == (404, "not_found")
    again = owner.create_user(member=new_member(owner, name))
    assert again.id != user.id
    owner.delete_user(user_id=again.id)


def test_a_locked_users_key_is_refused_until_it_is_unlocked(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    user = owner.create_user(member=new_member(owner, unique("bob")))
    owner.create_policy(description="", user_id=user.id, rules=[in_organization(suite, "IAMReadOnly")])
    key = owner.create_api_key(user_id=user.id, description="")
    assert key.secret_key is not None
    person = iam(suite, key.access_key, key.secret_key)
    assert person.get_user(user_id=user.id).id == user.id

    assert owner.lock_user(user_id=user.id).locked
    assert refused(lambda: person.get_user(user_id=user.id)) == (401, "denied_authentication")

    assert not owner.unlock_user(user_id=user.id).locked
    assert person.get_user(user_id=user.id).id == user.id

    owner.delete_user(user_id=user.id)
    assert refused(lambda: person.list_users()) == (401, "denied_authentication")


def test_groups_and_members(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    name = unique("team")
    group = owner.create_group(name=name, description="d", tags=["x"])
    apps = [owner.create_application(name=unique("m"), description="") for _ in range(3)]
    user = owner.create_user(member=new_member(owner, unique("eve")))

    assert refused(lambda: owner.create_group(name=name, description="")) == (409, "already_exists")
    assert owner.get_group(group_id=group.id) == group
    assert owner.add_group_member(group_id=group.id, user_id=user.id).user_ids == [user.id]
    added = owner.add_group_members(group_id=group.id, application_ids=[apps[0].id, apps[1].id])
    assert sorted(added.application_ids) == sorted([apps[0].id, apps[1].id])
    assert owner.remove_group_member(group_id=group.id, application_id=apps[0].id).application_ids == [apps[1].id]
    replaced = owner.set_group_members(group_id=group.id, user_ids=[], application_ids=[apps[2].id, apps[0].id])
    assert (replaced.user_ids, replaced.application_ids) == ([], [apps[2].id, apps[0].id])
    assert [each.id for each in owner.list_groups_all(application_ids=[apps[2].id])] == [group.id]
    assert owner.list_groups_all(user_ids=[user.id]) == []
    unknown = str(uuid.uuid4())
    assert refused(lambda: owner.add_group_member(group_id=group.id, user_id=unknown)) == (404, "not_found")
    assert refused(lambda: owner.remove_group_member(group_id=group.id, user_id=user.id)) == (404, "not_found")

    assert owner.update_group(group_id=group.id, description="new").description == "new"
    owner.delete_application(application_id=apps[2].id)
    assert owner.get_group(group_id=group.id).application_ids == [apps[0].id]
    owner.delete_group(group_id=group.id)
    assert refused(lambda: owner.get_group(group_id=group.id)) == (404, "not_found")


def test_a_group_gives_its_rights_and_takes_them_back(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    group = owner.create_group(name=unique("readers"), description="")
    application = owner.create_application(name=unique("reader"), description="")
    owner.create_policy(description="", group_id=group.id, rules=[in_organization(suite, "IAMReadOnly")])
    key = owner.create_api_key(application_id=application.id, description="")
    assert key.secret_key is not None
    robot = iam(suite, key.access_key, key.secret_key)

    assert refused(lambda: robot.list_groups()) == (403, "permissions_denied")
    owner.add_group_member(group_id=group.id, application_id=application.id)
    assert group.id in {each.id for each in robot.list_groups_all()}
    owner.remove_group_member(group_id=group.id, application_id=application.id)
    assert refused(lambda: robot.list_groups()) == (403, "permissions_denied")


def test_api_keys(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    application = owner.create_application(name=unique("keys"), description="")
    end = datetime.now(UTC) + timedelta(days=1)
    lasting = owner.create_api_key(application_id=application.id, description="lasting")
    ending = owner.create_api_key(application_id=application.id, description="ending", expires_at=end)

    assert lasting.access_key.startswith("SCW")
    assert len(lasting.access_key) == 20
    assert str(uuid.UUID(lasting.secret_key)) == lasting.secret_key
    assert (lasting.application_id, lasting.user_id, lasting.expires_at) == (application.id, None, None)
    assert lasting.default_project_id == suite.bootstrap["organization"]["id"]
    assert ending.expires_at is not None
    assert abs(ending.expires_at - end) < timedelta(milliseconds=1)
    assert owner.get_api_key(access_key=lasting.access_key).secret_key is None
    listed = owner.list_api_keys_all(bearer_id=application.id, bearer_type=BearerType.APPLICATION)
    assert [each.access_key for each in listed] == [lasting.access_key, ending.access_key]
    assert [each.access_key for each in owner.list_api_keys_all(access_keys=[ending.access_key])] == [ending.access_key]

    changed = owner.update_api_key(access_key=lasting.access_key, description="changed", expires_at=end)
    assert changed.description == "changed"
    later = end + timedelta(days=1)
    assert refused(lambda: owner.update_api_key(access_key=lasting.access_key, expires_at=later))[0] in (400, 412)

    owner.delete_api_key(access_key=lasting.access_key)
    assert refused(lambda: owner.get_api_key(access_key=lasting.access_key)) == (404, "not_found")


def test_a_deleted_key_and_a_deleted_applications_key_are_refused_at_the_next_call(
    suite: RunningSuite, owner: IamV1Alpha1API
) -> None:
    application = owner.create_application(name=unique("gone"), description="")
    owner.create_policy(description="", application_id=application.id, rules=[in_organization(suite, "IAMReadOnly")])
    robots = []
    for _ in range(2):
        key = owner.create_api_key(application_id=application.id, description="")
        assert key.secret_key is not None
        robots.append((key, iam(suite, key.access_key, key.secret_key)))
        robots[-1][1].list_applications()

    owner.delete_api_key(access_key=robots[0][0].access_key)
    assert refused(lambda: robots[0][1].list_applications()) == (401, "denied_authentication")
    robots[1][1].list_applications()
    owner.delete_application(application_id=application.id)
    assert refused(lambda: robots[1][1].list_applications()) == (401, "denied_authentication")


def test_policies_and_rules(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    application = owner.create_application(name=unique("subject"), description="")
    name = unique("policy")
    project = suite.bootstrap["organization"]["project_id"]
    rules = [
        in_organization(suite, "IAMReadOnly", condition="inIpRange(request.ip, '192.0.2.0/24')"),
        RuleSpecs(condition="", permission_set_names=["InstancesReadOnly"], project_ids=[project]),
    ]
    policy = owner.create_policy(name=name, description="d", application_id=application.id, rules=rules, tags=["t"])

    current = owner.get_policy(policy_id=policy.id)
    assert (current.nb_rules, current.nb_scopes, current.nb_permission_sets) == (2, 2, 2)
    assert (current.application_id, current.user_id, bool(current.no_principal)) == (application.id, None, False)
    stored = owner.list_rules_all(policy_id=policy.id)
    assert [rule.condition for rule in stored] == [rules[0].condition, ""]
    assert [rule.permission_sets_scope_type for rule in stored] == [
        PermissionSetScopeType.ORGANIZATION,
        PermissionSetScopeType.PROJECTS,
    ]
    replaced = owner.set_rules(policy_id=policy.id, rules=rules[:1])
    assert replaced.rules[0].id != stored[0].id
    assert policy.id in {each.id for each in owner.list_policies_all(application_ids=[application.id])}
    assert policy.id in {each.id for each in owner.list_policies_all(tag="t", policy_name=name)}

    moved = owner.update_policy(policy_id=policy.id, no_principal=True)
    assert (moved.no_principal, moved.application_id) == (True, None)
    owner.update_policy(policy_id=policy.id, application_id=application.id)
    owner.delete_application(application_id=application.id)
    assert owner.get_policy(policy_id=policy.id).no_principal
    owner.delete_policy(policy_id=policy.id)
    assert refused(lambda: owner.get_policy(policy_id=policy.id)) == (404, "not_found")

    unknown = RuleSpecs(condition="", permission_set_names=["NoSuchSet"], project_ids=[project])
    assert refused(lambda: owner.create_policy(description="", no_principal=True, rules=[unknown]))[0] == 400
    broken = in_organization(suite, "IAMReadOnly", condition="request.ip ==")
    assert refused(lambda: owner.create_policy(description="", no_principal=True, rules=[broken]))[0] == 400


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ("inIpRange(request.ip, '127.0.0.0/8')", True),
        ("inIpRange(request.ip, '192.0.2.0/24')", False),
        ("request.user_agent.startsWith('scaleway-sdk-python')", True),
        ("request.time < timestamp('2020-01-01T00:00:00Z')", False),
        ("resource.name.startsWith('ci-') || !has(resource.name)", True),
        ("no.such.name == 1", False),
    ],
)
def test_a_rule_holds_only_under_its_condition(
    suite: RunningSuite, owner: IamV1Alpha1API, condition: str, allowed: bool
) -> None:
    application = owner.create_application(name=unique("conditional"), description="")
    owner.create_policy(
        description="",
        application_id=application.id,
        rules=[in_organization(suite, "IAMReadOnly", condition=condition)],
    )
    key = owner.create_api_key(application_id=application.id, description="")
    assert key.secret_key is not None
    robot = iam(suite, key.access_key, key.secret_key)

    if allowed:
        assert robot.list_applications().total_count > 0
    else:
        assert refused(lambda: robot.list_applications()) == (403, "permissions_denied")
    owner.delete_application(application_id=application.id)


def test_a_new_organization_is_born_with_groups_and_policies(owner: IamV1Alpha1API) -> None:
    groups = {group.name: group for group in owner.list_groups_all()}
    policies = {policy.name: policy for policy in owner.list_policies_all()}

    for name, counts in {
        "Administrators": (3, 2, 12),
        "Editors": (2, 2, 4),
        "Billing Administrators": (1, 1, 2),
    }.items():
        policy = policies[f"Group - {name}"]
        assert policy.group_id == groups[name].id
        assert (policy.nb_rules, policy.nb_scopes, policy.nb_permission_sets) == counts
        assert (policy.editable, policy.deletable) == (True, True)


def test_permission_sets_quotas_and_the_organization(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    sets = owner.list_permission_sets_all()
    assert len(sets) == 156
    assert [each.name for each in sets] == sorted((each.name for each in sets), key=str.casefold)

    quotas = {each.name: each for each in owner.list_quota_all()}
    assert quotas["iam_applications"].limit == 100
    assert owner.get_quotum(quotum_name="iam_groups").limit == 50
    assert refused(lambda: owner.get_quotum(quotum_name="nothing")) == (404, "not_found")

    organization = owner.get_organization()
    assert organization.id == suite.bootstrap["organization"]["id"]


def test_logs_tell_who_did_what(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    application = owner.create_application(name=unique("logged"), description="")
    owner.update_application(application_id=application.id, description="changed")
    owner.delete_application(application_id=application.id)

    logs = owner.list_logs_all(search=application.id)
    assert [log.action for log in logs] == [LogAction.CREATED, LogAction.UPDATED, LogAction.DELETED]
    assert {log.resource_type for log in logs} == {LogResourceType.APPLICATION}
    owner_id = next(each.id for each in owner.list_users_all(type_=UserType.OWNER))
    assert {log.bearer_id for log in logs} == {owner_id}
    assert {log.ip for log in logs} == {"127.0.0.1"}
    assert owner.get_log(log_id=logs[0].id) == logs[0]
    assert owner.list_logs_all(search=application.id, action=LogAction.DELETED) == [logs[2]]


def test_refusals_are_the_vendors_own(suite: RunningSuite, owner: IamV1Alpha1API) -> None:
    stranger = iam(suite, "SCW00000000000000000", str(uuid.uuid4()))

    assert refused(lambda: stranger.list_users()) == (401, "denied_authentication")
    assert refused(lambda: owner.get_user(user_id=str(uuid.uuid4()))) == (404, "not_found")
    assert refused(lambda: owner.get_user(user_id="not-a-uuid")) == (400, "invalid_arguments")
    assert refused(lambda: owner.create_application(name="bad/name", description="")) == (400, "invalid_arguments")
    assert refused(lambda: owner.list_users(page_size=1000)) == (400, "invalid_arguments")
