"""Core resources as the core would answer them."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from concord.audit.v1.audit_event_pb2 import AuditEvent
from concord.common.v1 import boundary_pb2
from concord.common.v1.localized_text_pb2 import LocalizedText
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER, PrincipalRef
from concord.credentials.v1.api_key_pb2 import ApiKey
from concord.credentials.v1.federation_pb2 import Federation, FederationCertificate
from concord.credentials.v1.session_pb2 import Session
from concord.credentials.v1.ssh_key_pb2 import SshKey
from concord.groups.v1.group_pb2 import Group
from concord.groups.v1.membership_pb2 import Container, Membership
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.user_pb2 import USER_KIND_MEMBER, USER_STATE_ACTIVE, User
from concord.policy.v1.policy_pb2 import Policy
from concord.policy.v1.quota_pb2 import QUOTA_LOCALITY_GLOBAL, Quota, QuotaLimit
from concord.policy.v1.role_pb2 import Role
from concord.policy.v1.statement_pb2 import Statement

ORGANIZATION = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
ID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
USER = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
APPLICATION = "dddddddd-dddd-4ddd-8ddd-dddddddddddd"
CREATED = Timestamp(seconds=1767323045, nanos=123456000)
UPDATED = Timestamp(seconds=1767323046)
CREATED_TEXT = "2026-01-02T03:04:05.123456Z"
UPDATED_TEXT = "2026-01-02T03:04:06.000000Z"
_STORED = {"create_time": CREATED, "update_time": UPDATED, "organization_id": ORGANIZATION, "id": ID}
_FLAGS = {"editable": True, "deletable": True}


def application(**changes: Any) -> Application:
    return Application(**{**_STORED, **_FLAGS, "name": "one", "api_key_count": 3, "tags": ["a"], **changes})


def user(**changes: Any) -> User:
    return User(
        **{
            **_STORED,
            **_FLAGS,
            "kind": USER_KIND_MEMBER,
            "state": USER_STATE_ACTIVE,
            "username": "sam",
            "primary_email": "sam@example.com",
            "locale": "en_US",
            **changes,
        }
    )


def group(**changes: Any) -> Group:
    return Group(**{**_STORED, **_FLAGS, "name": LocalizedText(text="team"), "tags": ["a"], **changes})


def member(kind: Any, principal_id: str, group_id: str = ID) -> Membership:
    return Membership(container=Container(group_id=group_id), principal=PrincipalRef(kind=kind, id=principal_id))


def api_key(**changes: Any) -> ApiKey:
    bearer = PrincipalRef(kind=PRINCIPAL_KIND_USER, id=USER)
    return ApiKey(
        **{
            **_STORED,
            **_FLAGS,
            "access_id": "SCW00000000000000000",
            "bearer": bearer,
            "default_project_id": ORGANIZATION,
            "creation_ip": "192.0.2.7",
            **changes,
        }
    )


def ssh_key(**changes: Any) -> SshKey:
    return SshKey(
        **{
            **_STORED,
            **_FLAGS,
            "name": "me@host",
            "public_key": "ssh-ed25519 AAAA",
            "fingerprint": "256 MD5:00 (ssh-ed25519)",
            "project_id": ORGANIZATION,
            **changes,
        }
    )


def session(**changes: Any) -> Session:
    user = PrincipalRef(kind=PRINCIPAL_KIND_USER, id=USER)
    return Session(
        **{
            **_STORED,
            "principal": user,
            "issuer": user,
            "expire_time": UPDATED,
            "ip": "192.0.2.7",
            "user_agent": "test/1",
            **changes,
        }
    )


def federation(**changes: Any) -> Federation:
    urls = {
        "service_provider_entity_id": "https://c.example/saml/1",
        "assertion_consumer_url": "https://c.example/login",
    }
    return Federation(**{**_STORED, **urls, "status": 2, **changes})


def certificate(**changes: Any) -> FederationCertificate:
    return FederationCertificate(
        **{"id": ID, "type": 1, "origin": 2, "content": "PEM\n", "expire_time": UPDATED, **changes}
    )


def policy(**changes: Any) -> Policy:
    counts = {"statement_count": 2, "boundary_count": 1, "role_count": 4}
    return Policy(**{**_STORED, **_FLAGS, **counts, "name": "rights", **changes})


def statement(**changes: Any) -> Statement:
    boundary = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=[ORGANIZATION])
    return Statement(
        **{
            "id": ID,
            "role_names": ["InstancesReadOnly"],
            "boundary": boundary,
            "role_boundary_kind": boundary_pb2.BOUNDARY_KIND_PROJECTS,
            **changes,
        }
    )


def role(**changes: Any) -> Role:
    return Role(
        **{
            "id": ID,
            "handle": "IAMManager",
            "name": LocalizedText(text="IAMManager"),
            "description": LocalizedText(text="all of it"),
            "boundary_kind": boundary_pb2.BOUNDARY_KIND_ORGANIZATION,
            "categories": ["iam"],
            **changes,
        }
    )


def quota(**changes: Any) -> Quota:
    return Quota(
        **{
            "name": "groups",
            "organization_id": ORGANIZATION,
            "display_name": "Groups",
            "unit": "group",
            "limit": 50,
            "limits": [QuotaLimit(locality=QUOTA_LOCALITY_GLOBAL, limit=50)],
            **changes,
        }
    )


def event(**changes: Any) -> AuditEvent:
    return AuditEvent(
        **{
            "id": ID,
            "organization_id": ORGANIZATION,
            "time": CREATED,
            "actor": PrincipalRef(kind=PRINCIPAL_KIND_USER, id=USER),
            "ip": "192.0.2.7",
            "user_agent": "test/1",
            "action": "created",
            "resource_type": "application",
            "resource_id": APPLICATION,
            **changes,
        }
    )


def organization(**changes: Any) -> Organization:
    return Organization(**{"id": ORGANIZATION, "name": "demo", "login_password_enabled": True, **changes})
