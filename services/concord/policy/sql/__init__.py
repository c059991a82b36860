"""The SQL implementation of the store. Nothing outside this folder and the migrations sees SQLAlchemy."""

from concord.policy.sql.grants import SqlGrants
from concord.policy.sql.replicas import SqlReplicas
from concord.policy.sql.rights import SqlRights
from concord.policy.sql.tables import METADATA

__all__ = ["METADATA", "SqlPolicyStore"]


class SqlPolicyStore(SqlGrants, SqlRights, SqlReplicas):
    """Keeps everything of the policy service in one database, bound to one unit's connection."""
