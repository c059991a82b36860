"""Another organization's id answers exactly as an unknown one, for every rpc that takes an id."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_status import rpc_status

from concord.kernel.ids import is_canonical
from e2e.rpcs import Place, build, is_permission_guarded, message_class, methods, places
from e2e.worlds import World, make_world
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

CASES = [
    (method, place)
    for method in methods()
    if is_permission_guarded(method) and not method.client_streaming
    for place in places(method)
]


@dataclass
class Two:
    """Two organizations, and the way to call as the first one's owner."""

    here: World
    there: World
    suite: RunningSuite
    channels: dict[str, Any]

    def ask(self, method: MethodDescriptor, place: Place, value: str, *, rehearse: bool = False) -> str:
        """Make one call and return all that its answer says, with the value it was made with taken out."""
        caller = self.here
        request: Any = build(method, lambda kind: caller.ids.get(kind, ""), place, value)
        if rehearse:
            request.validate_only = True
        package = method.containing_service.full_name.split(".")[1]
        call = self.channels[package].unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class_of(method).FromString,
        )
        try:
            answer = call(request, metadata=caller.metadata, timeout=30)
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
            said = f"{error.code()} {error.details()} {status}"
        else:
            said = "answered " + ("" if is_write(method) else str(answer))
        return said.replace(value, "<the id>")


def is_write(method: MethodDescriptor) -> bool:
    return "request_id" in method.input_type.fields_by_name


def message_class_of(method: MethodDescriptor) -> Any:
    if method.output_type.full_name == "google.protobuf.Empty":
        from google.protobuf import empty_pb2

        return empty_pb2.Empty
    return message_class(method.output_type)


@pytest.fixture(scope="module")
def two(suite: RunningSuite) -> Iterator[Two]:
    channels = {service: grpc.insecure_channel(address) for service, address in suite.addresses.items()}
    yield Two(make_world(suite, "here"), make_world(suite, "there"), suite, channels)
    for channel in channels.values():
        channel.close()


def strangers_value(world: World, kind: str) -> str:
    return world.ids[kind]


def unknown_value(value: str) -> str:
    """Return what nobody has, of the same look and length as the value."""
    if is_canonical(value):
        return str(uuid.uuid4())
    turned = {c: chr((ord(c) - base + 7) % size + base) for base, size in ((97, 26), (65, 26), (48, 10))
              for c in map(chr, range(base, base + size))}  # fmt: skip
    return "".join(turned.get(character, character) for character in value)


@pytest.mark.parametrize(("method", "place"), CASES, ids=[f"{m.full_name}:{p}" for m, p in CASES])
def test_kb27_a_strangers_id_answers_as_an_unknown_one(two: Two, method: MethodDescriptor, place: Place) -> None:
    value = strangers_value(two.there, place.kind)
    foreign = two.ask(method, place, value)
    unknown = two.ask(method, place, unknown_value(value))

    assert foreign == unknown


