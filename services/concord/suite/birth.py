"""The first organization, and its owner's credentials in every dialect.

All of it happens through the ordinary rpcs, as the system principal. Each step has a fixed
`request_id`, so that a birth that was killed half way is finished by the next start and never
made twice. Secrets are written once, to `bootstrap.json` (mode 600). Once that has happened the file is its
reader's: one that is gone is not made again, since that would take the owner's password away, unless asked for.
"""

import json
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf import duration_pb2

from concord.common.v1 import principal_pb2
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    authentication_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_client_service_pb2_grpc,
    password_service_pb2,
    password_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
)
from concord.identity.v1 import (
    organization_pb2,
    organization_service_pb2,
    organization_service_pb2_grpc,
    user_pb2,
)
from concord.kernel import ids
from concord.kernel.config import Settings
from concord.kernel.errors import Invalid, Reason, Unauthenticated
from concord.kernel.rpc.status import from_rpc_error

CATALOGUES = ("scaleway",)
# How long the native access token of bootstrap.json lives; it is made anew at each start.
NATIVE_TOKEN_SECONDS = 30 * 24 * 3600
RPC_SECONDS = 30.0

UPPER_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LETTERS_AND_DIGITS = UPPER_AND_DIGITS + "abcdefghijklmnopqrstuvwxyz"

# The looks of an owner's keys; the core draws the random parts.
NATIVE_KEY = api_key_pb2.KeyFormat(access_id_prefix="key-", secret_prefix="cnc_")  # noqa: S106 (a look, no secret)
SOME_KEY_FORMATS: dict[str, tuple[api_key_pb2.KeyFormat, bool]] = {
    "native": (NATIVE_KEY, False),
    "soracom": (
        api_key_pb2.KeyFormat(
            access_id_prefix="keyId-",
            access_id_alphabet=LETTERS_AND_DIGITS,
            access_id_length=40,
            secret_prefix="secret-",  # noqa: S106 (a look, no secret)
            secret_alphabet=LETTERS_AND_DIGITS,
            secret_length=60,
        ),
        False,
    ),
    "ntt": (
        api_key_pb2.KeyFormat(
            access_id_alphabet=LETTERS_AND_DIGITS,
            access_id_length=32,
            secret_alphabet=LETTERS_AND_DIGITS,
            secret_length=16,
        ),
        True,
    ),
    "scaleway": (
        api_key_pb2.KeyFormat(
            access_id_prefix="SCW", access_id_alphabet=UPPER_AND_DIGITS, access_id_length=17, secret_is_uuid=True
        ),
        False,
    ),
}

_log = logging.getLogger("concord.suite")

Channel = Callable[[str], grpc.aio.Channel]
SystemToken = Callable[[str], str]


def bootstrap_file(settings: Settings) -> Path:
    """Return where the owner's credentials are written."""
    return settings.data_dir / "bootstrap.json"


def read(settings: Settings) -> dict[str, Any] | None:
    """Return what an earlier birth wrote, or None."""
    try:
        content: dict[str, Any] = json.loads(bootstrap_file(settings).read_text())
    except FileNotFoundError:
        return None
    return content


def write(settings: Settings, content: dict[str, Any]) -> None:
    """Write bootstrap.json."""
    _write_private(bootstrap_file(settings), content)


