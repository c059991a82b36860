"""How systems like ours were broken, tried on a really served suite, through the dialect and through gRPC."""

import base64
import hashlib
import hmac
import unicodedata
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import pytest

from concord.groups.v1 import group_pb2, group_service_pb2, group_service_pb2_grpc
from concord.identity.v1 import (
    application_pb2,
    application_service_pb2,
    application_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

HOSTILE = [
    *("a/b", "a:b", "a#b", "a@b", "a*b", "a%b", "a%2Fb", "a?b=c", "a&b", "a;b", "a\\b", "../..", "..", ".", "a\0b"),
    *("a'b", 'a"b', "a,b", "a|b", "a\r\nX-Injected: 1", "{id}", "${x}", "a\x7fb", " ", "-"),
    *("\u202egpj.exe", "\u05d0\u05d1\u05d2", "a\u200db", "\ufeffa", "e\u0301", "\U0001f9d1\u200d\U0001f4bb"),
    *("x" * 64, "x" * 256, "x" * 257, "\u00df" * 256),
]
# Told apart by one thing that a careless collation overlooks.
ALIKE = [("Foo", "foo"), ("a", "a "), ("a b", "a  b"), ("a.b", "a-b"), ("x0", "xO")]
# The core takes any script; the dialect's names are ASCII.
ALIKE_ANYWHERE = [*ALIKE, ("stra\u00dfe", "strasse"), ("\u0131", "i"), ("\uff41", "a"), ("\u0430", "a")]


@pytest.fixture
def dialect(suite: RunningSuite) -> Iterator[httpx.Client]:
    """The REST shim, for the owner."""
    headers = {"x-auth-token": suite.bootstrap["scaleway"]["secret_key"]}
    with httpx.Client(base_url=f"{suite.http}/iam/v1alpha1", headers=headers, timeout=20) as client:
        yield client


class Core:
    """The core's rpcs, for the owner."""

    def __init__(self, suite: RunningSuite) -> None:
        self.channels = {name: grpc.insecure_channel(suite.grpc(name)) for name in ("identity", "groups")}
        self._metadata = (("authorization", f"Bearer {suite.bootstrap['native']['api_key']}"),)
        identity = self.channels["identity"]
        self.applications: Any = application_service_pb2_grpc.ApplicationServiceStub(identity)
        self.users: Any = user_service_pb2_grpc.UserServiceStub(identity)
        self.groups: Any = group_service_pb2_grpc.GroupServiceStub(self.channels["groups"])

    def ask(self, rpc: Any, request: Any) -> Any:
        """Return the answer, or the code of a refusal."""
        try:
            return rpc(request, metadata=self._metadata, timeout=20)
        except grpc.RpcError as error:
            return error.code()


@pytest.fixture
def core(suite: RunningSuite) -> Iterator[Core]:
    """The core, for the owner."""
    asked = Core(suite)
    yield asked
    for channel in asked.channels.values():
        channel.close()


def make_user(core: Core, name: str) -> Any:
    user = user_pb2.User(
        kind=user_pb2.USER_KIND_MEMBER, username=name, primary_email=f"{uuid.uuid4().hex}@people.example"
    )
    return core.ask(core.users.CreateUser, user_service_pb2.CreateUserRequest(user=user))


def make_group(core: Core, name: str) -> Any:
    group = group_pb2.Group(name={"text": name})
    return core.ask(core.groups.CreateGroup, group_service_pb2.CreateGroupRequest(group=group))


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_kb09_names_that_look_alike_are_two_groups_in_the_dialect(
    suite: RunningSuite, dialect: httpx.Client, one: str, other: str
) -> None:
    mark = uuid.uuid4().hex[:6]
    here = {"organization_id": suite.bootstrap["organization"]["id"]}
    made = [dialect.post("/groups", json={"name": f"{mark}{name}", **here}) for name in (one, other)]

    assert [each.status_code for each in made] == [200, 200], [each.text for each in made]
    assert [each.json()["name"] for each in made] == [f"{mark}{one}", f"{mark}{other}"]
    assert made[0].json()["id"] != made[1].json()["id"]
    assert dialect.post("/groups", json={"name": f"{mark}{one}", **here}).status_code == 409
    for each in made:
        assert dialect.delete(f"/groups/{each.json()['id']}").status_code == 204


@pytest.mark.parametrize(("one", "other"), ALIKE_ANYWHERE)
def test_kb09_names_that_look_alike_are_two_users_in_the_core(core: Core, one: str, other: str) -> None:
    mark = uuid.uuid4().hex[:6]
    made = [make_user(core, f"{mark}{name}") for name in (one, other)]

    assert [each.username for each in made] == [f"{mark}{one}", f"{mark}{other}"]
    assert make_user(core, f"{mark}{other}") is grpc.StatusCode.ALREADY_EXISTS
    for each in made:
        core.ask(core.users.DeleteUser, user_service_pb2.DeleteUserRequest(id=each.id))


def test_kb09_an_access_key_in_another_case_is_another_key(suite: RunningSuite, dialect: httpx.Client) -> None:
    facts = suite.bootstrap["scaleway"]

    assert dialect.get(f"/api-keys/{facts['access_key']}").status_code == 200
    for spelling in (facts["access_key"].lower(), facts["access_key"] + "%20", facts["access_key"].title()):
        assert dialect.get(f"/api-keys/{spelling}").status_code == 404


def pages(core: Core, token: str) -> Any:
    request = application_service_pb2.ListApplicationsRequest(page_size=1, page_token=token)
    return core.ask(core.applications.ListApplications, request)


def three_applications(core: Core) -> list[str]:
    made = []
    for number in range(3):
        application = application_pb2.Application(name=f"page {number}")
        request = application_service_pb2.CreateApplicationRequest(application=application)
        made.append(core.ask(core.applications.CreateApplication, request).id)
    return made


def remove(core: Core, made: list[str]) -> None:
    for each in made:
        core.ask(core.applications.DeleteApplication, application_service_pb2.DeleteApplicationRequest(id=each))


def test_kb13_no_altered_page_token_is_taken_and_none_ends_the_process(core: Core) -> None:
    made = three_applications(core)
    token = pages(core, "").next_page_token

    assert pages(core, token).applications
    for place, letter in enumerate(token):
        altered = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        assert pages(core, altered) is grpc.StatusCode.INVALID_ARGUMENT
    for other in (token[:-1], token + "A", token * 2, "A", "\u0000", "%", "x" * 60_000):
        assert pages(core, other) is grpc.StatusCode.INVALID_ARGUMENT
    # Nor is one taken for another list than its own.
    elsewhere = core.ask(core.users.ListUsers, user_service_pb2.ListUsersRequest(page_size=1, page_token=token))
    assert elsewhere is grpc.StatusCode.INVALID_ARGUMENT
    assert pages(core, token).applications
    remove(core, made)


@pytest.mark.parametrize("key", [b"", b"secret", b"concord", b"\0" * 32, b"changeme" * 4])
def test_kb14_a_page_token_signed_with_a_known_key_is_refused(core: Core, key: bytes) -> None:
    made = three_applications(core)
    token = pages(core, "").next_page_token
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))

    for size in (8, 16, 20, 32):
        body, mac = raw[:-size], hmac.new(key, raw[:-size], hashlib.sha256).digest()[:size]
        head, mac_before = raw[size:], hmac.new(key, raw[size:], hashlib.sha256).digest()[:size]
        for forged in (body + mac, mac_before + head):
            text = base64.urlsafe_b64encode(forged).decode()
            assert pages(core, text) is grpc.StatusCode.INVALID_ARGUMENT
            assert pages(core, text.rstrip("=")) is grpc.StatusCode.INVALID_ARGUMENT
    remove(core, made)


