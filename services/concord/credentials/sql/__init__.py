"""The SQL store: one class made of a mixin for each family of tables."""

from concord.credentials.sql.api_keys import SqlApiKeys
from concord.credentials.sql.clients import SqlClients
from concord.credentials.sql.passwords import SqlPasswords
from concord.credentials.sql.replicas import SqlReplicas
from concord.credentials.sql.sessions import SqlSessions
from concord.credentials.sql.tables import METADATA

__all__ = ["METADATA", "SqlCredentialStore"]


class SqlCredentialStore(SqlApiKeys, SqlSessions, SqlPasswords, SqlClients, SqlReplicas):
    """Keeps the promises of `CredentialStore` over one unit's connection."""
