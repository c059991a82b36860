"""Quotas hold against creations that arrive all at once."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.scaleway.lists import PUBLIC_KEY
from processes import RunningSuite, running, serve_whole

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("scaleway quotas")]

AT_ONCE = 50
LEFT = 10


class Organization:
    """An organization of its own, in which quotas are used up."""

    def __init__(self, suite: RunningSuite) -> None:
        facts = suite.bootstrap["scaleway"]
        self.id: str = facts["organization_id"]
        self._numbers = itertools.count(1)
        self._http = httpx.Client(
            base_url=f"{suite.http}/iam/v1alpha1",
            headers={"x-auth-token": facts["secret_key"]},
            timeout=60,
            limits=httpx.Limits(max_connections=AT_ONCE),
        )
        self.bearer: str = self.create("applications", self.named()).json()["id"]

    def close(self) -> None:
        self._http.close()

    def named(self) -> dict[str, Any]:
        return {"name": f"one of many {next(self._numbers)}"}

    def policy(self) -> dict[str, Any]:
        return {**self.named(), "no_principal": True}

    def api_key(self) -> dict[str, Any]:
        return {"application_id": self.bearer}

    def ssh_key(self) -> dict[str, Any]:
        return {**self.named(), "public_key": PUBLIC_KEY, "project_id": self.id}

    def user(self) -> dict[str, Any]:
        name = f"many-{next(self._numbers)}"
        return {"member": {"email": f"{name}@people.example", "username": name}}

    def create(self, collection: str, body: dict[str, Any]) -> httpx.Response:
        return self._http.post(f"/{collection}", json={"organization_id": self.id, **body})

    def delete(self, collection: str, made: dict[str, Any]) -> None:
        assert self._http.delete(f"/{collection}/{made.get('id') or made['access_key']}").status_code == 204

    def count(self, collection: str) -> int:
        answer = self._http.get(f"/{collection}", params={"page_size": 1})
        assert answer.status_code == 200
        total: int = answer.json()["total_count"]
        return total

    def limit(self, quotum: str) -> int:
        answer = self._http.get(f"/quota/{quotum}", params={"organization_id": self.id})
        assert answer.status_code == 200
        limit: int = answer.json()["limit"]
        return limit


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organization]:
    with running(serve_whole, tmp_path_factory.mktemp("quotas") / "data") as suite:
        served = Organization(suite)
        yield served
        served.close()


KINDS: dict[str, tuple[str, Callable[[Organization], Callable[[], dict[str, Any]]]]] = {
    "groups": ("iam_groups", lambda organization: organization.named),
    "policies": ("iam_policies", lambda organization: organization.policy),
    "api-keys": ("iam_api_keys", lambda organization: organization.api_key),
    "ssh-keys": ("iam_ssh_keys", lambda organization: organization.ssh_key),
    "users": ("iam_users", lambda organization: organization.user),
    "applications": ("iam_applications", lambda organization: organization.named),
}
# Groups and policies of birth were made by nobody, and count towards nothing.
UNCOUNTED = ("groups", "policies")


@pytest.mark.parametrize("collection", KINDS)
def test_creations_at_once_stop_exactly_at_the_limit(organization: Organization, collection: str) -> None:
    quotum, bodies = KINDS[collection]
    body = bodies(organization)
    of_birth = organization.count(collection) if collection in UNCOUNTED else 0
    limit = organization.limit(quotum)
    filling = limit - organization.count(collection) + of_birth
    made = [organization.create(collection, body()).json() for _ in range(filling)]
    for each in made[:LEFT]:
        organization.delete(collection, each)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda each: organization.create(collection, each), [body() for _ in range(AT_ONCE)]))

    assert Counter(answer.status_code for answer in answers) == {200: LEFT, 403: AT_ONCE - LEFT}
    assert organization.count(collection) - of_birth == limit
    refused = next(answer.json() for answer in answers if answer.status_code == 403)
    assert (refused["type"], refused["details"][0]["quota"]) == ("quotas_exceeded", limit)
