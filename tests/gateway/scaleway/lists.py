"""A population of a served suite, and for every list what its filters and orders mean, plainly written down."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
import httpx

from concord.credentials.v1 import password_pb2, session_service_pb2, session_service_pb2_grpc
from processes import RunningSuite

Record = dict[str, Any]
# A choice of a filter: what is asked, and which records it lets through.
Choice = tuple[Mapping[str, Any], Callable[[Record], bool]]

PASSWORD: Final = "a Long enough 1 password"
PUBLIC_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
NAMES: Final = ("Alpha", "alpha-2", "beta_2", "Beta", "a_b", "gamma (x)", "Zeta", "zeta 2")
TAGS: Final = (["x"], [], ["X", "y"], ["x", "y"])


@dataclass(frozen=True)
class Listing:
    """One list of the API: where it is, what names a record, its filters and its orders."""

    path: str
    member: str
    orders: Mapping[str, Callable[[Record], Any]]
    filters: Sequence[Sequence[Choice]] = ()
    name: str = "id"
    always: Mapping[str, Any] = field(default_factory=dict)


class Population:
    """Things of every kind in one organization, made once."""

    def __init__(self, suite: RunningSuite) -> None:
        facts = suite.bootstrap["scaleway"]
        self.organization: str = facts["organization_id"]
        self._suite = suite
        self._http = httpx.Client(
            base_url=f"{suite.http}/iam/v1alpha1", headers={"x-auth-token": facts["secret_key"]}, timeout=30
        )
        tagged = list(zip(NAMES, TAGS * 2, strict=True))
        self.applications = [self.make("applications", name=name, tags=tags) for name, tags in tagged]
        self.users = [self._user(number, tags) for number, (_, tags) in enumerate(tagged)]
        self.groups = [self.make("groups", name=f"{name}.", tags=tags) for name, tags in tagged]
        for number, group in enumerate(self.groups[:6]):
            members = {
                "user_ids": [self.users[number]["id"], self.users[0]["id"]][: 1 + number % 2],
                "application_ids": [self.applications[number // 2]["id"]] if number % 3 else [],
            }
            assert self._http.put(f"/groups/{group['id']}/members", json=members).status_code == 200
        principals = [
            *({"application_id": each["id"]} for each in self.applications[:3]),
            *({"user_id": each["id"]} for each in self.users[:2]),
            *({"group_id": each["id"]} for each in self.groups[:2]),
            {"no_principal": True},
        ]
        rule = {"permission_set_names": ["IAMReadOnly"], "organization_id": self.organization}
        self.policies = [
            self.make("policies", name=name, tags=tags, rules=[rule], **principal)
            for (name, tags), principal in zip(tagged, principals, strict=True)
        ]
        self.keys = self._keys()
        self.ssh_keys = [self._ssh_key(name, number) for number, name in enumerate(NAMES)]
        for user in self.users[:4]:
            self.log_in(user["username"])
        for record in self.applications[::3]:
            assert self._http.patch(f"/applications/{record['id']}", json={"description": "d"}).status_code == 200
        gone = self.make("applications", name="gone")
        self.delete(f"applications/{gone['id']}")
        self.settle(gone["id"])
        self.middle = self.everything(Listing("logs", "logs", {}))[30]["created_at"]

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def make(self, collection: str, **body: Any) -> Record:
        """Make one thing."""
        answer = self._http.post(f"/{collection}", json={"organization_id": self.organization, **body})
        assert answer.status_code == 200, answer.text
        made: Record = answer.json()
        return made

    def delete(self, path: str) -> None:
        """Delete one thing."""
        assert self._http.delete(f"/{path}").status_code == 204

    def ask(self, listing: Listing, **query: Any) -> Any:
        """Return one page."""
        answer = self._http.get(f"/{listing.path}", params={**listing.always, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def everything(self, listing: Listing) -> list[Record]:
        """Return all records, unfiltered, in the list's own order."""
        found: list[Record] = []
        while True:
            page = self.ask(listing, page=len(found) // 100 + 1, page_size=100)
            found += page[listing.member]
            if len(found) >= page["total_count"]:
                return found

    def settle(self, resource_id: str) -> None:
        """Wait until the deletion of the last thing is in the logs: all earlier ones are, too."""
        until = time.monotonic() + 20
        logs = Listing("logs", "logs", {})
        while self.ask(logs, search=resource_id, action="deleted")["total_count"] == 0:
            assert time.monotonic() < until
            time.sleep(0.05)

    def _user(self, number: int, tags: list[str]) -> Record:
        name = f"{'Lists' if number % 2 else 'lists'}.{(number * 5) % 8}"
        member = {"email": f"p{(number * 3) % 8}@people.example", "username": name, "password": PASSWORD}
        return self.make("users", tags=tags, member=member)

    def _keys(self) -> list[Record]:
        now = ends = datetime.now(UTC)
        bearers = [{"application_id": self.applications[0]["id"]}, {"user_id": self.users[0]["id"]}]
        made = []
        for number in range(8):
            body: Record = {"description": f"Key {number % 3} of {NAMES[number]}", **bearers[number % 2]}
            if number % 4 == 0:
                body["expires_at"] = (now + timedelta(days=10 - number)).isoformat()
            if number == 5:
                ends = datetime.now(UTC) + timedelta(seconds=1.5)
                body["expires_at"] = ends.isoformat()
            made.append(self.make("api-keys", **body))
        time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds() + 0.1))
        return made

    def _ssh_key(self, name: str, number: int) -> Record:
        made = self.make("ssh-keys", name=name, public_key=PUBLIC_KEY, project_id=self.organization)
        if number % 3 == 0:
            assert self._http.patch(f"/ssh-keys/{made['id']}", json={"disabled": True}).status_code == 200
        return made

    def log_in(self, name: str) -> None:
        """Open a session, which is a JWT more."""
        login = password_pb2.Login(organization=self.organization, name=name)
        shown = password_pb2.PasswordCredential(login=login, password=PASSWORD)
        with grpc.insecure_channel(self._suite.grpc("credentials")) as channel:
            session_service_pb2_grpc.SessionServiceStub(channel).CreateSession(
                session_service_pb2.CreateSessionRequest(password=shown), timeout=30
            )


