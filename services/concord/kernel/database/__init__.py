"""Storage: one facade over SQLite and PostgreSQL. Only `sql.py` modules and migrations see SQLAlchemy."""

from pathlib import Path

from sqlalchemy import MetaData

from concord.kernel.database.contract import (
    Connection,
    Database,
    DatabaseFault,
    DatabaseSettings,
    Key,
    MoreThanALook,
    OutboxRow,
    Result,
    Row,
    UniqueViolation,
    Written,
)

__all__ = [
    "Connection",
    "Database",
    "DatabaseFault",
    "DatabaseSettings",
    "Key",
    "MoreThanALook",
    "OutboxRow",
    "Result",
    "Row",
    "UniqueViolation",
    "Written",
    "open_database",
]


async def open_database(
    settings: DatabaseSettings, service: str, metadata: MetaData, migrations: Path | None
) -> Database:
    """Open a service's database, bringing its schema up to date first.

    `migrations` is the service's folder with `versions/*.py` in it. None makes the tables of
    `metadata` as they are: for tests of things that have no history.
    """
    if settings.url is None:
        from concord.kernel.database.sqlite import open_sqlite

        return await open_sqlite(settings, service, metadata, migrations)
    if not settings.url.reveal().startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        # The value may be nothing but a misplaced password: it is not repeated.
        raise ValueError("the database URL must start with postgresql://")
    # Lazy: the driver takes 0.1 s to import and embedded suites never need it.
    from concord.kernel.database.postgres import open_postgres

    return await open_postgres(settings, service, metadata, migrations)
