"""A served suite for generated requests, and objects that exist for some of them to name."""

import itertools
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from hypothesis import strategies as st

import schemathesis
from processes import RunningSuite, running, serve_whole

IAM: Final = "/iam/v1alpha1"
# Drawn mostly where the document asks for a UUID; the field's name says what is meant by it.
PLACEHOLDER: Final = "5eed0000-0000-4000-8000-000000000001"
# Free texts that only make sense when they name something: about half of the drawn ones are replaced.
PUBLIC_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
CERTIFICATE: Final = """-----BEGIN CERTIFICATE-----
MIIBGzCBw6ADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDGlkcDEuZXhh
bXBsZTAgFw0yNTAxMDEwMDAwMDBaGA8yMTI1MDEwMTAwMDAwMFowFzEVMBMGA1UE
AwwMaWRwMS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaA2gmxHM
mnVvgJocVNzcEdcw3Q7Fg8IAXXyRCivRmISm5FJ6Kc1Wyr1yo/CLh/hLjolzEull
H4tJjFJp9iFLJjAKBggqhkjOPQQDAgNHADBEAiAqg9Y6IPwERQAOISUhNVZRYxOC
hBt8x31Yy56kZJwbJAIgdhyipGhBk7Li7xG6E1uwsFl+WIXApSQ9HVvyBM4plwg=
-----END CERTIFICATE-----
"""
NAMES: Final = {
    "permission_set_names": "IAMReadOnly",
    "quotum_name": "iam_groups",
    "condition": "request.ip != ''",
    "public_key": PUBLIC_KEY,
    "content": CERTIFICATE,
}
ORGANIZATION: Final = frozenset({"organization_id", "project_id", "default_project_id", "project_ids"})

schemathesis.openapi.format(
    "uuid",
    st.integers(0, 3).flatmap(lambda drawn: st.uuids(version=4).map(str) if drawn == 3 else st.just(PLACEHOLDER)),
)


class Known:
    """An organization's objects, one of each kind; one that a request deleted is made again when it is next needed."""

    def __init__(self, suite: RunningSuite) -> None:
        facts = suite.bootstrap["scaleway"]
        self.organization: str = facts["organization_id"]
        self._owner: dict[str, str] = {"x-auth-token": facts["secret_key"]}
        self._client = httpx.Client(base_url=suite.http + IAM, headers=self._owner, timeout=30)
        self._numbers = itertools.count(1)
        self._ids: dict[str, str] = {}
        owner = self._client.get("/users", params={"type": "owner"}).json()["users"][0]["id"]
        self.spared = frozenset({facts["access_key"], owner})

    def headers(self, caller: str) -> dict[str, str]:
        """Return what a caller shows: the owner, a member who may only read, a member without rights, or nobody."""
        if caller == "owner":
            return self._owner
        if caller == "nobody":
            return {}
        user = self._make("users", self._user())
        if caller == "reader":
            rules = [
                {"permission_set_names": [name], "organization_id": self.organization}
                for name in ("IAMReadOnly", "OrganizationReadOnly")
            ]
            self._make("policies", {"name": "reader", "user_id": user["id"], "rules": rules})
        key = self._make("api-keys", {"user_id": user["id"]})
        self.spared |= {user["id"], key["access_key"]}
        return {"x-auth-token": key["secret_key"]}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def fill(self, value: Any, field: str = "") -> Any:
        """Return the value with each placeholder replaced by the id of something that exists."""
        if isinstance(value, dict):
            return {key: self.fill(each, str(key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, field) for each in value]
        if not isinstance(value, str):
            return value
        chosen = zlib.crc32(value.encode("utf-8", "replace")) % 2 == 0
        if field in NAMES and chosen:
            return NAMES[field]
        if value == PLACEHOLDER or (field in ("access_key", "access_keys", "password") and chosen):
            return self._find(field)
        return value

    def deleted(self, path: str) -> None:
        """Note that a request deleted something, and with it, perhaps, the key of an application."""
        collection = path.removeprefix(IAM).split("/")[1]
        self._ids.pop(collection, None)
        if collection == "applications":
            self._ids.pop("api-keys", None)

    def forget(self, collection: str, made: dict[str, Any]) -> None:
        """Delete what a request made, so that the organization stays inside its quotas."""
        name = made.get("access_key") or made["id"]
        assert self._client.delete(f"{collection}/{name}").status_code == 204

    def _find(self, field: str) -> str:
        if field in ORGANIZATION:
            return self.organization
        kind = field.removesuffix("s").removesuffix("_id")
        if kind == "log":
            found: str = self._client.get("/logs", params={"page_size": 1}).json()["logs"][0]["id"]
            return found
        if kind == "access_key":
            return self._existing("api-keys", lambda: {"application_id": self._find("application_id")}, "access_key")
        if kind == "group":
            return self._existing("groups", lambda: {"name": f"known {next(self._numbers)}"})
        if kind == "policy":
            return self._existing("policies", self._policy)
        if kind == "ssh_key":
            key = {"name": "known", "public_key": PUBLIC_KEY, "project_id": self.organization}
            return self._existing("ssh-keys", lambda: key)
        if kind == "saml":
            return self._saml()
        if kind == "certificate":
            return self._certificate()
        if field == "password":
            return f"a Long enough {next(self._numbers)} password"
        if kind == "user":
            return self._existing("users", self._user)
        # Bearers and members: an application can be either.
        return self._existing("applications", lambda: {"name": "known"})

    def _existing(self, collection: str, body: Callable[[], dict[str, Any]], name: str = "id") -> str:
        known = self._ids.get(collection)
        if known is None:
            known = self._ids[collection] = self._make(collection, body())[name]
        return known

    def _make(self, collection: str, body: dict[str, Any]) -> Any:
        made = self._client.post(f"/{collection}", json={"organization_id": self.organization, **body})
        assert made.status_code == 200, made.text
        return made.json()

    def turn_saml(self, *, on: bool) -> None:
        """Have SAML settings, or have none."""
        known = self._saml()
        if not on:
            assert self._client.delete(f"/saml/{known}").status_code == 204

    def _saml(self) -> str:
        path = f"/organizations/{self.organization}/saml"
        found = self._client.get(path)
        if found.status_code == 404:
            found = self._client.post(path, json={})
        known: str = found.json()["id"]
        return known

    def _certificate(self) -> str:
        path = f"/saml/{self._saml()}/certificates"
        found = self._client.get(path).json()["certificates"]
        made = found[0] if found else self._client.post(path, json={"type": "signing", "content": CERTIFICATE}).json()
        known: str = made["id"]
        return known

    def fill_group(self) -> None:
        """Make an application and a user members of the known group."""
        members = {"user_ids": [self._find("user_id")], "application_ids": [self._find("application_id")]}
        assert self._client.put(f"/groups/{self._find('group_id')}/members", json=members).status_code == 200

    def _policy(self) -> dict[str, Any]:
        rule = {"permission_set_names": ["IAMReadOnly"], "organization_id": self.organization}
        return {"name": "known", "application_id": self._find("application_id"), "rules": [rule]}

    def _user(self) -> dict[str, Any]:
        name = f"known-{next(self._numbers)}"
        return {"member": {"email": f"{name}@people.example", "username": name}}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """The whole suite in one process."""
    directory: Path = tmp_path_factory.mktemp("walk") / "data"
    with running(serve_whole, directory) as served:
        yield served


@pytest.fixture(scope="module")
def known(suite: RunningSuite) -> Iterator[Known]:
    """What exists in the first organization."""
    objects = Known(suite)
    yield objects
    objects.close()