def listings(people: Population) -> dict[str, Listing]:
    """Return every list with filters or orders."""
    whole: list[Choice] = [({"organization_id": people.organization}, lambda _: True)]
    return {
        "applications": Listing(
            "applications",
            "applications",
            {**_instants("created_at", "updated_at"), "name": _folded("name")},
            [whole, _part("name", "ALPHA", "a_b"), _tags(), _flag("editable"),
             _ids("application_ids", "id", people.applications[::2])],
        ),
        "users": Listing(
            "users",
            "users",
            {**_instants("created_at", "updated_at"), "last_login": _moment("last_login_at"), "email": _folded("email"),
             "username": _folded("username")},
            [whole, _tags(), _flag("mfa"), _ids("user_ids", "id", people.users[::2]),
             _exact("type", "owner", "member")],
        ),
        "groups": Listing(
            "groups",
            "groups",
            {**_instants("created_at", "updated_at"), "name": _spelled("name")},
            [whole, _part("name", "ALPHA", "2."), _tags(), _ids("group_ids", "id", people.groups[::2]),
             _holders("user_ids", people.users[:3], "application_ids", people.applications[:1])],
        ),
        "policies": Listing(
            "policies",
            "policies",
            {**_instants("created_at"), "policy_name": _folded("name")},
            [whole, _part("policy_name", "ALPHA", "2", member="name"), _tags(), _flag("editable"),
             _flag("no_principal"), _ids("policy_ids", "id", people.policies[::2]),
             _subjects(people)],
        ),
        "api-keys": Listing(
            "api-keys",
            "api_keys",
            {**_instants("created_at", "updated_at"), "expires_at": _end,
             "access_key": _spelled("access_key")},
            [whole, _part("description", "KEY 1", "beta"), _flag("editable"), _expired(),
             _exact("bearer_type", "user", "application", test=lambda kind, record: f"{kind}_id" in record),
             _exact("bearer_id", people.users[0]["id"], people.applications[0]["id"],
                    test=lambda bearer, record: bearer in (record.get("user_id"), record.get("application_id"))),
             [*_exact("access_key", people.keys[3]["access_key"]),
              *_ids("access_keys", "access_key", people.keys[::2])]],
            name="access_key",
        ),
        "ssh-keys": Listing(
            "ssh-keys",
            "ssh_keys",
            {**_instants("created_at", "updated_at"), "name": _spelled("name")},
            [whole, _part("name", "ALPHA", "a_b"), _exact("project_id", people.organization), _flag("disabled")],
        ),
        "jwts": Listing(
            "jwts",
            "jwts",
            _instants("created_at", "updated_at"),
            [_exact("audience_id", people.users[1]["id"]), _expired()],
            name="jti",
        ),
        "logs": Listing(
            "logs",
            "logs",
            _instants("created_at"),
            [whole, _exact("action", "created", "updated", "deleted"),
             _exact("resource_type", "api_key", "user", "application", "group", "policy"),
             _exact("search", people.applications[0]["id"], people.users[0]["id"],
                    test=lambda text, record: record["resource_id"] == text),
             _exact("created_after", people.middle, test=lambda middle, record: record["created_at"] >= middle),
             _exact("created_before", people.middle, test=lambda middle, record: record["created_at"] < middle)],
        ),
        "quota": Listing(
            "quota",
            "quota",
            {"name": _spelled("name")},
            [[({"quotum_names": ["iam_groups", "iam_users"]}, lambda r: r["name"] in ("iam_groups", "iam_users")),
              ({"quotum_names": ["nothing"]}, lambda _: False)]],
            name="name",
            always={"organization_id": people.organization},
        ),
        "permission-sets": Listing(
            "permission-sets",
            "permission_sets",
            {"name": _folded("name"), "created_at": _folded("name")},
            always={"organization_id": people.organization},
        ),
    }  # fmt: skip


