"""The SQL store of groups: keeps the promises of `store.py` on SQLite and PostgreSQL."""

from concord.groups.sql.groups import SqlGroups
from concord.groups.sql.memberships import SqlMemberships
from concord.groups.sql.replicas import SqlReplicas
from concord.groups.sql.tables import metadata

__all__ = ["SqlStore", "metadata"]


class SqlStore(SqlGroups, SqlMemberships, SqlReplicas):
    """Groups, memberships and replicas over one connection."""