@pytest.mark.parametrize("column", ["(SELECT 1)", "name; DROP TABLE application", "secret_hash", "id--", "1"])
def test_kb14_no_column_comes_from_the_caller(core: Core, column: str) -> None:
    request = application_service_pb2.ListApplicationsRequest(order_by=column)

    assert core.ask(core.applications.ListApplications, request) is grpc.StatusCode.INVALID_ARGUMENT


def spelled(name: str) -> str:
    """Return the one spelling in which user names and tags are kept: two ways of writing one letter are one name."""
    return unicodedata.normalize("NFC", name)


def refused_in_the_vendors_words(answer: httpx.Response) -> bool:
    """Whether an answer is a refusal as this vendor words it; anything that is neither fails."""
    assert answer.status_code < 500, answer.text
    assert answer.headers.get("x-injected") is None
    if answer.status_code == 200:
        return False
    assert answer.status_code in (400, 404, 405), answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["type"] in ("invalid_arguments", "not_found", "method_not_allowed")
    assert body["message"]
    return True


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_kb38_the_dialect_keeps_a_hostile_name_exactly_or_refuses_it(dialect: httpx.Client, name: str) -> None:
    kept = 0
    for body in ({"name": name}, {"name": "plain", "description": name}, {"name": "plain", "tags": [name]}):
        made = dialect.post("/applications", json=body)
        if refused_in_the_vendors_words(made):
            continue
        kept += 1
        application = made.json()["id"]
        shown = dialect.get(f"/applications/{application}").json()
        assert {field: shown[field] for field in body} == {
            **body,
            **({"tags": [spelled(name)]} if "tags" in body else {}),
        }
        if "tags" in body:
            tagged = dialect.get("/applications", params={"tag": name}).json()
            assert [each["id"] for each in tagged["applications"]] == [application]
        assert dialect.delete(f"/applications/{application}").status_code == 204
    # A description is free text: all but control characters and what is too long stays as it is.
    assert (kept > 0) == ("\0" not in name and "\x7f" not in name and len(name) <= 200)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_kb38_a_hostile_name_in_a_path_or_a_query_finds_nothing_and_breaks_nothing(
    suite: RunningSuite, dialect: httpx.Client, name: str
) -> None:
    raw = quote(name, safe="")
    for path in ("applications", "users", "groups", "api-keys", "policies", "quota", "logs"):
        # As bytes on the wire: the client would tidy dots and slashes up.
        url = httpx.URL(suite.http, raw_path=f"/iam/v1alpha1/{path}/{raw}".encode())
        answer = dialect.get(url)
        assert refused_in_the_vendors_words(answer) or path.startswith(name) or name in (".", ".."), answer.text
    for path, field in (("applications", "name"), ("users", "tag"), ("policies", "policy_name"), ("logs", "search")):
        answer = dialect.get(f"/{path}", params={field: name, "page_size": 1})
        refused_in_the_vendors_words(answer)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_kb38_the_core_keeps_a_hostile_name_exactly_or_refuses_it(core: Core, name: str) -> None:
    mark = uuid.uuid4().hex[:6]
    group = make_group(core, mark + name)
    if group is not grpc.StatusCode.INVALID_ARGUMENT:
        assert group.name.text == mark + name
        shown = core.ask(core.groups.GetGroup, group_service_pb2.GetGroupRequest(id=group.id))
        assert shown.name.text == mark + name
        found = core.ask(core.groups.ListGroups, group_service_pb2.ListGroupsRequest(page_size=1000))
        assert [each.id for each in found.groups if each.name.text == mark + name] == [group.id]
        core.ask(core.groups.DeleteGroup, group_service_pb2.DeleteGroupRequest(id=group.id))
    user = make_user(core, mark + name)
    if user is not grpc.StatusCode.INVALID_ARGUMENT:
        assert user.username == spelled(mark + name)
        shown = core.ask(core.users.GetUser, user_service_pb2.GetUserRequest(id=user.id))
        assert shown.username == spelled(mark + name)
        core.ask(core.users.DeleteUser, user_service_pb2.DeleteUserRequest(id=user.id))
    # Delimiters and any script are fine in the core; what cannot be shown or is too long is not.
    fine = len(mark + name) <= 256 and not set(name) & set("\0\r\n\x7f")
    assert (user is not grpc.StatusCode.INVALID_ARGUMENT) == fine
