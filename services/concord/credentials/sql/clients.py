"""OAuth clients and their secrets in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, or_, select, update
from sqlalchemy import insert as insert_into

from concord.credentials.model.clients import (
    ClientAuthMethod,
    ClientSecret,
    FoundClient,
    OAuthClient,
    SigningAlgorithm,
    TokenFormat,
)
from concord.credentials.model.holders import LifeState
from concord.credentials.sql.api_keys import holder
from concord.credentials.sql.rows import (
    SqlPart,
    contains,
    optional_ref_from,
    optional_ref_text,
    pattern,
    ref_text,
    ref_texts,
    sight_filters,
    sight_values,
)
from concord.credentials.sql.tables import client_secret, oauth_client, organization, principal
from concord.credentials.store.clients import ClientFilter
from concord.kernel.database import UniqueViolation
from concord.kernel.database.columns import Instant, Json
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import SecretHash

_CLIENT = oauth_client.c
_SECRET = client_secret.c
_COLUMNS: Final = [column for column in _CLIENT if column.name != "belongs_to"]
_MINE: Final = and_(_CLIENT.organization_id == bindparam("org"), _CLIENT.end_time.is_(None))

_FOUND: Final = (
    select(
        *_COLUMNS,
        _SECRET.number.label("secret_number"),
        principal.c.state.label("principal_state"),
        organization.c.state.label("organization_state"),
    )
    .select_from(client_secret)
    .join(
        oauth_client,
        and_(_CLIENT.organization_id == _SECRET.organization_id, _CLIENT.id == _SECRET.client_id),
    )
    .outerjoin(
        principal, and_(principal.c.organization_id == _CLIENT.organization_id, principal.c.principal == _CLIENT.bearer)
    )
    .outerjoin(organization, organization.c.id == _CLIENT.organization_id)
    .where(_SECRET.secret_hash == bindparam("hash"), _CLIENT.client_id == bindparam("name"))
    .order_by(_CLIENT.end_time.is_not(None))
)
_NAMED: Final = (
    select(
        *_COLUMNS,
        principal.c.state.label("principal_state"),
        organization.c.state.label("organization_state"),
    )
    .select_from(oauth_client)
    .outerjoin(
        principal, and_(principal.c.organization_id == _CLIENT.organization_id, principal.c.principal == _CLIENT.bearer)
    )
    .outerjoin(organization, organization.c.id == _CLIENT.organization_id)
    .where(_CLIENT.client_id == bindparam("name"), _CLIENT.end_time.is_(None))
    .order_by(_CLIENT.create_time, _CLIENT.organization_id)
)
_ADD: Final = insert_into(oauth_client)
_ADD_SECRET: Final = insert_into(client_secret)
_BY_ID: Final = select(*_COLUMNS).where(_MINE, _CLIENT.id == bindparam("which"))
_BY_NAME: Final = select(*_COLUMNS).where(_MINE, _CLIENT.client_id == bindparam("name"))
_OF: Final = (
    select(*_COLUMNS)
    .where(
        _MINE,
        or_(
            _CLIENT.bearer == bindparam("whose"),
            and_(_CLIENT.owner_user_id == bindparam("user"), _CLIENT.bearer.is_(None)),
        ),
    )
    .order_by(_CLIENT.create_time, _CLIENT.id)
)
_SECRETS: Final = (
    select(_SECRET.number, _SECRET.client_id, _SECRET.name, _SECRET.create_time, _SECRET.last_used_time)
    .where(_SECRET.organization_id == bindparam("org"), _SECRET.client_id.in_(bindparam("clients", expanding=True)))
    .order_by(_SECRET.number)
)
_END: Final = (
    update(oauth_client)
    .where(_MINE, _CLIENT.id == bindparam("which"))
    .values(end_time=bindparam("ended", type_=Instant), update_time=bindparam("ended", type_=Instant))
)
_REPLACE: Final = (
    update(oauth_client)
    .where(_MINE, _CLIENT.id == bindparam("which"))
    .values(
        version=bindparam("numbered"),
        name=bindparam("called"),
        owner_user_id=bindparam("owner"),
        belongs_to=bindparam("whose"),
        grant_types=bindparam("grants", type_=Json),
        auth_method=bindparam("method"),
        redirect_uris=bindparam("redirects", type_=Json),
        response_types=bindparam("responses", type_=Json),
        scopes=bindparam("allowed", type_=Json),
        audiences=bindparam("heard", type_=Json),
        tls_subject=bindparam("certified"),
        token_format=bindparam("format"),
        signing_algorithm=bindparam("algorithm"),
        access_token_seconds=bindparam("access"),
        refresh_token_seconds=bindparam("refresh"),
        attributes=bindparam("extra", type_=Json),
        update_time=bindparam("updated", type_=Instant),
    )
)
_REMOVE_SECRET: Final = delete(client_secret).where(
    _SECRET.organization_id == bindparam("org"),
    _SECRET.client_id == bindparam("client"),
    _SECRET.number == bindparam("which"),
)
_RELEASE: Final = (
    update(oauth_client)
    .where(_MINE, _CLIENT.owner_user_id == bindparam("user"), _CLIENT.bearer.is_not(None))
    .values(owner_user_id=None)
)
_USE: Final = (
    update(client_secret)
    .where(
        _SECRET.organization_id == bindparam("org"),
        _SECRET.number == bindparam("which"),
        or_(_SECRET.last_used_time.is_(None), _SECRET.last_used_time < bindparam("used", type_=Instant)),
    )
    .values(last_used_time=bindparam("used", type_=Instant))
)
_LIST: Final = Listing(
    select(*_COLUMNS).where(_MINE),
    identity=_CLIENT.id,
    orders={
        "create_time": _CLIENT.create_time,
        "update_time": _CLIENT.update_time,
        "client_id": _CLIENT.client_id,
        "name": _CLIENT.name,
    },
    filters={
        "org": _CLIENT.organization_id == bindparam("org"),
        **sight_filters(_CLIENT.belongs_to),
        "ids": any_of(_CLIENT.id, "ids"),
        "bearers": any_of(_CLIENT.bearer, "bearers"),
        "text": or_(contains(_CLIENT.name, "text"), contains(_CLIENT.client_id, "text")),
    },
)


class SqlClients(SqlPart):
    """The `Clients` part of the store, and the clients' part of the directory."""

    def find_client(self, client_id: str, secret_hash: SecretHash) -> FoundClient | None:
        row = self._connection.execute(_FOUND, {"name": client_id, "hash": secret_hash.value}).first()
        if row is None:
            return None
        client = _client(row)
        return FoundClient(
            client,
            row.secret_number,
            None if client.bearer is None else holder(row.principal_state, row.organization_state),
        )

    def find_clients_named(self, client_id: str) -> Sequence[FoundClient]:
        return [
            FoundClient(
                _client(row),
                0,
                # Whoever acts for nobody of its own hangs on its organization alone.
                holder(LifeState.ACTIVE if row.bearer is None else row.principal_state, row.organization_state),
            )
            for row in self._connection.execute(_NAMED, {"name": client_id})
        ]

    def add_client(self, client: OAuthClient) -> None:
        whose = client.belongs_to
        row = {
            "organization_id": client.organization_id,
            "id": client.id,
            "version": client.version,
            "client_id": client.client_id,
            "name": client.name,
            "bearer": optional_ref_text(client.bearer),
            "belongs_to": "" if whose is None else ref_text(whose),
            "owner_user_id": client.owner_user_id,
            "grant_types": list(client.grant_types),
            "auth_method": client.auth_method.value,
            "redirect_uris": list(client.redirect_uris),
            "response_types": list(client.response_types),
            "scopes": list(client.scopes),
            "audiences": list(client.audiences),
            "tls_subject": client.tls_subject,
            **_lives(client),
            "catalogue": client.catalogue,
            "attributes": dict(client.attributes),
            "create_time": client.create_time,
            "update_time": client.update_time,
            "end_time": None,
        }
        try:
            self._connection.execute_unique(_ADD, row)
        except UniqueViolation:
            raise AlreadyExists("oauth_client", client.client_id, "client_id") from None

    def add_client_secret(
        self, client: OAuthClient, number: int, name: str, secret_hash: SecretHash, now: datetime
    ) -> None:
        row = {
            "organization_id": client.organization_id,
            "number": number,
            "client_id": client.id,
            "name": name,
            "secret_hash": secret_hash.value,
            "create_time": now,
            "last_used_time": None,
        }
        self._connection.execute(_ADD_SECRET, row)

    def remove_client_secret(self, client: OAuthClient, number: int) -> bool:
        values = {"org": client.organization_id, "client": client.id, "which": number}
        return self._connection.execute(_REMOVE_SECRET, values).rowcount > 0

    def replace_client(self, client: OAuthClient) -> None:
        whose = client.belongs_to
        lives = _lives(client)
        values = {
            "org": client.organization_id,
            "which": client.id,
            "numbered": client.version,
            "called": client.name,
            "owner": client.owner_user_id,
            "whose": "" if whose is None else ref_text(whose),
            "grants": list(client.grant_types),
            "method": client.auth_method.value,
            "redirects": list(client.redirect_uris),
            "responses": list(client.response_types),
            "allowed": list(client.scopes),
            "heard": list(client.audiences),
            "certified": client.tls_subject,
            "format": lives["token_format"],
            "algorithm": lives["signing_algorithm"],
            "access": lives["access_token_seconds"],
            "refresh": lives["refresh_token_seconds"],
            "extra": dict(client.attributes),
            "updated": client.update_time,
        }
        self._connection.execute(_REPLACE, values)

    def find_client_by_id(self, organization_id: OrganizationId, id: OAuthClientId) -> OAuthClient | None:
        return self._one(organization_id, _BY_ID, {"org": organization_id, "which": id})

    def find_client_named(self, organization_id: OrganizationId, client_id: str) -> OAuthClient | None:
        return self._one(organization_id, _BY_NAME, {"org": organization_id, "name": client_id})

    def end_client(self, client: OAuthClient, now: datetime) -> None:
        self._connection.execute(_END, {"org": client.organization_id, "which": client.id, "ended": now})

    def clients_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> Sequence[OAuthClient]:
        user = principal.id if principal.kind is PrincipalKind.USER else ""
        values = {"org": organization_id, "whose": ref_text(principal), "user": user}
        rows = self._connection.execute(_OF, values)
        return self._with_secrets(organization_id, [_client(row) for row in rows])

    def list_clients(
        self, organization_id: OrganizationId, wanted: ClientFilter, page: PageRequest
    ) -> Page[OAuthClient]:
        filters = {
            "org": organization_id,
            **sight_values(wanted.sight),
            "ids": wanted.ids,
            "bearers": ref_texts(wanted.bearers),
            "text": pattern(wanted.text),
        }
        found = _LIST.page(self._connection, page, filters, _client)
        return replace(found, items=self._with_secrets(organization_id, found.items))

    def release_clients(self, organization_id: OrganizationId, owner_user_id: UserId) -> None:
        self._connection.execute(_RELEASE, {"org": organization_id, "user": owner_user_id})

    def note_secret_use(self, uses: Mapping[tuple[OrganizationId, int], datetime]) -> None:
        for (organization_id, number), used in uses.items():
            self._connection.execute(_USE, {"org": organization_id, "which": number, "used": used})

    def _one(self, organization_id: OrganizationId, statement: Any, values: Mapping[str, Any]) -> OAuthClient | None:
        row = self._connection.execute(statement, values).first()
        return None if row is None else self._with_secrets(organization_id, [_client(row)])[0]

    def _with_secrets(self, organization_id: OrganizationId, clients: Iterable[OAuthClient]) -> list[OAuthClient]:
        found = {client.id: client for client in clients}
        secrets: dict[str, list[ClientSecret]] = {id: [] for id in found}
        if found:
            for row in self._connection.execute(_SECRETS, {"org": organization_id, "clients": list(found)}):
                secrets[row.client_id].append(
                    ClientSecret(row.number, row.client_id, row.name, row.create_time, row.last_used_time)
                )
        return [replace(client, secrets=tuple(secrets[id])) for id, client in found.items()]


