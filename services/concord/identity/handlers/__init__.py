"""Identity's servicers: unpack, call, pack. Everything else about a call is in the chain before them."""

from concord.identity.handlers.applications import ApplicationServicer
from concord.identity.handlers.connections import ConnectionServicer
from concord.identity.handlers.organizations import OrganizationServicer
from concord.identity.handlers.projects import ProjectServicer
from concord.identity.handlers.users import UserServicer

__all__ = ["ApplicationServicer", "ConnectionServicer", "OrganizationServicer", "ProjectServicer", "UserServicer"]
