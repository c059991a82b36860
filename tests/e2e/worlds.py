"""An organization with one of everything, made through the core's own rpcs."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from concord.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from concord.common.v1 import boundary_pb2, principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    authentication_service_pb2,
    federation_pb2,
    federation_service_pb2,
    federation_service_pb2_grpc,
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_client_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    ssh_key_pb2,
    ssh_key_service_pb2,
    ssh_key_service_pb2_grpc,
    trust_policy_pb2,
    trust_policy_service_pb2,
    trust_policy_service_pb2_grpc,
)
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
    organization_pb2,
    organization_service_pb2,
    organization_service_pb2_grpc,
    project_pb2,
    project_service_pb2,
    project_service_pb2_grpc,
    user_pb2,
    user_service_pb2,
    user_service_pb2_grpc,
)
from concord.kernel.keyring import Keyring
from concord.kernel.rpc.authentication import mint_service_token
from concord.policy.v1 import (
    grant_pb2,
    grant_service_pb2,
    grant_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    role_pb2,
    role_service_pb2,
    role_service_pb2_grpc,
    statement_pb2,
    subject_pb2,
)
from e2e.certificates import certificate
from processes import RunningSuite

SECONDS = 30
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def system_metadata(data_dir: Path, organization_id: str = "") -> tuple[tuple[str, str], ...]:
    """Return what the deployment's administrator sends."""
    key = Keyring(data_dir / "keys").role_key("system")
    return (("authorization", f"Bearer {mint_service_token('system', key, organization_id or None)}"),)


