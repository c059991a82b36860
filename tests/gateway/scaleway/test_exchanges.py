"""Requests and their exact answers, from the tables beside this file.

A case has a `name`, what is `given` (earlier requests, whose answers are kept under `as`), a `when` and a
`then`. `${kept.member}` stands for a kept value; in an answer `<uuid>`, `<time>`, `<access key>`, `<alias>` and
`<text>` stand for any such value. Members are compared with their order. What is given may also be a login, which this
API does not have (`log_in` with `name` and `password`), and what a second factor shows (`code_of` its secret).
What there is once in an organization is put back by what stands under `finally`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pyotp
import pytest
import yaml

from concord.credentials.v1 import password_pb2, session_service_pb2, session_service_pb2_grpc
from concord.gateway.dialects.scaleway.routes import ROUTES
from concord.gateway.shapes import is_uuid
from processes import RunningSuite

TABLES = sorted((Path(__file__).parent / "exchanges").glob("*.yaml"))
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in TABLES
    for case in yaml.safe_load(path.read_text("utf-8"))["exchanges"]
]
BASE = "/iam/v1alpha1"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_ACCESS_KEY = re.compile(r"SCW[A-Z0-9]{17}")
_HOLE = re.compile(r"\$\{([a-z_.0-9]+)\}")
_KINDS = {
    "<uuid>": is_uuid,
    "<time>": lambda text: _TIME.fullmatch(text) is not None,
    "<access key>": lambda text: _ACCESS_KEY.fullmatch(text) is not None,
    "<alias>": lambda text: re.fullmatch("(demo[0-9]+)?", text) is not None,
    "<text>": lambda text: isinstance(text, str) and text != "",
}


class Exchange:
    """Carries out one case."""

    def __init__(self, suite: RunningSuite, unique: str) -> None:
        facts = suite.bootstrap["scaleway"]
        self._door = suite.grpc("credentials")
        self._kept: dict[str, Any] = {**facts, "unique": unique, "nobody": "99999999-9999-4999-8999-999999999999"}
        self._kept["base"] = suite.http
        self._http = httpx.Client(base_url=suite.http, headers={"user-agent": "exchange/1"})
        self._secret = facts["secret_key"]
        owners = self.send({"method": "GET", "path": "/users?type=owner"}).json()
        self._kept["owner"] = owners["users"][0]

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def prepare(self, step: Mapping[str, Any]) -> None:
        """Do one thing that a case takes for given."""
        filled = self.filled(dict(step))
        if "log_in" in filled:
            self._kept[filled["as"]] = self._log_in(**filled["log_in"])
        elif "code_of" in filled:
            self._kept[filled["as"]] = {"code": pyotp.TOTP(filled["code_of"]).now()}
        else:
            answer = self.send(step)
            assert answer.status_code in (200, 204), f"{step}: {answer.text}"

    def _log_in(self, name: str, password: str) -> dict[str, str]:
        login = password_pb2.Login(organization=self._kept["organization_id"], name=name)
        shown = password_pb2.PasswordCredential(login=login, password=password)
        with grpc.insecure_channel(self._door) as channel:
            opened = session_service_pb2_grpc.SessionServiceStub(channel).CreateSession(
                session_service_pb2.CreateSessionRequest(password=shown), timeout=10
            )
        return {"jti": opened.session.id, "token": opened.access_token.token}

    def send(self, request: Mapping[str, Any]) -> httpx.Response:
        """Send a request of the table."""
        filled = self.filled(dict(request))
        token = filled.get("token", self._secret)
        answer = self._http.request(
            filled["method"],
            BASE + filled["path"],
            json=filled.get("body"),
            headers={"x-auth-token": token} if token else {},
        )
        if "as" in filled:
            assert answer.status_code == 200, answer.text
            self._kept[filled["as"]] = answer.json()
        return answer

    def filled(self, value: Any) -> Any:
        """Replace holes by what was kept."""
        if isinstance(value, dict):
            return {key: self.filled(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.filled(member) for member in value]
        if isinstance(value, str):
            return _HOLE.sub(lambda hole: self._find(hole.group(1)), value)
        return value

    def _find(self, path: str) -> str:
        found: Any = self._kept
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return str(found)


def differences(expected: Any, found: Any, place: str = "body") -> list[str]:
    """Tell where an answer is not what the table says."""
    if isinstance(expected, str) and expected in _KINDS:
        return [] if isinstance(found, str) and _KINDS[expected](found) else [f"{place}: {found!r} is no {expected}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(expected) != list(found):
            return [f"{place}: members {list(found)}, expected {list(expected)}"]
        return [line for key in expected for line in differences(expected[key], found[key], f"{place}.{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for index, (e, f) in pairs for line in differences(e, f, f"{place}[{index}]")]
    same = expected == found and type(expected) is type(found)
    return [] if same else [f"{place}: {found!r}, expected {expected!r}"]


@pytest.mark.parametrize("case", CASES)
def test_an_exchange(suite: RunningSuite, case: Mapping[str, Any], request: pytest.FixtureRequest) -> None:
    unique = f"{CASES.index(next(c for c in CASES if c.values[0] is case)):04d}"
    with Exchange(suite, unique) as exchange:
        try:
            for given in case.get("given", ()):
                exchange.prepare(given)

            answer = exchange.send(case["when"])
        finally:
            for last in case.get("finally", ()):
                exchange.send(last)

        then = exchange.filled(case["then"])
        assert answer.status_code == then["status"], answer.text
        assert answer.headers["content-type"] == "application/json"
        assert "x-total-count" not in answer.headers
        if "body" in then:
            assert differences(then["body"], answer.json()) == []
        else:
            assert answer.content == b""


def test_every_operation_has_an_exchange_that_succeeds() -> None:
    shapes = {route.operation: re.compile(re.sub(r"\{[^}]+\}", "[^/?]+", route.path) + r"(\?.*)?") for route in ROUTES}
    methods = {route.operation: route.method for route in ROUTES}
    succeeded = {
        operation
        for case in (entry.values[0] for entry in CASES)
        for operation, shape in shapes.items()
        if case["then"]["status"] < 300
        and case["when"]["method"] == methods[operation]
        and shape.fullmatch(BASE + case["when"]["path"])
    }

    assert set(shapes) - succeeded == set()
