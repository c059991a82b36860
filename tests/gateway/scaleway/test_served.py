"""What a table of exchanges cannot say: orders, changes of ids and instants."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from processes import RunningSuite

Records = list[dict[str, Any]]


class Client:
    """The vendor's API of the served suite, in the owner's name."""

    def __init__(self, suite: RunningSuite) -> None:
        self.organization: str = suite.bootstrap["scaleway"]["organization_id"]
        self.secret: str = suite.bootstrap["scaleway"]["secret_key"]
        self._http = httpx.Client(base_url=f"{suite.http}/iam/v1alpha1")
        self._made: list[str] = []

    def send(self, method: str, path: str, body: Any = None, token: str = "") -> httpx.Response:
        return self._http.request(method, path, json=body, headers={"x-auth-token": token or self.secret})

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, collection: str, **body: Any) -> Any:
        answer = self.send("POST", f"/{collection}", body)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        self._made.append(f"/{collection}/{made.get('id') or made['access_key']}")
        return made

    def close(self) -> None:
        for path in reversed(self._made):
            self.send("DELETE", path)
        self._http.close()


@pytest.fixture
def client(suite: RunningSuite) -> Iterator[Client]:
    client = Client(suite)
    yield client
    client.close()


def test_a_secret_is_a_uuid_in_either_case(client: Client) -> None:
    answer = client.send("GET", "/users?page_size=1", token=client.secret.upper())

    assert answer.status_code == 200


def test_two_tokens_are_none(client: Client, suite: RunningSuite) -> None:
    headers = [("x-auth-token", client.secret), ("x-auth-token", client.secret)]

    answer = httpx.get(f"{suite.http}/iam/v1alpha1/users", headers=headers)

    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_argument")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"]
)
def test_a_body_is_json_whatever_it_is_said_to_be(client: Client, suite: RunningSuite, content_type: str) -> None:
    answer = httpx.patch(
        f"{suite.http}/iam/v1alpha1/applications/{client.make('applications', name='typed')['id']}",
        content=b'{"description":"d"}',
        headers={"x-auth-token": client.secret, "content-type": content_type},
    )

    assert (answer.status_code, answer.json()["description"]) == (200, "d")


def test_members_stand_in_the_order_of_a_replacement_and_are_read_by_id(client: Client) -> None:
    group = client.make("groups", organization_id=client.organization, name="ordered")
    ids = sorted(client.make("applications", name=f"member {n}")["id"] for n in range(3))
    asked = [ids[1], ids[2], ids[0]]

    put = client.send("PUT", f"/groups/{group['id']}/members", {"user_ids": [], "application_ids": asked}).json()

    assert put["application_ids"] == asked
    read = client.get(f"/groups/{group['id']}")
    assert read["application_ids"] == ids
    assert client.get(f"/groups?group_ids={group['id']}")["groups"] == [read]
    assert read["updated_at"] == put["updated_at"] == group["updated_at"]


def test_members_are_replaced_all_or_not_at_all(client: Client) -> None:
    group = client.make("groups", organization_id=client.organization, name="whole")
    kept = client.make("applications", name="kept")["id"]
    path = f"/groups/{group['id']}"
    client.send("POST", f"{path}/add-member", {"application_id": kept})
    unknown = "99999999-9999-4999-8999-999999999999"

    put = client.send("PUT", f"{path}/members", {"user_ids": [unknown], "application_ids": []})
    added = client.send("POST", f"{path}/add-members", {"user_ids": [unknown]})

    assert (put.status_code, added.status_code) == (404, 404)
    assert client.get(path)["application_ids"] == [kept]


def test_replaced_rules_have_new_ids_and_move_the_policy(client: Client) -> None:
    rules = [
        {"permission_set_names": ["IAMReadOnly"], "organization_id": client.organization, "condition": ""},
        {"permission_set_names": ["AllProductsReadOnly"], "project_ids": [client.organization], "condition": "true"},
        {"permission_set_names": ["IAMReadOnly"], "organization_id": client.organization, "condition": ""},
    ]
    policy = client.make("policies", name="replaced", rules=rules)
    before = client.get(f"/rules?policy_id={policy['id']}")["rules"]

    after = client.send("PUT", "/rules", {"policy_id": policy["id"], "rules": rules}).json()["rules"]

    assert not {rule["id"] for rule in before} & {rule["id"] for rule in after}
    assert [{**rule, "id": ""} for rule in before] == [{**rule, "id": ""} for rule in after]
    assert client.get(f"/rules?policy_id={policy['id']}&page=2&page_size=2") == {"rules": after[2:], "total_count": 3}
    read = client.get(f"/policies/{policy['id']}")
    assert read["updated_at"] > policy["updated_at"]
    assert (read["nb_rules"], read["nb_scopes"], read["nb_permission_sets"]) == (3, 2, 3)


def test_an_expired_key_says_so(client: Client) -> None:
    application = client.make("applications", name="brief")
    until = datetime.now(UTC) + timedelta(seconds=1)
    key = client.make("api-keys", application_id=application["id"], expires_at=until.isoformat())
    path = f"/permission-sets?organization_id={client.organization}"
    assert client.send("GET", path, token=key["secret_key"]).status_code == 200

    time.sleep(1.1)

    refused = client.send("GET", path, token=key["secret_key"])
    assert (refused.status_code, refused.json()["reason"]) == (401, "expired")
    named = f"bearer_id={application['id']}"
    assert client.get(f"/api-keys?expired=true&{named}")["total_count"] == 1
    assert client.get(f"/api-keys?expired=false&{named}")["total_count"] == 0


@pytest.mark.parametrize("asked", [[], [{"service": "no such", "name": "x", "action": "y"}]])
def test_an_ended_key_is_refused_also_where_there_is_nothing_to_decide(
    client: Client, asked: list[dict[str, str]]
) -> None:
    key = client.make("api-keys", application_id=client.make("applications", name="ending")["id"])
    body = {"permissions": [{**each, "organization_id": client.organization} for each in asked]}
    answer = client.send("POST", "/check-permissions", body, token=key["secret_key"])
    assert answer.json() == {"responses": [{"decision": "deny"}] * len(asked)}

    client.send("DELETE", f"/api-keys/{key['access_key']}")

    answer = client.send("POST", "/check-permissions", body, token=key["secret_key"])
    assert (answer.status_code, answer.json()["reason"]) == (401, "not_found")


def test_a_quota_that_is_not_served_needs_a_caller_that_may_ask(client: Client) -> None:
    key = client.make("api-keys", application_id=client.make("applications", name="asking")["id"])
    path = f"/quota/nothing?organization_id={client.organization}"

    assert client.send("GET", path).status_code == 404
    assert client.send("GET", path, token=key["secret_key"]).status_code == 403


def test_only_five_kinds_of_things_and_three_actions_are_logged(client: Client) -> None:
    group = client.make("groups", organization_id=client.organization, name="logged")
    client.send(
        "POST", f"/groups/{group['id']}/add-member", {"application_id": client.make("applications", name="x")["id"]}
    )
    logs: Records = []
    for page in itertools.count(1):
        answer = client.get(f"/logs?page={page}&page_size=100")
        logs += answer["logs"]
        if not answer["logs"]:
            break

    assert len({log["id"] for log in logs}) == len(logs) == answer["total_count"]
    assert {log["resource_type"] for log in logs} <= {"api_key", "user", "application", "group", "policy"}
    assert {log["action"] for log in logs} <= {"created", "updated", "deleted"}
    assert [log["created_at"] for log in logs] == sorted(log["created_at"] for log in logs)
    middle = logs[len(logs) // 2]["created_at"]
    later = client.get(f"/logs?created_after={middle}&page_size=1")["total_count"]
    earlier = client.get(f"/logs?created_before={middle}&page_size=1")["total_count"]
    assert later == sum(log["created_at"] >= middle for log in logs)
    assert earlier == sum(log["created_at"] < middle for log in logs)
