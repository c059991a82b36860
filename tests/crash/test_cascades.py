"""A process killed at each step of each cascade: after the next start the cascade is whole."""

import contextlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from concord.kernel.database.contract import OutboxRow
from processes import Process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IAM = "/iam/v1alpha1"
KILLED = Path(__file__).with_name("killed.py")

CONSUMERS = {
    "application.deleted": ("credentials", "groups", "policy", "audit"),
    "user.deleted": ("credentials", "groups", "policy", "audit"),
    "user.suspended": ("credentials", "policy", "audit"),
    "group.deleted": ("policy", "audit"),
}
PRODUCER = {
    "application.deleted": "identity",
    "user.deleted": "identity",
    "user.suspended": "identity",
    "group.deleted": "groups",
}


def steps(event: str) -> list[tuple[str, str]]:
    """Return every step of the cascade that an event begins."""
    return [(PRODUCER[event], "commit"), *((c, when) for c in CONSUMERS[event] for when in ("before", "after"))]


class Trapped:
    """A whole suite that will be killed at one step; started again, it is armed for the next."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.armed = data_dir.with_suffix(".armed")
        self.process: Process | None = None
        self.http = httpx.Client()

    def start(self, service: str, when: str, event: str) -> None:
        self.armed.unlink(missing_ok=True)
        self.process = Process(
            service, when, event, "serve", "--data-dir", str(self.data_dir), "--port", "0",
            log=self.data_dir.with_suffix(".log"), program=[str(KILLED)],
            environment={"CRASH_ARMED": str(self.armed)},
        )  # fmt: skip
        ready = self.process.wait_ready()
        bootstrap = json.loads(Path(ready["bootstrap"]).read_text())
        self.http.close()
        self.http = httpx.Client(
            base_url=ready["http"], headers={"x-auth-token": bootstrap["scaleway"]["secret_key"]}, timeout=30
        )
        self.organization = bootstrap["organization"]["id"]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, secret: str = "") -> httpx.Response:
        headers = {"x-auth-token": secret} if secret else None
        return self.http.request(method, IAM + path, json=body, headers=headers)

    def make(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.ask("POST", path, {"organization_id": self.organization, **body})
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def expect_death(self, method: str, path: str) -> None:
        """Make the call that springs the trap."""
        assert self.process is not None
        self.armed.touch()
        with contextlib.suppress(httpx.TransportError):
            self.ask(method, path, {} if method == "POST" else None)
        self.process.process.wait(30)
        assert self.process.process.returncode == -9
        self.process.kill()

    def stop(self) -> None:
        self.http.close()
        if self.process is not None:
            self.process.stop()


@pytest.fixture
def trapped(tmp_path: Path) -> Any:
    trap = Trapped(tmp_path / "data")
    yield trap
    trap.stop()


def world(trap: Trapped, kind: str, number: int) -> dict[str, str]:
    """Make a principal with a key, a membership, a policy of its own and one through a group."""
    if kind == "application":
        principal = trap.make("/applications", name=f"a{number}", description="")["id"]
    else:
        member = {"email": f"u{number}@crash.example", "username": f"u{number}", "password": ""}
        principal = trap.make("/users", member=member)["id"]
    field = f"{kind}_id"
    rules = [{"permission_set_names": ["IAMReadOnly"], "organization_id": trap.organization}]
    group = trap.make("/groups", name=f"g{number}", description="")["id"]
    assert trap.ask("POST", f"/groups/{group}/add-member", {field: principal}).status_code == 200
    key = trap.make("/api-keys", description="", **{field: principal})
    return {
        "principal": principal,
        "group": group,
        "policy": trap.make("/policies", name=f"p{number}", description="", rules=rules, **{field: principal})["id"],
        "group_policy": trap.make("/policies", name=f"q{number}", description="", rules=rules, group_id=group)["id"],
        "secret": key["secret_key"],
        "access_key": key["access_key"],
    }


def check_deleted(trap: Trapped, kind: str, made: dict[str, str]) -> None:
    assert trap.ask("GET", f"/{kind}s/{made['principal']}").status_code == 404
    assert trap.ask("GET", "/users", secret=made["secret"]).status_code == 401
    assert trap.ask("GET", f"/api-keys/{made['access_key']}").status_code == 404
    group = trap.ask("GET", f"/groups/{made['group']}").json()
    assert (group["user_ids"], group["application_ids"]) == ([], [])
    assert trap.ask("GET", f"/policies/{made['policy']}").json().get("no_principal") is True
    assert deletions(trap, made["principal"]) == 1


def deletions(trap: Trapped, resource: str) -> int:
    logs = trap.ask("GET", f"/logs?organization_id={trap.organization}&search={resource}").json()["logs"]
    return sum(log["action"] == "deleted" and log["resource_id"] == resource for log in logs)


@pytest.mark.parametrize("kind", ["application", "user"])
def test_a_deletion_is_whole_wherever_it_was_cut(trapped: Trapped, kind: str) -> None:
    event = f"{kind}.deleted"
    waiting: dict[str, str] | None = None
    for number, (service, when) in enumerate(steps(event)):
        trapped.start(service, when, event)
        if waiting is not None:
            check_deleted(trapped, kind, waiting)
        waiting = world(trapped, kind, number)
        assert trapped.ask("GET", "/users", secret=waiting["secret"]).status_code == 200
        trapped.expect_death("DELETE", f"/{kind}s/{waiting['principal']}")
    trapped.start("", "never", "")
    assert waiting is not None
    check_deleted(trapped, kind, waiting)


def test_a_lock_is_whole_wherever_it_was_cut(trapped: Trapped) -> None:
    waiting: dict[str, str] | None = None
    for number, (service, when) in enumerate([*steps("user.suspended"), ("", "never")]):
        trapped.start(service, when, "user.suspended")
        if waiting is not None:
            assert trapped.ask("GET", f"/users/{waiting['principal']}").json()["locked"] is True
            assert trapped.ask("GET", "/users", secret=waiting["secret"]).status_code == 401
        if when == "never":
            return
        waiting = world(trapped, "user", number)
        trapped.expect_death("POST", f"/users/{waiting['principal']}/lock")


def test_a_groups_deletion_is_whole_wherever_it_was_cut(trapped: Trapped) -> None:
    waiting: dict[str, str] | None = None
    for number, (service, when) in enumerate([*steps("group.deleted"), ("", "never")]):
        trapped.start(service, when, "group.deleted")
        if waiting is not None:
            assert trapped.ask("GET", f"/groups/{waiting['group']}").status_code == 404
            assert trapped.ask("GET", f"/policies/{waiting['group_policy']}").json().get("no_principal") is True
            assert deletions(trapped, waiting["group"]) == 1
        if when == "never":
            return
        waiting = world(trapped, "application", number)
        trapped.expect_death("DELETE", f"/groups/{waiting['group']}")


@pytest.mark.parametrize("service", ["credentials", "groups", "policy", "audit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_birth_is_finished_by_the_next_start(tmp_path: Path, service: str, when: str) -> None:
    trap = Trapped(tmp_path / "data")
    first = Process(
        service, when, "organization.created", "serve", "--data-dir", str(trap.data_dir), "--port", "0",
        log=trap.data_dir.with_suffix(".log"), program=[str(KILLED)],
    )  # fmt: skip
    assert first.process.wait(60) == -9
    first.kill()

    trap.start("", "never", "")
    try:
        groups = trap.ask("GET", "/groups").json()["groups"]
        policies = trap.ask("GET", "/policies").json()["policies"]
        assert len(groups) == 3
        assert sorted(p["group_id"] for p in policies) == sorted(g["id"] for g in groups)
        assert trap.ask("GET", "/users").json()["total_count"] == 1
    finally:
        trap.stop()


def test_the_trap_sees_what_is_published() -> None:
    """The traps hang on these names; a rename must not disarm them in silence."""
    assert {"payload"} <= set(OutboxRow.__dataclass_fields__)
