"""The core as a dialect sees it: one stub for each service it may call."""

from collections.abc import Callable

import grpc.aio

from concord.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from concord.credentials.v1.api_key_service_pb2_grpc import ApiKeyServiceStub
from concord.credentials.v1.authentication_service_pb2_grpc import AuthenticationServiceStub
from concord.credentials.v1.federation_service_pb2_grpc import FederationServiceStub
from concord.credentials.v1.mfa_service_pb2_grpc import MfaServiceStub
from concord.credentials.v1.oauth_service_pb2_grpc import OAuthServiceStub
from concord.credentials.v1.password_service_pb2_grpc import PasswordServiceStub
from concord.credentials.v1.session_service_pb2_grpc import SessionServiceStub
from concord.credentials.v1.ssh_key_service_pb2_grpc import SshKeyServiceStub
from concord.groups.v1.group_service_pb2_grpc import GroupServiceStub
from concord.groups.v1.membership_service_pb2_grpc import MembershipServiceStub
from concord.identity.v1.application_service_pb2_grpc import ApplicationServiceStub
from concord.identity.v1.connection_service_pb2_grpc import ConnectionServiceStub
from concord.identity.v1.organization_service_pb2_grpc import OrganizationServiceStub
from concord.identity.v1.user_service_pb2_grpc import UserServiceStub
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceStub
from concord.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from concord.policy.v1.quota_service_pb2_grpc import QuotaServiceStub
from concord.policy.v1.role_service_pb2_grpc import RoleServiceStub

Channels = Callable[[str], grpc.aio.Channel]


class Upstream:
    """Stubs over channels that the composition gives: in process or over the network, nothing here can tell."""

    def __init__(self, channel: Channels) -> None:
        identity, credentials = channel("identity"), channel("credentials")
        groups, policy, audit = channel("groups"), channel("policy"), channel("audit")
        self.organizations = OrganizationServiceStub(identity)
        self.users = UserServiceStub(identity)
        self.applications = ApplicationServiceStub(identity)
        self.connections = ConnectionServiceStub(identity)
        self.authentication = AuthenticationServiceStub(credentials)
        self.api_keys = ApiKeyServiceStub(credentials)
        self.passwords = PasswordServiceStub(credentials)
        self.mfa = MfaServiceStub(credentials)
        self.sessions = SessionServiceStub(credentials)
        self.ssh_keys = SshKeyServiceStub(credentials)
        self.federations = FederationServiceStub(credentials)
        self.oauth = OAuthServiceStub(credentials)
        self.groups = GroupServiceStub(groups)
        self.memberships = MembershipServiceStub(groups)
        self.policies = PolicyServiceStub(policy)
        self.roles = RoleServiceStub(policy)
        self.quotas = QuotaServiceStub(policy)
        self.decisions = DecisionServiceStub(policy)
        self.audit = AuditServiceStub(audit)