def _write_private(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class _Record:
    """What a birth must remember between starts: the organization, an attempt at secrets, whether one was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            content = {}
        self.organization: dict[str, Any] | None = content.get("organization")
        self.series: dict[str, str] | None = content.get("series")
        self.written: bool = content.get("written", False)

    def keep(self, **values: Any) -> None:
        """Change what is remembered, durably."""
        for name, value in values.items():
            setattr(self, name, value)
        _write_private(self._path, {"organization": self.organization, "series": self.series, "written": self.written})


def _facts(organization: organization_pb2.Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "name": organization.name,
        "number": organization.number,
        "slug": organization.slug,
        "owner_user_id": organization.owner_user_id,
    }


class Birth:
    """Makes the first organization and its owner's credentials, each step at most once."""

    def __init__(self, settings: Settings, channel: Channel, system_token: SystemToken) -> None:
        self._settings = settings
        self._token = system_token
        self._organizations = organization_service_pb2_grpc.OrganizationServiceStub(channel("identity"))
        credentials = channel("credentials")
        self._keys = api_key_service_pb2_grpc.ApiKeyServiceStub(credentials)
        self._passwords = password_service_pb2_grpc.PasswordServiceStub(credentials)
        self._clients = oauth_client_service_pb2_grpc.OAuthClientServiceStub(credentials)
        self._sessions = session_service_pb2_grpc.SessionServiceStub(credentials)

    async def run(self, http: str, grpc_address: str, *, renew: bool = False) -> dict[str, Any]:
        """Return the content of bootstrap.json, having made what was missing and written the file.

        Empty where it was written before and has been taken away. With `renew`, the owner gets new credentials
        whether it is there or not: other keys and clients beside the old ones, and a password in place of the old.
        """
        known = read(self._settings)
        if known is None or renew:
            record = _Record(self._settings.data_dir / "birth.json")
            if record.written and not renew:
                _log.info("bootstrap.json was taken away; `concord init --new-owner-credentials` makes a new one")
                return {}
            known = await self._born(record)
        content = {"http": http, "grpc": grpc_address, **{k: v for k, v in known.items() if k not in ("http", "grpc")}}
        native = content.get("native", {})
        try:
            native["access_token"] = await self._access_token(native.get("api_key", ""))
        except grpc.aio.AioRpcError as error:
            # The owner may have deleted the key: what was handed out once is no condition of starting.
            failure = from_rpc_error(error)
            if not isinstance(failure, Unauthenticated | Invalid):
                raise
            _log.info("bootstrap.json keeps its old access token: %s", failure.message)
        write(self._settings, content)
        return content

    async def _born(self, record: _Record) -> dict[str, Any]:
        if record.organization is None:
            record.keep(organization=_facts(await self._organization()))
        # A series is one attempt at making secrets. It is kept until bootstrap.json is written, so that a
        # killed birth asks again under the same request ids and is told the same secrets; once these are
        # no longer told, a new series makes new ones.
        for _ in range(2):
            if record.series is None:
                record.keep(series={"name": secrets.token_hex(8), "password": f"Aa1-{secrets.token_urlsafe(18)}"})
            try:
                content = await self._credentials(record.organization or {}, record.series or {})
            except grpc.aio.AioRpcError as error:
                if from_rpc_error(error).reason is not Reason.REQUEST_ANSWER_EXPIRED:
                    raise
                record.keep(series=None)
                continue
            write(self._settings, content)
            record.keep(series=None, written=True)
            return content
        raise RuntimeError("the owner's credentials could not be made")

    async def _organization(self) -> organization_pb2.Organization:
        request = organization_service_pb2.CreateOrganizationRequest(
            organization=organization_pb2.Organization(name=self._settings.organization_name),
            owner=user_pb2.User(primary_email=self._settings.owner_email, username="owner"),
            catalogues=CATALOGUES,
            request_id=ids.derive(str, "birth", "organization"),
        )
        answer: organization_pb2.Organization = await self._organizations.CreateOrganization(
            request, metadata=self._metadata(), timeout=RPC_SECONDS
        )
        return answer

    async def _credentials(self, organization: dict[str, Any], series: dict[str, str]) -> dict[str, Any]:
        owner = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_USER, id=organization["owner_user_id"])
        metadata = self._metadata(organization["id"])
        name = series["name"]
        keys = {}
        for look, (key_format, recoverable) in SOME_KEY_FORMATS.items():
            keys[look] = await self._keys.CreateApiKey(
                api_key_service_pb2.CreateApiKeyRequest(
                    api_key=api_key_pb2.ApiKey(
                        bearer=owner,
                        name=f"bootstrap {look}",
                        description=f"made at birth ({look})",
                        secret_recoverable=recoverable,
                    ),
                    key_format=key_format,
                    request_id=ids.derive(str, "birth", name, organization["id"], "key", look),
                ),
                metadata=metadata,
                timeout=RPC_SECONDS,
            )
        await self._passwords.SetPassword(
            password_service_pb2.SetPasswordRequest(
                user_id=owner.id,
                password=series["password"],
                request_id=ids.derive(str, "birth", name, organization["id"], "password"),
            ),
            metadata=metadata,
            timeout=RPC_SECONDS,
        )
        clients = {}
        for look in ("emporix", "intdash"):
            clients[look] = await self._clients.CreateOAuthClient(
                oauth_client_service_pb2.CreateOAuthClientRequest(
                    oauth_client=oauth_client_pb2.OAuthClient(
                        name=f"bootstrap {look}", bearer=owner, grant_types=["client_credentials"]
                    ),
                    secret_name="bootstrap",  # noqa: S106 (the name of a secret)
                    request_id=ids.derive(str, "birth", name, organization["id"], "client", look),
                ),
                metadata=metadata,
                timeout=RPC_SECONDS,
            )
        return self._content(organization, series["password"], keys, clients)

    def _content(
        self, organization: dict[str, Any], password: str, keys: dict[str, Any], clients: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "organization": {"id": organization["id"], "name": organization["name"], "project_id": organization["id"]},
            "native": {"access_token": "", "api_key": keys["native"].secret},
            "soracom": {
                "operatorId": f"OP{organization['number']:010d}",
                "email": self._settings.owner_email,
                "password": password,
                "authKeyId": keys["soracom"].api_key.access_id,
                "authKey": keys["soracom"].secret,
            },
            "ntt": {"consumerKey": keys["ntt"].api_key.access_id, "consumerSecret": keys["ntt"].secret},
            "scaleway": {
                "organization_id": organization["id"],
                "project_id": organization["id"],
                "access_key": keys["scaleway"].api_key.access_id,
                "secret_key": keys["scaleway"].secret,
            },
            "emporix": {
                "tenant": organization["slug"],
                "client_id": clients["emporix"].oauth_client.client_id,
                "client_secret": clients["emporix"].secret,
            },
            "intdash": {
                "tenant_uuid": organization["id"],
                "username": "owner",
                "password": password,
                "client_id": clients["intdash"].oauth_client.client_id,
            },
        }

    async def _access_token(self, api_key: str) -> str:
        answer = await self._sessions.CreateSession(
            session_service_pb2.CreateSessionRequest(
                api_key=authentication_service_pb2.ApiKeyCredential(secret=api_key),
                ttl=duration_pb2.Duration(seconds=NATIVE_TOKEN_SECONDS),
            ),
            timeout=RPC_SECONDS,
        )
        token: str = answer.access_token.token
        return token

    def _metadata(self, organization_id: str = "") -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token(organization_id)}"),)
