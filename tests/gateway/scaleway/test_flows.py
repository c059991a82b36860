"""Operations that need more than one question to the core."""

from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_APPLICATION, PRINCIPAL_KIND_USER
from concord.credentials.v1.api_key_service_pb2 import CreateApiKeyResponse
from concord.credentials.v1.password_pb2 import Password, PasswordViolation
from concord.credentials.v1.password_service_pb2 import CheckPasswordResponse
from concord.credentials.v1.session_pb2 import SESSION_STATE_ENDED
from concord.groups.v1.group_service_pb2 import ListGroupsResponse
from concord.groups.v1.membership_service_pb2 import (
    AddMembersResponse,
    ListMembersResponse,
    RemoveMembersResponse,
    SetMembersResponse,
)
from concord.identity.v1.application_service_pb2 import ListApplicationsResponse
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.identity.v1.user_pb2 import USER_KIND_CUSTOMER
from concord.identity.v1.user_service_pb2 import ListUsersResponse
from concord.kernel.errors import Denied, Invalid, NotFound, Reason, Unauthenticated, Unavailable, Violation
from concord.policy.v1.decision_pb2 import Decision
from concord.policy.v1.decision_service_pb2 import BatchCheckResponse
from concord.policy.v1.policy_service_pb2 import SetStatementsResponse
from gateway.cores import Shim
from gateway.scaleway import making

BASE = "/iam/v1alpha1"
ID = making.ID


def names(shim: Shim) -> list[str]:
    return [asked.rpc.rpartition("/")[2] for asked in shim.core.asked if not asked.rpc.endswith("Authenticate")]


async def test_a_user_is_read_with_one_question(shim: Shim) -> None:
    shim.core.answers["GetUser"] = making.user(mfa_enabled=True)

    answer = await shim.send("GET", f"{BASE}/users/{ID.upper()}")

    shown = answer.json()
    assert (answer.status, shown["mfa"], shown["two_factor_enabled"]) == (200, True, True)
    assert names(shim) == ["GetUser"]


async def test_a_customer_of_another_dialect_is_not_found(shim: Shim) -> None:
    shim.core.answers["GetUser"] = making.user(kind=USER_KIND_CUSTOMER)

    assert (await shim.send("GET", f"{BASE}/users/{ID}")).status == 404


async def test_a_list_of_users_is_one_question_with_all_its_filters(shim: Shim) -> None:
    ids = [f"{n:08d}-0000-4000-8000-000000000000" for n in range(100)]
    shim.core.answers["ListUsers"] = ListUsersResponse(
        users=[making.user(id=user_id, mfa_enabled=user_id == ids[3]) for user_id in ids], total_size=250
    )

    answer = await shim.send("GET", f"{BASE}/users?page=2&page_size=100&order_by=last_login_desc")

    assert names(shim) == ["ListUsers"]
    assert [user["mfa"] for user in answer.json()["users"]].index(True) == 3
    assert answer.json()["total_count"] == 250
    asked = shim.core.calls("ListUsers")[0].message
    assert (asked.skip, asked.page_size, asked.order_by) == (100, 100, "last_login_time desc")
    assert not asked.HasField("mfa_enabled")


async def test_an_empty_list_asks_for_nothing_more(shim: Shim) -> None:
    shim.core.answers |= {"ListUsers": ListUsersResponse(), "ListGroups": ListGroupsResponse()}

    users = await shim.send("GET", f"{BASE}/users?page=900")
    groups = await shim.send("GET", f"{BASE}/groups")

    assert users.json() == {"users": [], "total_count": 0}
    assert groups.json() == {"groups": [], "total_count": 0}
    assert names(shim) == ["ListUsers", "ListGroups"]


@pytest.mark.parametrize("mfa", [True, False])
async def test_the_core_filters_by_second_factor(shim: Shim, mfa: bool) -> None:
    shim.core.answers["ListUsers"] = ListUsersResponse()

    await shim.send("GET", f"{BASE}/users?mfa={str(mfa).lower()}")

    asked = shim.core.calls("ListUsers")[0].message
    assert asked.HasField("mfa_enabled")
    assert asked.mfa_enabled is mfa


async def test_a_page_beyond_what_the_core_skips_is_empty_not_refused(shim: Shim) -> None:
    shim.core.answers["ListApplications"] = ListApplicationsResponse(total_size=7)

    answer = await shim.send("GET", f"{BASE}/applications?page=2147483647&page_size=100")

    assert answer.json() == {"applications": [], "total_count": 7}