@dataclass
class World:
    """One organization: its owner's credential and the ids of its things, by kind."""

    ids: dict[str, str]
    secret: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What the owner sends."""
        return (("authorization", f"Bearer {self.secret}"),)


def owner_key(channel: Any, metadata: Any, user_id: str) -> Any:
    """Make an API key for a user."""
    return api_key_service_pb2_grpc.ApiKeyServiceStub(channel).CreateApiKey(
        api_key_service_pb2.CreateApiKeyRequest(
            api_key=api_key_pb2.ApiKey(
                bearer=principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=user_id)
            ),
            key_format=api_key_pb2.KeyFormat(access_id_prefix="key-", secret_prefix="cnc_"),
        ),
        metadata=metadata,
        timeout=SECONDS,
    )


def make_world(suite: RunningSuite, name: str) -> World:
    """Make an organization of that name and one of everything in it."""
    channels = {service: grpc.insecure_channel(suite.grpc(service)) for service in suite.addresses}
    try:
        return _make(suite, channels, name)
    finally:
        for channel in channels.values():
            channel.close()


def _make(suite: RunningSuite, channels: dict[str, Any], name: str) -> World:
    organization = organization_service_pb2_grpc.OrganizationServiceStub(channels["identity"]).CreateOrganization(
        organization_service_pb2.CreateOrganizationRequest(
            organization=organization_pb2.Organization(name=name),
            owner=user_pb2.User(primary_email=f"owner-{uuid.uuid4().hex}@{name}.example", username="owner"),
            catalogues=["scaleway"],
        ),
        metadata=system_metadata(suite.data_dir),
        timeout=SECONDS,
    )
    system = system_metadata(suite.data_dir, organization.id)
    key = owner_key(channels["credentials"], system, organization.owner_user_id)
    owner = (("authorization", f"Bearer {key.secret}"),)
    ids = {"organization": organization.id, "slug": organization.slug, "number": str(organization.number)}
    ids |= _people(channels, owner, name)
    ids |= _things(channels, owner, ids)
    return World(ids, key.secret)


def _people(channels: dict[str, Any], owner: Any, name: str) -> dict[str, str]:
    identity = channels["identity"]
    username = f"ann-{uuid.uuid4().hex[:8]}"
    user = user_service_pb2_grpc.UserServiceStub(identity).CreateUser(
        user_service_pb2.CreateUserRequest(
            user=user_pb2.User(
                kind=user_pb2.USER_KIND_MEMBER, username=username, primary_email=f"{username}@{name}.example"
            )
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    application = application_service_pb2_grpc.ApplicationServiceStub(identity).CreateApplication(
        application_service_pb2.CreateApplicationRequest(application=application_pb2.Application(name="robot")),
        metadata=owner,
        timeout=SECONDS,
    )
    project = project_service_pb2_grpc.ProjectServiceStub(identity).CreateProject(
        project_service_pb2.CreateProjectRequest(project=project_pb2.Project(name="attic")),
        metadata=owner,
        timeout=SECONDS,
    )
    return {
        "user": user.id,
        "principal": user.id,
        "username": user.username,
        "email": user.primary_email,
        "application": application.id,
        "project": project.id,
    }


def trusting(number: int) -> str:
    """Return a trust document that lets the owner of an organization act as a user."""
    owner = f"srn:soracom:OP{number:010d}::Operator:OP{number:010d}"
    return json.dumps({"statements": [{"effect": "allow", "principal": {"soracom": [owner]}}]})


def _things(channels: dict[str, Any], owner: Any, ids: dict[str, str]) -> dict[str, str]:
    user = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=ids["user"])
    credentials = channels["credentials"]
    key = owner_key(credentials, owner, ids["user"])
    session = session_service_pb2_grpc.SessionServiceStub(credentials).CreateSession(
        session_service_pb2.CreateSessionRequest(
            api_key=authentication_service_pb2.ApiKeyCredential(secret=key.secret)
        ),
        timeout=SECONDS,
    )
    client = oauth_client_service_pb2_grpc.OAuthClientServiceStub(credentials).CreateOAuthClient(
        oauth_client_service_pb2.CreateOAuthClientRequest(
            oauth_client=oauth_client_pb2.OAuthClient(name="c", bearer=user, grant_types=["client_credentials"])
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    ssh_key = ssh_key_service_pb2_grpc.SshKeyServiceStub(credentials).CreateSshKey(
        ssh_key_service_pb2.CreateSshKeyRequest(
            ssh_key=ssh_key_pb2.SshKey(public_key=PUBLIC_KEY, name="k", project_id=ids["project"])
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    federation = federation_service_pb2_grpc.FederationServiceStub(credentials).CreateFederation(
        federation_service_pb2.CreateFederationRequest(), metadata=owner, timeout=SECONDS
    )
    added = federation_service_pb2_grpc.FederationServiceStub(credentials).AddFederationCertificate(
        federation_service_pb2.AddFederationCertificateRequest(
            federation_id=federation.id, certificate=federation_pb2.FederationCertificate(content=certificate())
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    trust_policy_service_pb2_grpc.TrustPolicyServiceStub(credentials).SetTrustPolicy(
        trust_policy_service_pb2.SetTrustPolicyRequest(
            trust_policy=trust_policy_pb2.TrustPolicy(
                user_id=ids["user"], language="call_trust", document=trusting(int(ids["number"]))
            )
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    group = group_service_pb2_grpc.GroupServiceStub(channels["groups"]).CreateGroup(
        group_service_pb2.CreateGroupRequest(group=group_pb2.Group(name={"text": "crew"})),
        metadata=owner,
        timeout=SECONDS,
    )
    membership_service_pb2_grpc.MembershipServiceStub(channels["groups"]).AddMembers(
        membership_service_pb2.AddMembersRequest(
            container=membership_pb2.Container(group_id=group.id), principals=[user]
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    statement = statement_pb2.Statement(
        role_names=["IAMReadOnly"],
        boundary=boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id=ids["organization"]
        ),
    )
    policy = policy_service_pb2_grpc.PolicyServiceStub(channels["policy"]).CreatePolicy(
        policy_service_pb2.CreatePolicyRequest(
            policy=policy_pb2.Policy(
                name="p",
                language="role_rules",
                subject=subject_pb2.PolicySubject(user_id=ids["user"])
                if "user_id" in subject_pb2.PolicySubject.DESCRIPTOR.fields_by_name
                else subject_pb2.PolicySubject(principal=user),
                statements=[statement],
            )
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    role = role_service_pb2_grpc.RoleServiceStub(channels["policy"]).CreateRole(
        role_service_pb2.CreateRoleRequest(role=role_pb2.Role(handle="r", permissions=["identity.users.list"])),
        metadata=owner,
        timeout=SECONDS,
    )
    grant = grant_service_pb2_grpc.GrantServiceStub(channels["policy"]).CreateGrant(
        grant_service_pb2.CreateGrantRequest(
            grant=grant_pb2.Grant(subject=subject_pb2.PolicySubject(principal=user), role_id=role.id)
        ),
        metadata=owner,
        timeout=SECONDS,
    )
    inline = policy_service_pb2.SetInlinePolicyRequest(
        subject=subject_pb2.PolicySubject(principal=user), language="role_rules", statements=[statement]
    )
    policy_service_pb2_grpc.PolicyServiceStub(channels["policy"]).SetInlinePolicy(
        inline, metadata=owner, timeout=SECONDS
    )
    events = audit_service_pb2_grpc.AuditServiceStub(channels["audit"]).ListAuditEvents(
        audit_service_pb2.ListAuditEventsRequest(page_size=1), metadata=owner, timeout=SECONDS
    )
    return {
        "api_key": key.api_key.id,
        "access_id": key.api_key.access_id,
        "ssh_key": ssh_key.id,
        "federation": federation.id,
        "certificate": added.id,
        "session": session.session.id,
        "oauth_client": client.oauth_client.id,
        "client_id": client.oauth_client.client_id,
        "group": group.id,
        "policy": policy.id,
        "role": role.id,
        "grant": grant.grant.id,
        "audit_event": events.audit_events[0].id,
    }
