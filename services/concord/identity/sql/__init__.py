"""Identity's storage over the kernel's database: the only place here that knows SQLAlchemy."""

from concord.identity.sql.applications import SqlApplicationStore
from concord.identity.sql.connections import SqlConnectionStore
from concord.identity.sql.organizations import SqlDirectory, SqlOrganizationStore, SqlQuotaStore
from concord.identity.sql.projects import SqlProjectStore
from concord.identity.sql.tables import metadata
from concord.identity.sql.users import SqlUserStore
from concord.kernel.database import Connection

__all__ = ["SqlIdentityStore", "metadata"]


class SqlIdentityStore:
    """The store as one unit of work sees it: nothing but a connection and statements made once."""

    # Most units need one of the parts, so each is made where it is asked for.
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def directory(self) -> SqlDirectory:
        """Lookups across organizations."""
        return SqlDirectory(self._connection)

    @property
    def organizations(self) -> SqlOrganizationStore:
        """Organizations and their settings."""
        return SqlOrganizationStore(self._connection)

    @property
    def projects(self) -> SqlProjectStore:
        """Projects."""
        return SqlProjectStore(self._connection)

    @property
    def users(self) -> SqlUserStore:
        """Users."""
        return SqlUserStore(self._connection)

    @property
    def applications(self) -> SqlApplicationStore:
        """Applications."""
        return SqlApplicationStore(self._connection)

    @property
    def connections(self) -> SqlConnectionStore:
        """Connections of users."""
        return SqlConnectionStore(self._connection)

    @property
    def quotas(self) -> SqlQuotaStore:
        """Limits that were set."""
        return SqlQuotaStore(self._connection)