async def test_a_member_with_a_password_gets_both_under_one_request(shim: Shim) -> None:
    shim.core.answers |= {
        "CheckPassword": CheckPasswordResponse(valid=True),
        "CreateUser": making.user(),
        "SetPassword": Password(),
    }
    body = {"organization_id": making.ORGANIZATION, "member": {"email": "sam@example.com", "password": "correct horse"}}

    answer = await shim.send("POST", f"{BASE}/users", body)

    assert answer.status == 200
    assert names(shim) == ["CheckPassword", "CreateUser", "SetPassword"]
    created, setting = shim.core.calls("CreateUser")[0].message, shim.core.calls("SetPassword")[0].message
    assert created.request_id == setting.request_id != ""
    assert (setting.user_id, setting.must_not_exist) == (ID, True)


async def test_an_empty_password_is_none(shim: Shim) -> None:
    shim.core.answers["CreateUser"] = making.user()
    body = {"organization_id": making.ORGANIZATION, "member": {"email": "sam@example.com", "password": ""}}

    await shim.send("POST", f"{BASE}/users", body)

    assert names(shim) == ["CreateUser"]


async def test_a_password_that_breaks_a_rule_makes_no_user(shim: Shim) -> None:
    shim.core.answers["CheckPassword"] = CheckPasswordResponse(
        violations=[PasswordViolation(rule="min_length", message="must have 8 characters")]
    )
    body = {"organization_id": making.ORGANIZATION, "member": {"email": "sam@example.com", "password": "x"}}

    answer = await shim.send("POST", f"{BASE}/users", body)

    assert answer.json()["details"] == [
        {"argument_name": "member.password", "help_message": "must have 8 characters", "reason": "constraint"}
    ]
    assert names(shim) == ["CheckPassword"]


async def test_a_user_whose_password_could_not_be_set_does_not_stay(shim: Shim) -> None:
    shim.core.answers |= {
        "CheckPassword": CheckPasswordResponse(valid=True),
        "CreateUser": making.user(),
        "SetPassword": Unavailable("x"),
        "DeleteUser": Empty(),
    }
    body = {"organization_id": making.ORGANIZATION, "member": {"email": "sam@example.com", "password": "long enough"}}

    answer = await shim.send("POST", f"{BASE}/users", body)

    assert answer.status == 503
    (undone,) = shim.core.calls("DeleteUser")
    assert undone.message.id == ID
    assert undone.metadata["concord-operation"] == "scaleway/DeleteUser"


async def test_a_refused_way_back_does_not_hide_the_first_failure(shim: Shim) -> None:
    shim.core.answers |= {
        "CheckPassword": CheckPasswordResponse(valid=True),
        "CreateUser": making.user(),
        "SetPassword": Invalid(Violation("password", "no")),
        "DeleteUser": Denied("identity.users.delete"),
    }
    body = {"organization_id": making.ORGANIZATION, "member": {"email": "sam@example.com", "password": "long enough"}}

    assert (await shim.send("POST", f"{BASE}/users", body)).status == 400


async def test_a_list_of_groups_asks_once_for_all_members(shim: Shim) -> None:
    other = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"
    shim.core.answers |= {
        "ListGroups": ListGroupsResponse(groups=[making.group(), making.group(id=other)], total_size=2),
        "ListMembers": ListMembersResponse(
            memberships=[
                making.member(PRINCIPAL_KIND_USER, making.USER),
                making.member(PRINCIPAL_KIND_APPLICATION, making.APPLICATION, other),
            ]
        ),
    }

    answer = await shim.send("GET", f"{BASE}/groups?user_ids={making.USER}")

    assert names(shim) == ["ListGroups", "ListMembers"]
    first, second = answer.json()["groups"]
    assert (first["user_ids"], first["application_ids"]) == ([making.USER], [])
    assert (second["user_ids"], second["application_ids"]) == ([], [making.APPLICATION])
    asked = shim.core.calls("ListGroups")[0].message
    assert [ref.id for ref in asked.holds] == [making.USER]
    assert list(asked.catalogues) == ["", "scaleway"]


async def test_members_are_read_to_their_end(shim: Shim) -> None:
    pages = {
        "": ListMembersResponse(memberships=[making.member(PRINCIPAL_KIND_USER, "u1")], next_page_token="more"),
        "more": ListMembersResponse(memberships=[making.member(PRINCIPAL_KIND_USER, "u2")]),
    }
    shim.core.answers |= {"GetGroup": making.group(), "ListMembers": lambda request: pages[request.page_token]}

    answer = await shim.send("GET", f"{BASE}/groups/{ID}")

    assert answer.json()["user_ids"] == ["u1", "u2"]