def _lives(client: OAuthClient) -> dict[str, Any]:
    return {
        "token_format": client.token_format.value,
        "signing_algorithm": client.signing_algorithm.value,
        "access_token_seconds": _seconds(client.access_token_ttl),
        "refresh_token_seconds": _seconds(client.refresh_token_ttl),
    }


def _seconds(ttl: timedelta | None) -> int | None:
    return None if ttl is None else int(ttl.total_seconds())


def _ttl(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _client(row: Any) -> OAuthClient:
    return OAuthClient(
        id=row.id,
        organization_id=row.organization_id,
        version=row.version,
        client_id=row.client_id,
        create_time=row.create_time,
        update_time=row.update_time,
        end_time=row.end_time,
        name=row.name,
        bearer=optional_ref_from(row.bearer),
        owner_user_id=row.owner_user_id,
        grant_types=tuple(row.grant_types),
        auth_method=ClientAuthMethod(row.auth_method),
        redirect_uris=tuple(row.redirect_uris),
        response_types=tuple(row.response_types),
        scopes=tuple(row.scopes),
        audiences=tuple(row.audiences),
        tls_subject=row.tls_subject,
        token_format=TokenFormat(row.token_format or TokenFormat.OPAQUE),
        signing_algorithm=SigningAlgorithm(row.signing_algorithm or SigningAlgorithm.RS256),
        access_token_ttl=_ttl(row.access_token_seconds),
        refresh_token_ttl=_ttl(row.refresh_token_seconds),
        catalogue=row.catalogue,
        attributes=row.attributes,
    )
