"""One vocabulary for what people do, spoken to the suite in several ways: each way in is a driver."""

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import grpc
import httpx

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.credentials.v1 import api_key_pb2, api_key_service_pb2, api_key_service_pb2_grpc
from concord.groups.v1 import (
    group_pb2,
    group_service_pb2,
    group_service_pb2_grpc,
    membership_pb2,
    membership_service_pb2,
    membership_service_pb2_grpc,
)
from concord.identity.v1 import (
    application_pb2,
    application_service_pb2,
    application_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from concord.policy.v1 import policy_pb2, policy_service_pb2, policy_service_pb2_grpc, statement_pb2, subject_pb2
from processes import RunningSuite

SECONDS = 20.0


class Refused(Exception):
    """A call was refused; `why` is `unauthenticated`, `denied`, `not_found`, `invalid` or `conflict`."""

    def __init__(self, why: str, told: str) -> None:
        super().__init__(f"{why}: {told}")
        self.why = why


@dataclass(frozen=True)
class Key:
    """An API key as its maker was shown it."""

    name: str
    secret: str


@dataclass(frozen=True)
class Bearer:
    """A principal: `user` or `application`, and its id."""

    kind: str
    id: str


def unused_address() -> str:
    """Return a mail address that nobody has."""
    return f"{uuid.uuid4().hex}@people.example"


class Driver(Protocol):
    """What a caller can do, whatever the way in."""

    def calling_with(self, key: Key) -> "Driver":
        """Return the same way in for another caller."""

    def close(self) -> None:
        """Let the connections go."""

    def create_application(self, name: str) -> Bearer: ...
    def delete_application(self, application: Bearer) -> None: ...
    def application_names(self) -> set[str]: ...

    def create_user(self, username: str) -> Bearer: ...
    def rename_user(self, user: Bearer, username: str) -> None: ...
    def lock_user(self, user: Bearer) -> None: ...
    def unlock_user(self, user: Bearer) -> None: ...
    def delete_user(self, user: Bearer) -> None: ...
    def username(self, user: Bearer) -> str: ...

    def create_group(self, name: str) -> str: ...
    def group_name(self, group: str) -> str: ...
    def add_member(self, group: str, member: Bearer) -> None: ...
    def remove_member(self, group: str, member: Bearer) -> None: ...
    def members(self, group: str) -> set[str]: ...
    def delete_group(self, group: str) -> None: ...

    def create_key(self, bearer: Bearer) -> Key: ...
    def delete_key(self, key: Key) -> None: ...

    def grant(self, holder: Bearer | str, permission_set: str) -> str:
        """Give a principal, or a group by its id, a permission set in the whole organization."""

    def revoke(self, grant: str) -> None: ...
    def holder_is_gone(self, grant: str) -> bool: ...


class ScalewayDriver:
    """Through the REST shim, in the words of Scaleway's IAM API."""

    _WHY: ClassVar = {400: "invalid", 401: "unauthenticated", 403: "denied", 404: "not_found", 409: "conflict"}

    def __init__(self, suite: RunningSuite, key: Key | None = None) -> None:
        facts = suite.bootstrap["scaleway"]
        self._suite = suite
        self._here = {"organization_id": facts["organization_id"]}
        headers = {"x-auth-token": key.secret if key else facts["secret_key"]}
        self._client = httpx.Client(base_url=f"{suite.http}/iam/v1alpha1", headers=headers, timeout=SECONDS)

    def calling_with(self, key: Key) -> "ScalewayDriver":
        return ScalewayDriver(self._suite, key)

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        answer = self._client.request(method, path, json=body, params=query)
        if answer.status_code in self._WHY:
            raise Refused(self._WHY[answer.status_code], answer.text)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.content else None

    def create_application(self, name: str) -> Bearer:
        return Bearer("application", self._ask("POST", "/applications", {"name": name, **self._here})["id"])

    def delete_application(self, application: Bearer) -> None:
        self._ask("DELETE", f"/applications/{application.id}")

    def application_names(self) -> set[str]:
        return {each["name"] for each in self._ask("GET", "/applications", page_size=100)["applications"]}

    def create_user(self, username: str) -> Bearer:
        member = {"username": username, "email": unused_address(), "password": "a Long enough 1 word"}
        made = self._ask("POST", "/users", {"member": member, **self._here})
        return Bearer("user", made["id"])

    def rename_user(self, user: Bearer, username: str) -> None:
        self._ask("POST", f"/users/{user.id}/update-username", {"username": username})

    def lock_user(self, user: Bearer) -> None:
        self._ask("POST", f"/users/{user.id}/lock", {})

    def unlock_user(self, user: Bearer) -> None:
        self._ask("POST", f"/users/{user.id}/unlock", {})

    def delete_user(self, user: Bearer) -> None:
        self._ask("DELETE", f"/users/{user.id}")

    def username(self, user: Bearer) -> str:
        return str(self._ask("GET", f"/users/{user.id}")["username"])

    def create_group(self, name: str) -> str:
        return str(self._ask("POST", "/groups", {"name": name, **self._here})["id"])

    def group_name(self, group: str) -> str:
        return str(self._ask("GET", f"/groups/{group}")["name"])

    def add_member(self, group: str, member: Bearer) -> None:
        self._ask("POST", f"/groups/{group}/add-member", {f"{member.kind}_id": member.id})

    def remove_member(self, group: str, member: Bearer) -> None:
        self._ask("POST", f"/groups/{group}/remove-member", {f"{member.kind}_id": member.id})

    def members(self, group: str) -> set[str]:
        found = self._ask("GET", f"/groups/{group}")
        return {*found["user_ids"], *found["application_ids"]}

    def delete_group(self, group: str) -> None:
        self._ask("DELETE", f"/groups/{group}")

    def create_key(self, bearer: Bearer) -> Key:
        made = self._ask("POST", "/api-keys", {f"{bearer.kind}_id": bearer.id, "description": ""})
        return Key(made["access_key"], made["secret_key"])

    def delete_key(self, key: Key) -> None:
        self._ask("DELETE", f"/api-keys/{key.name}")

    def grant(self, holder: Bearer | str, permission_set: str) -> str:
        subject = {"group_id": holder} if isinstance(holder, str) else {f"{holder.kind}_id": holder.id}
        rule = {"permission_set_names": [permission_set], **self._here}
        return str(self._ask("POST", "/policies", {"name": "grant", "rules": [rule], **subject, **self._here})["id"])

    def revoke(self, grant: str) -> None:
        self._ask("DELETE", f"/policies/{grant}")

    def holder_is_gone(self, grant: str) -> bool:
        return bool(self._ask("GET", f"/policies/{grant}").get("no_principal"))


class GrpcDriver:
    """Through the core's own rpcs."""

    _WHY: ClassVar = {
        grpc.StatusCode.INVALID_ARGUMENT: "invalid",
        grpc.StatusCode.UNAUTHENTICATED: "unauthenticated",
        grpc.StatusCode.PERMISSION_DENIED: "denied",
        grpc.StatusCode.NOT_FOUND: "not_found",
        grpc.StatusCode.ALREADY_EXISTS: "conflict",
    }
    _KINDS: ClassVar = {
        "user": principal_pb2.PRINCIPAL_KIND_USER,
        "application": principal_pb2.PRINCIPAL_KIND_APPLICATION,
    }

    def __init__(self, suite: RunningSuite, key: Key | None = None) -> None:
        self._suite = suite
        self._organization = suite.bootstrap["organization"]["id"]
        secret = key.secret if key else suite.bootstrap["native"]["api_key"]
        self._metadata = (("authorization", f"Bearer {secret}"),)
        self._channels = {address: grpc.insecure_channel(address) for address in set(suite.addresses.values())}

        def stub(make: Any, service: str) -> Any:
            return make(self._channels[suite.grpc(service)])

        self._applications = stub(application_service_pb2_grpc.ApplicationServiceStub, "identity")
        self._users = stub(user_service_pb2_grpc.UserServiceStub, "identity")
        self._keys = stub(api_key_service_pb2_grpc.ApiKeyServiceStub, "credentials")
        self._groups = stub(group_service_pb2_grpc.GroupServiceStub, "groups")
        self._members = stub(membership_service_pb2_grpc.MembershipServiceStub, "groups")
        self._policies = stub(policy_service_pb2_grpc.PolicyServiceStub, "policy")

    def calling_with(self, key: Key) -> "GrpcDriver":
        return GrpcDriver(self._suite, key)

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()

    def _ask(self, rpc: Any, request: Any) -> Any:
        try:
            return rpc(request, metadata=self._metadata, timeout=SECONDS)
        except grpc.RpcError as error:
            if error.code() not in self._WHY:
                raise
            raise Refused(self._WHY[error.code()], error.details()) from None

    def _ref(self, bearer: Bearer) -> principal_pb2.PrincipalRef:
        return principal_pb2.PrincipalRef(kind=self._KINDS[bearer.kind], id=bearer.id)

    def create_application(self, name: str) -> Bearer:
        application = application_pb2.Application(name=name)
        request = application_service_pb2.CreateApplicationRequest(application=application)
        return Bearer("application", self._ask(self._applications.CreateApplication, request).id)

    def delete_application(self, application: Bearer) -> None:
        request = application_service_pb2.DeleteApplicationRequest(id=application.id)
        self._ask(self._applications.DeleteApplication, request)

    def application_names(self) -> set[str]:
        request = application_service_pb2.ListApplicationsRequest(page_size=1000)
        return {each.name for each in self._ask(self._applications.ListApplications, request).applications}

    def create_user(self, username: str) -> Bearer:
        user = user_pb2.User(kind=user_pb2.USER_KIND_MEMBER, username=username, primary_email=unused_address())
        return Bearer("user", self._ask(self._users.CreateUser, user_service_pb2.CreateUserRequest(user=user)).id)

    def rename_user(self, user: Bearer, username: str) -> None:
        changed = user_pb2.User(id=user.id, username=username)
        request = user_service_pb2.UpdateUserRequest(user=changed, update_mask={"paths": ["username"]})
        self._ask(self._users.UpdateUser, request)

    def lock_user(self, user: Bearer) -> None:
        self._ask(self._users.SuspendUser, user_service_pb2.SuspendUserRequest(id=user.id))

    def unlock_user(self, user: Bearer) -> None:
        self._ask(self._users.ResumeUser, user_service_pb2.ResumeUserRequest(id=user.id))

    def delete_user(self, user: Bearer) -> None:
        self._ask(self._users.DeleteUser, user_service_pb2.DeleteUserRequest(id=user.id))

    def username(self, user: Bearer) -> str:
        return str(self._ask(self._users.GetUser, user_service_pb2.GetUserRequest(id=user.id)).username)

    def create_group(self, name: str) -> str:
        group = group_pb2.Group(name={"text": name})
        return str(self._ask(self._groups.CreateGroup, group_service_pb2.CreateGroupRequest(group=group)).id)

    def group_name(self, group: str) -> str:
        return str(self._ask(self._groups.GetGroup, group_service_pb2.GetGroupRequest(id=group)).name.text)

    def add_member(self, group: str, member: Bearer) -> None:
        request = membership_service_pb2.AddMembersRequest(
            container=membership_pb2.Container(group_id=group), principals=[self._ref(member)]
        )
        self._ask(self._members.AddMembers, request)

    def remove_member(self, group: str, member: Bearer) -> None:
        request = membership_service_pb2.RemoveMembersRequest(
            container=membership_pb2.Container(group_id=group), principals=[self._ref(member)]
        )
        self._ask(self._members.RemoveMembers, request)

    def members(self, group: str) -> set[str]:
        request = membership_service_pb2.ListMembersRequest(containers=[membership_pb2.Container(group_id=group)])
        return {each.principal.id for each in self._ask(self._members.ListMembers, request).memberships}

    def delete_group(self, group: str) -> None:
        self._ask(self._groups.DeleteGroup, group_service_pb2.DeleteGroupRequest(id=group))

    def create_key(self, bearer: Bearer) -> Key:
        request = api_key_service_pb2.CreateApiKeyRequest(api_key=api_key_pb2.ApiKey(bearer=self._ref(bearer)))
        made = self._ask(self._keys.CreateApiKey, request)
        return Key(made.api_key.id, made.secret)

    def delete_key(self, key: Key) -> None:
        self._ask(self._keys.DeleteApiKey, api_key_service_pb2.DeleteApiKeyRequest(id=key.name))

    def grant(self, holder: Bearer | str, permission_set: str) -> str:
        if isinstance(holder, str):
            subject = subject_pb2.PolicySubject(group_id=holder)
        else:
            subject = subject_pb2.PolicySubject(principal=self._ref(holder))
        boundary = boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id=self._organization
        )
        statement = statement_pb2.Statement(role_names=[permission_set], boundary=boundary)
        policy = policy_pb2.Policy(name="grant", language="role_rules", subject=subject, statements=[statement])
        return str(self._ask(self._policies.CreatePolicy, policy_service_pb2.CreatePolicyRequest(policy=policy)).id)

    def revoke(self, grant: str) -> None:
        self._ask(self._policies.DeletePolicy, policy_service_pb2.DeletePolicyRequest(id=grant))

    def holder_is_gone(self, grant: str) -> bool:
        policy = self._ask(self._policies.GetPolicy, policy_service_pb2.GetPolicyRequest(id=grant))
        return bool(policy.subject.WhichOneof("holder") == "none")


DRIVERS: dict[str, type[ScalewayDriver] | type[GrpcDriver]] = {"scaleway": ScalewayDriver, "grpc": GrpcDriver}
