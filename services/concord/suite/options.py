"""The options of the `concord` command: what each reads from the environment and says in its help."""

from pathlib import Path
from typing import Annotated

import typer

Roles = Annotated[
    list[str] | None, typer.Argument(help="identity, credentials, groups, policy, audit, gateway; all if none.")
]
DataDir = Annotated[Path, typer.Option(envvar="CONCORD_DATA_DIR", help="Where data, keys and bootstrap.json live.")]
Http = Annotated[str, typer.Option(envvar="CONCORD_HTTP", help="Address of the REST shim, host:port.")]
Grpc = Annotated[str, typer.Option(envvar="CONCORD_GRPC", help="Address of the gRPC services, host:port.")]
DatabaseUrl = Annotated[
    str, typer.Option(envvar="CONCORD_DATABASE_URL", help="PostgreSQL URL; without it, SQLite in the data directory.")
]
OrganizationName = Annotated[
    str, typer.Option(envvar="CONCORD_ORGANIZATION_NAME", help="Name of the first organization, where it is made.")
]
OwnerEmail = Annotated[str, typer.Option(envvar="CONCORD_OWNER_EMAIL", help="Address of its owner, where it is made.")]
TlsCert = Annotated[Path | None, typer.Option(envvar="CONCORD_TLS_CERT", help="Certificate of the listeners, PEM.")]
TlsKey = Annotated[Path | None, typer.Option(envvar="CONCORD_TLS_KEY", help="Its private key, PEM.")]
ClientCa = Annotated[
    Path | None, typer.Option(envvar="CONCORD_CLIENT_CA", help="Ask clients for certificates of this authority, PEM.")
]
SiblingCa = Annotated[
    Path | None, typer.Option(envvar="CONCORD_SIBLING_CA", help="Authority of the siblings' certificates, PEM.")
]
Port = Annotated[int | None, typer.Option(help="Shorthand for the shim's port; 0 asks for free ports everywhere.")]
Ephemeral = Annotated[
    bool,
    typer.Option(
        "--ephemeral", envvar="CONCORD_EPHEMERAL", help="Keep everything in a directory that dies with the process."
    ),
]
InsecureListen = Annotated[
    bool,
    typer.Option(
        "--insecure-listen", envvar="CONCORD_INSECURE_LISTEN", help="Allow plain text on other than loopback addresses."
    ),
]
TrustedProxies = Annotated[
    str,
    typer.Option(
        envvar="CONCORD_TRUSTED_PROXIES", help="Networks whose forwarding headers are believed, comma-separated."
    ),
]
DrainSeconds = Annotated[
    float, typer.Option(envvar="CONCORD_DRAIN_SECONDS", help="How long running calls may take to finish.")
]
LogLevel = Annotated[str, typer.Option(envvar="CONCORD_LOG_LEVEL")]
LogFormat = Annotated[str, typer.Option(envvar="CONCORD_LOG_FORMAT", help="console or json.")]
