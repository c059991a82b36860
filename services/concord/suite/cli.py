"""The `concord` command. Heavy imports happen inside the commands that need them."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from concord.kernel.config import (
    DEFAULT_GRPC,
    DEFAULT_HTTP,
    DEFAULT_PORTS,
    GATEWAY,
    ROLES,
    SERVICES,
    Address,
    BadSetting,
    Settings,
    Tls,
    siblings_from,
)
from concord.kernel.secret import Secret
from concord.suite.options import (
    ClientCa,
    DatabaseUrl,
    DataDir,
    DrainSeconds,
    Ephemeral,
    Grpc,
    Http,
    InsecureListen,
    LogFormat,
    LogLevel,
    OrganizationName,
    OwnerEmail,
    Port,
    Roles,
    SiblingCa,
    TlsCert,
    TlsKey,
    TrustedProxies,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)

DEFAULT_ORGANIZATION = "demo"
DEFAULT_OWNER = "owner@demo.example"
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
keys_app = typer.Typer(no_args_is_help=True, help="The deployment's own keys.")
app.add_typer(keys_app, name="keys")
LOG_FORMATS = ("console", "json")


def _fail(error: Exception) -> typer.Exit:
    typer.echo(f"concord: {error}", err=True)
    return typer.Exit(2)


@app.command()
def serve(
    roles: Roles = None,
    data_dir: DataDir = Path(".concord"),
    http: Http = "",
    grpc: Grpc = "",
    port: Port = None,
    database_url: DatabaseUrl = "",
    ephemeral: Ephemeral = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    client_ca: ClientCa = None,
    sibling_ca: SiblingCa = None,
    insecure_listen: InsecureListen = False,
    trusted_proxies: TrustedProxies = "",
    drain_seconds: DrainSeconds = 10.0,
    organization_name: OrganizationName = DEFAULT_ORGANIZATION,
    owner_email: OwnerEmail = DEFAULT_OWNER,
    log_level: LogLevel = "info",
    log_format: LogFormat = "console",
) -> None:
    """Serve the whole suite, or the named roles of it.

    When it is ready it prints one line of JSON: where it listens and where bootstrap.json is.
    """
    chosen = tuple(roles) if roles else ROLES
    directory = Path(tempfile.mkdtemp(prefix="concord-")) if ephemeral else data_dir
    try:
        _check_choices(chosen, tls_cert, tls_key, log_level, log_format)
        settings = Settings(
            siblings=siblings_from(),
            data_dir=directory,
            roles=chosen,
            http=Address.parse(http or _default_http(port), "--http"),
            grpc=Address.parse(grpc or _default_grpc(chosen, port), "--grpc"),
            database_url=Secret(database_url) if database_url else None,
            ephemeral=ephemeral,
            tls=Tls(tls_cert, tls_key, client_ca) if tls_cert and tls_key else None,
            insecure_listen=insecure_listen,
            trusted_proxies=tuple(p.strip() for p in trusted_proxies.split(",") if p.strip()),
            sibling_authority=sibling_ca,
            drain_seconds=drain_seconds,
            organization_name=organization_name,
            owner_email=owner_email,
            log_level=log_level,
            log_format=log_format,
            environment=os.environ,
        )
        from concord.suite.serve import run

        run(settings)
    except BadSetting as error:
        raise _fail(error) from None
    finally:
        if ephemeral:
            shutil.rmtree(directory, ignore_errors=True)


def _check_choices(
    roles: tuple[str, ...], tls_cert: Path | None, tls_key: Path | None, log_level: str, log_format: str
) -> None:
    for role in roles:
        if role not in ROLES:
            raise BadSetting(f"`{role}` is not one of {', '.join(ROLES)}")
    if (tls_cert is None) != (tls_key is None):
        raise BadSetting("--tls-cert and --tls-key go together")
    if log_level.lower() not in LOG_LEVELS:
        raise BadSetting(f"--log-level: `{log_level}` is not one of {', '.join(LOG_LEVELS)}")
    if log_format not in LOG_FORMATS:
        raise BadSetting(f"--log-format: `{log_format}` is not one of {', '.join(LOG_FORMATS)}")


def _default_http(port: int | None) -> str:
    return DEFAULT_HTTP if port is None else f"127.0.0.1:{port}"


def _default_grpc(roles: tuple[str, ...], port: int | None) -> str:
    if port == 0:
        return "127.0.0.1:0"
    if len(roles) == 1 and roles[0] != GATEWAY:
        return f"127.0.0.1:{DEFAULT_PORTS[roles[0]]}"
    return DEFAULT_GRPC


@app.command()
def init(
    data_dir: DataDir = Path(".concord"),
    http: Http = DEFAULT_HTTP,
    grpc: Annotated[str, typer.Option(help="Where all services answer, if one process serves them, host:port.")] = "",
    new_owner_credentials: Annotated[
        bool,
        typer.Option("--new-owner-credentials", help="Give the owner a new password and new keys; old keys stay good."),
    ] = False,
    organization_name: OrganizationName = DEFAULT_ORGANIZATION,
    owner_email: OwnerEmail = DEFAULT_OWNER,
    sibling_ca: SiblingCa = None,
) -> None:
    """Make the first organization in services that run already, and write bootstrap.json.

    Services are found at --grpc, by CONCORD_<SERVICE>_ADDRESS, or at the default ports.
    """
    from concord.suite.serve import initialize

    try:
        address = Address.parse(grpc or DEFAULT_GRPC, "--grpc")
        settings = Settings(
            data_dir=data_dir,
            http=Address.parse(http, "--http"),
            grpc=address,
            roles=(),
            organization_name=organization_name,
            owner_email=owner_email,
            siblings=dict.fromkeys(SERVICES, address) if grpc else siblings_from(),
            sibling_authority=sibling_ca,
        )
        asyncio.run(initialize(settings, renew=new_owner_credentials))
    except BadSetting as error:
        raise _fail(error) from None
    typer.echo(f"wrote {data_dir / 'bootstrap.json'}")


@app.command()
def openapi(dialect: Annotated[str, typer.Argument(help="scaleway")]) -> None:
    """Print the OpenAPI document that the shim publishes for a dialect."""
    from concord.gateway.app import DIALECTS
    from concord.gateway.openapi import document

    found = {each.name: each for each in DIALECTS}.get(dialect)
    if found is None:
        raise _fail(BadSetting(f"no dialect `{dialect}`"))
    json.dump(document(found), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


@app.command()
def catalogue(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 where they differ.")] = False,
) -> None:
    """Write the operations catalogue of each dialect from its route table."""
    from concord.suite.catalogue import stale, write

    if check:
        if names := stale():
            raise _fail(BadSetting(f"run `make catalogue`: {', '.join(names)} differs from the route table"))
        return
    for path in write():
        typer.echo(f"wrote {path}")


@app.command("check")
def check_permission(
    permission: Annotated[str, typer.Argument(help="The permission, `service.resource.verb`.")],
    subject: Annotated[str, typer.Option(help="`user:ID`, `application:ID` or `device:ID`; default: the caller.")] = "",
    project: Annotated[str, typer.Option(help="Ask within this project; default: the organization.")] = "",
    data_dir: DataDir = Path(".concord"),
    grpc: Grpc = "",
    sibling_ca: SiblingCa = None,
) -> None:
    """Ask the decision point; exit 0 when allowed, 1 when not.

    The caller is the bearer of CONCORD_TOKEN (an API key's secret or an access token), or the owner of bootstrap.json.
    """
    from concord.suite.ask import check

    allowed, why = _ask(check, permission, subject, project, data_dir, grpc, sibling_ca)
    typer.echo(("allow" if allowed else "deny") + (f"  ({', '.join(why)})" if why else ""))
    raise typer.Exit(0 if allowed else 1)


@app.command("explain")
def explain_permission(
    permission: Annotated[str, typer.Argument(help="The permission, `service.resource.verb`.")],
    subject: Annotated[str, typer.Option(help="`user:ID`, `application:ID` or `device:ID`; default: the caller.")] = "",
    project: Annotated[str, typer.Option(help="Ask within this project; default: the organization.")] = "",
    data_dir: DataDir = Path(".concord"),
    grpc: Grpc = "",
    sibling_ca: SiblingCa = None,
) -> None:
    """Ask the decision point why, and what would change the answer; exit 0 when allowed, 1 when not.

    The caller is who it is for `concord check`.
    """
    from concord.suite.ask import explain

    allowed, lines = _ask(explain, permission, subject, project, data_dir, grpc, sibling_ca)
    typer.echo("\n".join(("allow" if allowed else "deny", *lines)))
    raise typer.Exit(0 if allowed else 1)


def _ask(
    asking: Callable[[str, Secret, str, str, str, Path | None], Coroutine[Any, Any, tuple[bool, tuple[str, ...]]]],
    permission: str,
    subject: str,
    project: str,
    data_dir: Path,
    grpc: str,
    sibling_ca: Path | None,
) -> tuple[bool, tuple[str, ...]]:
    """Ask as the bearer of CONCORD_TOKEN, or as the owner of bootstrap.json."""
    bootstrap = data_dir / "bootstrap.json"
    known = json.loads(bootstrap.read_text()) if bootstrap.exists() else {}
    token = os.environ.get("CONCORD_TOKEN") or known.get("native", {}).get("access_token", "")
    address = grpc or known.get("grpc", "") or DEFAULT_GRPC
    if not token:
        raise _fail(BadSetting("set CONCORD_TOKEN, or name the data directory that holds bootstrap.json"))
    try:
        return asyncio.run(asking(address, Secret(token), permission, subject, project, sibling_ca))
    except BadSetting as error:
        raise _fail(error) from None


@keys_app.command("list")
def list_keys(data_dir: DataDir = Path(".concord")) -> None:
    """List the keys of a data directory: kind, id, when it was made, whether it is the newest. No key is shown."""
    from concord.kernel.keyring import Keyring

    for each in Keyring(data_dir / "keys", os.environ).listed():
        made = each.made.isoformat(timespec="seconds") if each.made is not None else "-"
        typer.echo(f"{each.kind:<20} {each.id or '-':<10} {made}  {'newest' if each.newest else 'older'}")


@keys_app.command("rotate")
def rotate_keys(
    data_dir: DataDir = Path(".concord"),
    kind: Annotated[str, typer.Option(help="`sealing` or `passports`; both when not given.")] = "",
) -> None:
    """Make a new key for sealing and one for passports. A suite that runs takes them up by itself, without a restart.

    What is sealed gets a new seal in the background; an older key goes when nothing needs it any more. Secrets that
    are kept as hashes stay under the key they were hashed with.
    """
    from concord.kernel.keyring import KeyFault, Keyring

    if kind not in ("", "sealing", "passports"):
        raise _fail(BadSetting("--kind must be `sealing` or `passports`"))
    if not data_dir.is_dir():
        raise _fail(BadSetting(f"{data_dir} is no data directory"))
    ring = Keyring(data_dir / "keys", os.environ)
    makers = {"sealing": ring.rotate_sealing_key, "passports": ring.rotate_passport_key}
    try:
        for name, make in makers.items():
            if kind in ("", name):
                typer.echo(f"{name} {make()}")
    except KeyFault as error:
        raise _fail(error) from None


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
