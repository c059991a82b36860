"""Builds the policy service: database, store, consumers, decision point, servicers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from concord.common.v1.authorization_service_pb2_grpc import add_AuthorizationServiceServicer_to_server
from concord.common.v1.trust_service_pb2_grpc import add_TrustServiceServicer_to_server
from concord.kernel.service import Platform, Service
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.authorize import DirectAuthorizer
from concord.policy.checks import Checks, PermissionLists
from concord.policy.consume import apply_credentials, apply_groups, apply_identity
from concord.policy.explaining import Explaining
from concord.policy.handlers import (
    AuthorizationHandlers,
    DecisionHandlers,
    ExplanationHandlers,
    GrantHandlers,
    PolicyHandlers,
    QuotaHandlers,
    RoleHandlers,
)
from concord.policy.handlers.rights import RightsSnapshotHandlers
from concord.policy.handlers.trust import TrustHandlers
from concord.policy.programs import Programs
from concord.policy.rights_sweeping import RightsSweeper
from concord.policy.sql import METADATA, SqlPolicyStore
from concord.policy.store import PolicyStore
from concord.policy.v1.decision_service_pb2_grpc import add_DecisionServiceServicer_to_server
from concord.policy.v1.grant_service_pb2_grpc import add_GrantServiceServicer_to_server
from concord.policy.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from concord.policy.v1.quota_service_pb2_grpc import add_QuotaServiceServicer_to_server
from concord.policy.v1.rights_snapshot_service_pb2_grpc import add_RightsSnapshotServiceServicer_to_server
from concord.policy.v1.role_service_pb2_grpc import add_RoleServiceServicer_to_server

SERVICE: Final = "policy"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, kw_only=True)
class PolicyService(Service):
    """The service, with its decision point as a plain function for the process that hosts it."""

    authorizer: DirectAuthorizer


async def build(platform: Platform) -> PolicyService:
    """Build the service for the process that hosts it."""
    units: Units[PolicyStore] = await platform.open_units(SERVICE, METADATA, MIGRATIONS, SqlPolicyStore, wire.snapshot)
    identity = platform.consumer(SERVICE, "identity", units, apply_identity)
    groups = platform.consumer(SERVICE, "groups", units, apply_groups)
    credentials = platform.consumer(SERVICE, "credentials", units, apply_credentials)
    programs = Programs(units)
    authorizer = DirectAuthorizer(units, programs, platform.clock, identity.catch_up)
    checks = Checks(units, programs, platform.clock, identity.catch_up)
    explanations = ExplanationHandlers(Explaining(units, checks, programs, platform.clock), authorizer)
    lists = PermissionLists(checks, programs, platform.clock)
    return PolicyService(
        name=SERVICE,
        servicers=[
            (add_AuthorizationServiceServicer_to_server, AuthorizationHandlers(authorizer)),
            (add_DecisionServiceServicer_to_server, DecisionHandlers(units, checks, lists, explanations, authorizer)),
            (add_GrantServiceServicer_to_server, GrantHandlers(units)),
            (add_PolicyServiceServicer_to_server, PolicyHandlers(units)),
            (add_QuotaServiceServicer_to_server, QuotaHandlers(units)),
            (add_RightsSnapshotServiceServicer_to_server, RightsSnapshotHandlers(units)),
            (add_RoleServiceServicer_to_server, RoleHandlers(units)),
            (add_TrustServiceServicer_to_server, TrustHandlers()),
        ],
        units=units,
        consumers=[identity, groups, credentials],
        background=[RightsSweeper(units, platform.clock, credentials.catch_up).run],
        authorizer=authorizer,
    )
