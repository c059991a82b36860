"""The table of paths. Each entry names its operation, the core permission it stands for and the rpcs it uses."""

from typing import Final

from concord.gateway.dialects.scaleway.routes.access import API_KEY_ROUTES, POLICY_ROUTES
from concord.gateway.dialects.scaleway.routes.common import BASE as BASE
from concord.gateway.dialects.scaleway.routes.connections import CONNECTION_ROUTES
from concord.gateway.dialects.scaleway.routes.credentials import JWT_ROUTES, SSH_KEY_ROUTES
from concord.gateway.dialects.scaleway.routes.groups import GROUP_ROUTES
from concord.gateway.dialects.scaleway.routes.logins import LOGIN_ROUTES
from concord.gateway.dialects.scaleway.routes.organization import OTHER_ROUTES
from concord.gateway.dialects.scaleway.routes.principals import APPLICATION_ROUTES, USER_ROUTES
from concord.gateway.dialects.scaleway.routes.security import SAML_ROUTES, SECURITY_ROUTES

TAGS: Final = (
    ("SSH Keys", "Public keys that the machines of a Project let in."),
    ("Groups", "Sets of users and applications that policies are attached to."),
    ("API Keys", "An access key and a secret key that authenticate one user or application."),
    ("Users", "The people of an Organization: its owner, members and guests."),
    ("Applications", "Programs with an identity of their own."),
    ("Policies", "Rules attached to one principal."),
    ("Rules", "What a policy grants, where, and on which condition."),
    ("Permission sets", "Supplied sets of permissions that rules name."),
    ("Quotas", "How many things of a kind an Organization may have."),
    ("JWTs", "Logins that last for a while."),
    ("Logs", "Who created, changed or deleted what."),
    ("SAML", "Login through an identity provider of the Organization's own."),
    ("Security Settings", "What the Organization demands of passwords, logins and API keys."),
    ("Organization", "The Organization itself, and what its principals may do."),
)

ROUTES: Final = (
    *APPLICATION_ROUTES,
    *USER_ROUTES,
    *GROUP_ROUTES,
    *API_KEY_ROUTES,
    *POLICY_ROUTES,
    *SSH_KEY_ROUTES,
    *JWT_ROUTES,
    *LOGIN_ROUTES,
    *CONNECTION_ROUTES,
    *SECURITY_ROUTES,
    *SAML_ROUTES,
    *OTHER_ROUTES,
)