async def test_replacing_members_keeps_their_order_and_spares_devices(shim: Shim) -> None:
    shim.core.answers |= {
        "SetMembers": lambda request: SetMembersResponse(
            memberships=[making.member(ref.kind, ref.id) for ref in request.principals]
        ),
        "GetGroup": making.group(),
    }
    body = {"user_ids": [making.USER, ID, making.USER], "application_ids": []}

    answer = await shim.send("PUT", f"{BASE}/groups/{ID}/members", body)

    assert answer.json()["user_ids"] == [making.USER, ID]
    replaced = shim.core.calls("SetMembers")[0].message.replaced_kinds
    assert set(replaced) == {PRINCIPAL_KIND_USER, PRINCIPAL_KIND_APPLICATION}


@pytest.mark.parametrize(
    ("path", "body", "rpc", "response"),
    [
        ("add-member", {"user_id": making.USER}, "AddMembers", AddMembersResponse()),
        ("add-members", {"user_ids": [making.USER], "application_ids": None}, "AddMembers", AddMembersResponse()),
        ("remove-member", {"user_id": making.USER}, "RemoveMembers", RemoveMembersResponse()),
    ],
)
async def test_a_change_of_members_answers_the_whole_group(
    shim: Shim, path: str, body: Any, rpc: str, response: Any
) -> None:
    shim.core.answers |= {rpc: response, "GetGroup": making.group(), "ListMembers": ListMembersResponse()}

    answer = await shim.send("POST", f"{BASE}/groups/{ID}/{path}", body)

    assert answer.json()["id"] == ID
    assert names(shim)[0] == rpc
    assert [ref.id for ref in shim.core.calls(rpc)[0].message.principals] == [making.USER]


@pytest.mark.parametrize("path", ["add-member", "remove-member"])
@pytest.mark.parametrize("body", [{}, {"user_id": making.USER, "application_id": making.APPLICATION}])
async def test_one_member_is_one(shim: Shim, path: str, body: Any) -> None:
    answer = await shim.send("POST", f"{BASE}/groups/{ID}/{path}", body)

    assert answer.status == 400
    assert {detail["argument_name"] for detail in answer.json()["details"]} == {"user_id", "application_id"}


@pytest.mark.parametrize(
    ("path", "read", "resource"),
    [
        (f"applications/{ID}", "GetApplication", making.application()),
        (f"policies/{ID}", "GetPolicy", making.policy()),
        ("api-keys/SCW00000000000000000", "GetApiKey", making.api_key()),
    ],
)
@pytest.mark.parametrize("body", [{}, {"description": None}, None])
async def test_a_change_of_nothing_is_a_reading(shim: Shim, path: str, read: str, resource: Any, body: Any) -> None:
    shim.core.answers[read] = resource

    answer = await shim.send("PATCH", f"{BASE}/{path}", body)

    assert answer.status == 200
    assert names(shim) == [read]


async def test_an_unknown_key_is_named_by_its_access_key(shim: Shim) -> None:
    shim.core.answers["GetApiKey"] = NotFound("api_key", "something else")

    answer = await shim.send("DELETE", f"{BASE}/api-keys/SCW00000000000000000")

    assert answer.json() == {
        "message": "resource is not found",
        "resource": "access_key",
        "resource_id": "SCW00000000000000000",
        "type": "not_found",
    }


async def test_a_new_key_looks_as_the_vendors_do(shim: Shim) -> None:
    shim.core.answers["CreateApiKey"] = CreateApiKeyResponse(api_key=making.api_key(), secret="s")

    answer = await shim.send("POST", f"{BASE}/api-keys", {"user_id": making.USER})

    look = shim.core.calls("CreateApiKey")[0].message.key_format
    assert (look.access_id_prefix, look.access_id_length, look.secret_is_uuid) == ("SCW", 17, True)
    assert answer.json()["secret_key"] == "s"


async def test_answers_stand_in_the_order_of_the_questions(shim: Shim) -> None:
    shim.core.answers["BatchCheck"] = BatchCheckResponse(decisions=[Decision(allowed=True), Decision()])
    questions = [
        {"service": "instances", "name": "server", "action": "read", "project_id": ID},
        {"service": "no such", "name": "thing", "action": "read", "project_id": ID},
        {"service": "instances", "name": "server", "action": "delete", "organization_id": ID},
    ]

    answer = await shim.send("POST", f"{BASE}/check-permissions", {"permissions": questions})

    assert [response["decision"] for response in answer.json()["responses"]] == ["allow", "deny", "deny"]


@pytest.mark.parametrize("scope", [{}, {"project_id": ID, "organization_id": ID}])
async def test_a_question_needs_exactly_one_scope(shim: Shim, scope: Any) -> None:
    question = {"service": "instances", "name": "server", "action": "read", **scope}

    answer = await shim.send("POST", f"{BASE}/check-permissions", {"permissions": [question]})

    assert answer.status == 400
    assert answer.json()["details"][0]["argument_name"].startswith("permissions.0.")