# Where even the caller's own id makes no difference: the field is the server's to set, cannot be changed,
# is not looked up, or the caller's thing of that kind is not what is asked for.
NOT_LOOKED_UP = ("boundary.group_id", "boundary.owner_user_id", "resource.group_ids", "resource.owner_user_id")
OF_A_CHECK = ("subject.id", "boundary.organization_id", "boundary.project_ids")
# A grant that there is not, whoever's the place: the one there is holds in the whole organization.
OF_A_KEY = {f"key.{field}" for field in (*NOT_LOOKED_UP[:2], "subject.group_id", "boundary.project_ids")}
OF_A_ROLE = {f"role.statements.{field}" for field in (*NOT_LOOKED_UP[:2], *OF_A_CHECK[1:])}
OF_CHECKS = {f"check.{field}" for field in NOT_LOOKED_UP}
INDIFFERENT = {
    # What is added has no id yet.
    "AddFederationCertificate": {"certificate.id", "certificate.federation_id"},
    "BatchCheck": {
        *(f"checks.{field}" for field in NOT_LOOKED_UP),
        # Without a check there is nothing to which these would count.
        *(f"defaults.{field}" for field in (*NOT_LOOKED_UP, *OF_A_CHECK)),
    },
    "Check": OF_CHECKS,
    "CheckPassword": {"user_id"},
    "CreateGrant": {"grant.boundary.owner_user_id"},
    "CreatePolicy": {"policy.statements.boundary.owner_user_id"},
    "CreateProject": {"project.group_id"},
    "CreateRole": OF_A_ROLE,
    "DeleteGrant": OF_A_KEY,
    # Nobody in these organizations has let a client in.
    "DeleteOAuthConsent": {"oauth_client_id", "user_id"},
    "Explain": OF_CHECKS,
    "GetGrant": OF_A_KEY,
    "ListGrants": {"subjects.group_id", "boundary.project_ids", *NOT_LOOKED_UP[:2]},
    "ListGroups": {"parent_group_id"},
    "ListOAuthConsents": {"user_id"},
    "ListPermissions": OF_CHECKS,
    "ListPolicies": {"subjects.group_id"},
    # Nobody in these organizations is connected.
    "RemoveConnection": {"peer_user_id"},
    "SetGrants": {"boundary.owner_user_id"},
    "SetInlinePolicy": {"statements.id", "statements.boundary.owner_user_id"},
    "SetStatements": {"statements.id", "statements.boundary.group_id", "statements.boundary.owner_user_id"},
    "SetTrustPolicy": {
        "trust_policy.trusted.principals.organization_id",
        "trust_policy.trusted.principals.principal.id",
    },
    "UpdateApiKey": {"api_key.bearer.id", "api_key.access_id"},
    "UpdateOAuthClient": {"oauth_client.bearer.id", "oauth_client.client_id", "oauth_client.secrets.client_id"},
    "UpdateOrganization": {"organization.slug", "organization.owner_user_id"},
    "UpdatePolicy": {
        "policy.statements.boundary.group_id",
        "policy.statements.boundary.organization_id",
        "policy.statements.boundary.owner_user_id",
        "policy.statements.boundary.project_ids",
    },
    "UpdateProject": {"project.group_id"},
    "UpdateRole": OF_A_ROLE,
    "UpdateSshKey": {"ssh_key.project_id"},
    "UpdateUser": {"user.username", "user.primary_email"},
}


def is_indifferent(method: MethodDescriptor, place: Place) -> bool:
    of_a_resource = len(place.path) == 2 and place.path[1] == "organization_id"
    return of_a_resource or str(place) in INDIFFERENT.get(method.name, ())


def test_the_cases_reach_what_is_there(two: Two) -> None:
    """With the caller's own ids the same requests answer otherwise; else the comparison above would prove nothing."""
    same = []
    # The writes of the comparison have changed what is in the others.
    fresh = replace(two, here=make_world(two.suite, "fresh"))
    for method, place in CASES:
        mine, rehearse = fresh.here.ids[place.kind], is_write(method)
        own = fresh.ask(method, place, mine, rehearse=rehearse)
        unknown = fresh.ask(method, place, unknown_value(mine), rehearse=rehearse)
        if own == unknown and not is_indifferent(method, place):
            same.append(f"{method.name}:{place} {own[:150]}")

    assert not same, "\n".join(same)


def test_the_stranger_is_left_as_it_was(two: Two) -> None:
    lists = [m for m in methods() if m.name.startswith("List") and is_permission_guarded(m)]

    def everything() -> dict[str, str]:
        found = {}
        for method in lists:
            if "ListStatements" in method.name or method.name.startswith("ListMember"):
                continue
            request = message_class(method.input_type)()
            package = method.containing_service.full_name.split(".")[1]
            if method.containing_service.name == "AuditService":
                continue
            call = two.channels[package].unary_unary(
                f"/{method.containing_service.full_name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=message_class_of(method).FromString,
            )
            try:
                answer = str(call(request, metadata=two.there.metadata, timeout=30))
                # When a key was last used is noted in the background, the use for this very reading too.
                # So are a list's state and the token that is bound to it.
                found[method.full_name] = re.sub(
                    r'\s*(last_used_time \{[^}]*\}|(next_page_token|revision): "[^"]*")', "", answer
                )
            except grpc.RpcError as error:
                found[method.full_name] = str(error.code())
        return found

    before = everything()
    for method, place in CASES:
        if is_write(method):
            two.ask(method, place, strangers_value(two.there, place.kind))

    assert everything() == before
