"""Scaleway IAM v1alpha1, as its clients know it."""

from concord.gateway.dialects.scaleway.auth import HEADER, SECURITY_SCHEMES, credential
from concord.gateway.dialects.scaleway.errors import HEADERS, REFUSAL_SHAPES, refuse
from concord.gateway.dialects.scaleway.routes import BASE, ROUTES, TAGS
from concord.gateway.route import Dialect

# Records inside others are written with a dot.
_NESTED = {
    "Permission": "CheckPermissionsRequest.Permission",
    "CheckResponse": "CheckPermissionsResponse.Response",
    "QuotumLimit": "Quotum.Limit",
    "ConnectedOrganization": "Connection.Organization",
    "ConnectedUser": "Connection.User",
    "Member": "CreateUserRequest.Member",
    "ServiceProvider": "Saml.ServiceProvider",
}

_PRINCIPAL = ("user_id", "group_id", "application_id", "no_principal")
_CHOICES = {
    "CreateAPIKeyRequest": (("application_id", "user_id"), True),
    "CreatePolicyRequest": (_PRINCIPAL, False),
    "CreateUserRequest": (("email", "member"), True),
    "GroupMemberRequest": (("user_id", "application_id"), True),
    "Permission": (("project_id", "organization_id"), True),
    "RuleSpecs": (("project_ids", "organization_id"), True),
    "UpdatePolicyRequest": (_PRINCIPAL, False),
}


def _schema_name(name: str) -> str:
    return f"scaleway.iam.v1alpha1.{_NESTED.get(name, name)}"


DIALECT = Dialect(
    name="scaleway",
    title="IAM API",
    version="v1alpha1",
    description="Users, applications, groups, API keys and policies of an Organization, in the shapes of Scaleway IAM.",
    prefixes=(BASE,),
    tags=TAGS,
    routes=ROUTES,
    credential=credential,
    credential_headers=(HEADER,),
    refuse=refuse,
    success_headers=HEADERS,
    security_schemes=SECURITY_SCHEMES,
    refusal_shapes=REFUSAL_SHAPES,
    schema_name=_schema_name,
    choices=_CHOICES,
)
