"""The organization: quotas, logs, itself, and what its principals may do."""

from typing import Final

from concord.gateway.dialects.scaleway import check_permissions, logs, organizations, quota
from concord.gateway.dialects.scaleway.fields import UUID_PATH
from concord.gateway.dialects.scaleway.routes.common import BASE, READ, one
from concord.gateway.route import Route
from concord.gateway.shapes import Body, Query

OTHER_ROUTES: Final = (
    Route(
        method="GET",
        path=f"{BASE}/quota",
        operation="ListQuota",
        summary="List the quotas of an Organization",
        tag="Quotas",
        permission="policy.quotas.list",
        covers=one("concord.policy.v1.QuotaService/ListQuotas"),
        handler=quota.list_quota,
        path_shapes={},
        query=Query(quota.ListQuotaQuery),
        answer=quota.ListQuotaResponse,
        refusals=READ,
    ),
    Route(
        method="GET",
        path=f"{BASE}/quota/{{quotum_name}}",
        operation="GetQuotum",
        summary="Get one quota",
        tag="Quotas",
        permission="policy.quotas.get",
        covers=one("concord.policy.v1.QuotaService/GetQuota"),
        handler=quota.get_quotum,
        path_shapes={"quotum_name": quota.NAME_PATH},
        query=Query(quota.GetQuotumQuery),
        answer=quota.Quotum,
        refusals=READ,
    ),
    Route(
        method="GET",
        path=f"{BASE}/logs",
        operation="ListLogs",
        summary="List log entries",
        tag="Logs",
        permission="audit.events.list",
        covers=one("concord.audit.v1.AuditService/ListAuditEvents"),
        handler=logs.list_logs,
        path_shapes={},
        query=Query(logs.ListLogsQuery),
        answer=logs.ListLogsResponse,
        refusals=READ,
    ),
    Route(
        method="GET",
        path=f"{BASE}/logs/{{log_id}}",
        operation="GetLog",
        summary="Get one log entry",
        tag="Logs",
        permission="audit.events.get",
        covers=one("concord.audit.v1.AuditService/GetAuditEvent"),
        handler=logs.get_log,
        path_shapes={"log_id": UUID_PATH},
        answer=logs.Log,
        refusals=READ,
    ),
    Route(
        method="GET",
        path=f"{BASE}/organizations/{{organization_id}}",
        operation="GetOrganization",
        summary="Get the Organization",
        tag="Organization",
        permission="identity.organizations.get",
        covers=one("concord.identity.v1.OrganizationService/GetOrganization"),
        handler=organizations.get_organization,
        path_shapes={"organization_id": UUID_PATH},
        answer=organizations.Organization,
        refusals=READ,
    ),
    Route(
        method="POST",
        path=f"{BASE}/check-permissions",
        operation="CheckPermissions",
        summary="Ask what the caller may do",
        tag="Organization",
        permission="policy.own_decisions.check",
        covers=one("concord.policy.v1.DecisionService/BatchCheck"),
        handler=check_permissions.check_permissions,
        path_shapes={},
        body=Body(check_permissions.CheckPermissionsRequest),
        answer=check_permissions.CheckPermissionsResponse,
        refusals=READ,
    ),
)