async def test_new_rules_come_without_a_total(shim: Shim) -> None:
    shim.core.answers["SetStatements"] = SetStatementsResponse(statements=[making.statement()])
    spec = {"permission_set_names": ["InstancesReadOnly"], "project_ids": [making.ORGANIZATION]}

    answer = await shim.send("PUT", f"{BASE}/rules", {"policy_id": ID, "rules": [spec]})

    assert list(answer.json()) == ["rules"]


async def test_a_quota_of_another_organization_is_not_found(shim: Shim) -> None:
    shim.core.answers["GetQuota"] = making.quota()

    answer = await shim.send("GET", f"{BASE}/quota/iam_groups?organization_id={ID}")

    assert (answer.status, answer.json()["resource"]) == (404, "organization")


async def test_unlocking_takes_both_locks_away(shim: Shim) -> None:
    shim.core.answers |= {"UnlockPassword": Password(), "ResumeUser": making.user(locked=True)}

    answer = await shim.send("POST", f"{BASE}/users/{ID}/unlock", {})

    assert names(shim) == ["UnlockPassword", "ResumeUser"]
    assert answer.json()["locked"] is False


async def test_a_user_without_a_password_is_unlocked_all_the_same(shim: Shim) -> None:
    shim.core.answers |= {"UnlockPassword": NotFound("password", ID), "ResumeUser": making.user()}

    assert (await shim.send("POST", f"{BASE}/users/{ID}/unlock", {})).status == 200


async def test_whoever_may_not_unlock_passwords_unlocks_nobody(shim: Shim) -> None:
    shim.core.answers |= {"UnlockPassword": Denied("credentials.passwords.unlock"), "ResumeUser": making.user()}

    assert (await shim.send("POST", f"{BASE}/users/{ID}/unlock", {})).status == 403
    assert names(shim) == ["UnlockPassword"]


async def test_a_new_password_is_answered_by_its_user(shim: Shim) -> None:
    shim.core.answers |= {"SetPassword": Password(), "GetUser": making.user()}

    answer = await shim.send("POST", f"{BASE}/users/{ID}/update-password", {"password": "a Long enough 1"})

    # Afterwards the caller's own session may have ended.
    assert names(shim) == ["GetUser", "SetPassword"]
    assert answer.json()["id"] == ID
    asked = shim.core.calls("SetPassword")[0].message
    assert (asked.temporary, asked.must_not_exist) == (False, False)


async def test_whoever_may_not_set_a_password_is_told_so_and_sets_none(shim: Shim) -> None:
    shim.core.answers["GetUser"] = Denied("identity.users.get")

    answer = await shim.send("POST", f"{BASE}/users/{ID}/update-password", {"password": "a Long enough 1"})

    assert (answer.status, answer.json()["details"]) == (403, [{"action": "update", "resource": "password"}])
    assert names(shim) == ["GetUser"]


async def test_too_many_wrong_codes_lock_the_user(shim: Shim) -> None:
    shim.core.answers["ConfirmMfaDevice"] = Unauthenticated(Reason.CREDENTIAL_LOCKED)

    answer = await shim.send("POST", f"{BASE}/users/{ID}/validate-mfa-otp", {"one_time_password": "123456"})

    assert answer.status == 423
    assert answer.json() == {"message": "resource is locked", "resource": "user", "resource_id": ID, "type": "locked"}


async def test_a_jwt_that_was_ended_is_not_ended_again(shim: Shim) -> None:
    shim.core.answers["GetSession"] = making.session(state=SESSION_STATE_ENDED)

    answer = await shim.send("DELETE", f"{BASE}/jwts/{ID}")

    assert (answer.status, answer.json()["resource"]) == (404, "jwt")
    assert names(shim) == ["GetSession"]


@pytest.mark.parametrize("path", [f"organizations/{making.ORGANIZATION}/security-settings", f"saml/{ID}"])
async def test_a_change_of_no_setting_is_a_reading(shim: Shim, path: str) -> None:
    shim.core.answers |= {"GetSecuritySettings": SecuritySettings(), "GetFederation": making.federation()}

    assert (await shim.send("PATCH", f"{BASE}/{path}", {})).status == 200
    assert names(shim)[0].startswith("Get")


async def test_saml_settings_of_another_organization_are_not_found(shim: Shim) -> None:
    shim.core.answers["GetFederation"] = making.federation()

    answer = await shim.send("GET", f"{BASE}/organizations/{ID}/saml")

    assert answer.json()["resource"] == "organization_saml"
    assert (answer.status, answer.json()["resource_id"]) == (404, ID)


async def test_a_log_of_something_this_dialect_does_not_have_is_not_found(shim: Shim) -> None:
    shim.core.answers["GetAuditEvent"] = making.event(resource_type="session")

    assert (await shim.send("GET", f"{BASE}/logs/{ID}")).status == 404