def _instants(*members: str) -> dict[str, Callable[[Record], Any]]:
    return {member: _moment(member) for member in members}


def _moment(member: str) -> Callable[[Record], Any]:
    # What has no such instant stands first.
    def key(record: Record) -> Any:
        return datetime.fromisoformat(record[member]).timestamp() if record[member] else 0.0

    return key


def _end(record: Record) -> float:
    # What never ends, ends last.
    end = record["expires_at"]
    return datetime.fromisoformat(end).timestamp() if end else float("inf")


def _spelled(member: str) -> Callable[[Record], Any]:
    # By code point: capitals first.
    return lambda record: record[member]


def _folded(member: str) -> Callable[[Record], Any]:
    return lambda record: record[member].lower()


def _part(name: str, *texts: str, member: str = "") -> list[Choice]:
    def choice(text: str) -> Choice:
        return {name: text}, lambda record: text.lower() in record[member or name].lower()

    return [choice(text) for text in texts]


def _tags() -> list[Choice]:
    def choice(tag: str) -> Choice:
        return {"tag": tag}, lambda record: tag in record["tags"]

    return [choice(tag) for tag in ("x", "X", "none")]


def _flag(name: str) -> list[Choice]:
    def choice(value: bool) -> Choice:
        return {name: value}, lambda record: bool(record.get(name)) is value

    return [choice(True), choice(False)]


def _ids(name: str, member: str, records: Sequence[Record]) -> list[Choice]:
    wanted = [record[member] for record in records]
    return [({name: wanted}, lambda record: record[member] in wanted)]


def _exact(name: str, *values: str, test: Callable[[str, Record], bool] | None = None) -> list[Choice]:
    def choice(value: str) -> Choice:
        return {name: value}, lambda record: test(value, record) if test else record[name] == value

    return [choice(value) for value in values]


def _expired() -> list[Choice]:
    def over(record: Record) -> bool:
        return bool(record["expires_at"]) and datetime.fromisoformat(record["expires_at"]) <= datetime.now(UTC)

    return [({"expired": True}, over), ({"expired": False}, lambda record: not over(record))]


def _holders(one: str, some: Sequence[Record], other: str, others: Sequence[Record]) -> list[Choice]:
    """Groups need to hold only one of those named, of either kind."""
    users, applications = ([each["id"] for each in records] for records in (some, others))

    def holds(record: Record) -> bool:
        return not set(users).isdisjoint(record[one]) or not set(applications).isdisjoint(record[other])

    return [
        ({one: users}, lambda record: not set(users).isdisjoint(record[one])),
        ({other: applications}, lambda record: not set(applications).isdisjoint(record[other])),
        ({one: users, other: applications}, holds),
    ]


def _subjects(people: Population) -> list[Choice]:
    """A policy has one principal: of several kinds asked for, one is enough."""
    asked = {
        "user_ids": people.users[:1],
        "group_ids": people.groups[:2],
        "application_ids": people.applications[1:3],
    }
    ids = {name: [each["id"] for each in records] for name, records in asked.items()}

    def choice(*names: str) -> Choice:
        def held(record: Record) -> bool:
            return any(record.get(name.removesuffix("s")) in ids[name] for name in names)

        return {name: ids[name] for name in names}, held

    return [*(choice(name) for name in ids), choice("user_ids", "application_ids"), choice(*ids)]
