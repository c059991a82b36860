"""Identity's storage over the kernel's database: the only place here that knows SQLAlchemy."""

from concord.identity.sql.applications import SqlApplicationStore
from concord.identity.sql.organizations import SqlDirectory, SqlOrganizationStore, SqlQuotaStore
from concord.identity.sql.projects import SqlProjectStore
from concord.identity.sql.tables import metadata
from concord.identity.sql.users import SqlUserStore
from concord.kernel.database import Connection

__all__ = ["SqlIdentityStore", "metadata"]


class SqlIdentityStore:
    """The store as one unit of work sees it: nothing but a connection and statements made once."""

    def __init__(self, connection: Connection) -> None:
        self.directory = SqlDirectory(connection)
        self.organizations = SqlOrganizationStore(connection)
        self.projects = SqlProjectStore(connection)
        self.users = SqlUserStore(connection)
        self.applications = SqlApplicationStore(connection)
        self.quotas = SqlQuotaStore(connection)
