"""Thirty kill -9 at seeded moments under load: no acknowledged write is lost, no cascade stays half done."""

import json
import random
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from processes import Process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KILLS = 30
WRITERS = 6
SEED = 20261121
IAM = "/iam/v1alpha1"


class Load:
    """What callers did and were answered, while the server was killed under them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: dict[str, dict[str, str]] = {}
        self.deleted: dict[str, dict[str, str]] = {}
        self.uncertain: set[str] = set()

    def work(self, http: str, secret: str, organization: str, stop: threading.Event, seed: int) -> None:
        """Make applications with a key each, and delete some of them, until the server is gone."""
        choose = random.Random(seed)
        with httpx.Client(base_url=http, headers={"x-auth-token": secret}, timeout=20) as client:
            try:
                while not stop.is_set():
                    self._once(client, organization, choose)
            except httpx.TransportError:
                return

    def _once(self, client: httpx.Client, organization: str, choose: random.Random) -> None:
        victim = None
        with self.lock:
            if len(self.made) > 40 or (self.made and choose.random() < 0.4):
                victim = choose.choice(sorted(self.made))
                facts = self.made.pop(victim)
                # Until it is answered, the deletion may or may not have happened.
                self.uncertain.add(victim)
        if victim is not None:
            assert client.delete(f"{IAM}/applications/{victim}").status_code == 204
            with self.lock:
                self.uncertain.discard(victim)
                self.deleted[victim] = facts
            return
        body = {"name": "load", "description": "", "organization_id": organization}
        answer = client.post(f"{IAM}/applications", json=body)
        assert answer.status_code == 200, answer.text
        application = answer.json()["id"]
        key = client.post(f"{IAM}/api-keys", json={"application_id": application, "description": ""})
        if key.status_code == 403 and key.json()["type"] == "quotas_exceeded":
            with self.lock:
                self.made[application] = {}
            return
        assert key.status_code == 200, key.text
        with self.lock:
            self.made[application] = {"secret": key.json()["secret_key"], "access_key": key.json()["access_key"]}


def test_nothing_acknowledged_is_lost_in_thirty_crashes(tmp_path: Path) -> None:
    choose = random.Random(SEED)
    load = Load()
    data_dir = tmp_path / "data"
    answered = 0
    for kill in range(KILLS + 1):
        process = Process("serve", "--data-dir", str(data_dir), "--port", "0", log=tmp_path / "server.log")
        ready = process.wait_ready()
        bootstrap = json.loads(Path(ready["bootstrap"]).read_text())
        secret, organization = bootstrap["scaleway"]["secret_key"], bootstrap["organization"]["id"]
        with httpx.Client(base_url=ready["http"], headers={"x-auth-token": secret}, timeout=20) as client:
            settle(load, client)
            verify(load, client)
        answered = len(load.made) + len(load.deleted)
        if kill == KILLS:
            assert process.stop() == 0
            break
        stop = threading.Event()
        threads = [
            threading.Thread(target=load.work, args=(ready["http"], secret, organization, stop, SEED + kill * 100 + i))
            for i in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        stop.wait(choose.uniform(0.05, 0.6))
        process.kill()
        stop.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()

    assert answered > KILLS


def settle(load: Load, client: httpx.Client) -> None:
    """Find out what became of the deletions whose answer was lost."""
    for application in sorted(load.uncertain):
        status = client.get(f"{IAM}/applications/{application}").status_code
        assert status in (200, 404)
        if status == 200:
            assert client.delete(f"{IAM}/applications/{application}").status_code == 204
    load.uncertain.clear()


def verify(load: Load, client: httpx.Client) -> None:
    """Everything acknowledged is there, and nothing of what was deleted works."""
    there = listed(client, "applications")
    assert set(load.made) <= {each["id"] for each in there}
    assert not set(load.deleted) & {each["id"] for each in there}
    keys = {each["access_key"] for each in listed(client, "api_keys")}
    assert {facts["access_key"] for facts in load.made.values() if facts} <= keys
    assert not {facts["access_key"] for facts in load.deleted.values() if facts} & keys
    for facts in list(load.deleted.values())[-5:]:
        if facts:
            refused = client.get(f"{IAM}/permission-sets", headers={"x-auth-token": facts["secret"]})
            assert refused.status_code == 401
    # Keys are counted by another service: after a crash the count must be right again.
    counts = {each["id"]: each["nb_api_keys"] for each in there}
    for application, facts in load.made.items():
        assert counts[application] == (1 if facts else 0), application
    # An application whose creation was never answered has no key that anybody knows: clean up.
    for application in set(counts) - set(load.made):
        client.delete(f"{IAM}/applications/{application}")


def listed(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, 100):
        answer = client.get(f"{IAM}/{name.replace('_', '-')}", params={"page": page, "page_size": 100}).json()
        found += answer[name]
        if not answer[name]:
            break
    return found
