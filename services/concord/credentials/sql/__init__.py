"""The SQL store: one class made of a mixin for each family of tables."""

from concord.credentials.sql.api_keys import SqlApiKeys
from concord.credentials.sql.attempts import SqlAttempts
from concord.credentials.sql.clients import SqlClients
from concord.credentials.sql.federations import SqlFederations
from concord.credentials.sql.logins import SqlDoors
from concord.credentials.sql.mfa import SqlSecondFactors
from concord.credentials.sql.one_time_tokens import SqlOneTimeTokens
from concord.credentials.sql.passwords import SqlPasswords
from concord.credentials.sql.replicas import SqlReplicas
from concord.credentials.sql.sealed import SqlSealed
from concord.credentials.sql.sessions import SqlSessions
from concord.credentials.sql.signing_keys import SqlSigningKeys
from concord.credentials.sql.ssh_keys import SqlSshKeys
from concord.credentials.sql.tables import METADATA
from concord.credentials.sql.tokens import SqlTokens
from concord.credentials.sql.trust import SqlTrust

__all__ = ["METADATA", "SqlCredentialStore"]


class SqlCredentialStore(
    SqlApiKeys,
    SqlSessions,
    SqlPasswords,
    SqlClients,
    SqlReplicas,
    SqlDoors,
    SqlAttempts,
    SqlSecondFactors,
    SqlOneTimeTokens,
    SqlTokens,
    SqlSigningKeys,
    SqlSshKeys,
    SqlTrust,
    SqlFederations,
    SqlSealed,
):
    """Keeps the promises of `CredentialStore` over one unit's connection."""
