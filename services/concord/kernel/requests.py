"""Records of requests that carried a `request_id`, so that a repeated one gets the first one's answer."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from sqlalchemy import bindparam, delete, func, insert, select

from concord.kernel.database.contract import Connection, UniqueViolation
from concord.kernel.database.tables import outbox_event, request_record
from concord.kernel.errors import AlreadyExists, Reason
from concord.kernel.keyring import Keyring
from concord.kernel.principal import Author

LIFETIME: Final = timedelta(hours=24)
SECRET_LIFETIME: Final = timedelta(minutes=10)
_PURGED_AT_ONCE: Final = 16

_THIS = (request_record.c.principal == bindparam("of")) & (request_record.c.request_id == bindparam("named"))
_FIND = select(request_record).where(_THIS)
_FORGET = delete(request_record).where(_THIS)
_KEEP = insert(request_record)
_HEAD = select(func.coalesce(func.max(outbox_event.c.revision), 0))
_EXPIRED = (
    select(request_record.c.principal, request_record.c.request_id)
    .where(request_record.c.expire_time <= bindparam("now", type_=request_record.c.expire_time.type))
    .limit(_PURGED_AT_ONCE)
)


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer given before, and the revision by which it was committed."""

    answer: Any
    awaited: bool
    revision: int


class RequestRecords:
    """Makes and reads one service's records. Hashes are keyed: bodies may hold passwords."""

    def __init__(self, service: str, keyring: Keyring) -> None:
        self._service = service
        self._keyring = keyring

    def begin(
        self, request: Message, author: Author, organization_id: str, *, secret: bool, now: datetime
    ) -> "RequestRecord":
        """Return the record of a request about to be carried out. `organization_id` is part of what is compared."""
        fields: Any = request
        principal = "" if author.principal is None else f"{author.principal.kind}:{author.principal.id}"
        body = request.SerializeToString(deterministic=True)
        parts = [author.rpc.encode(), request.DESCRIPTOR.full_name.encode(), organization_id.encode(), body]
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        digest = hmac.digest(self._keyring.key("requests"), text, "sha256")
        return RequestRecord(
            self._service, self._keyring, principal, fields.request_id.lower(), author.rpc, digest, secret, now
        )


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request by one principal."""

    service: str
    keyring: Keyring
    principal: str
    request_id: str
    rpc: str
    body_hash: bytes
    secret: bool
    now: datetime

    def find(self, connection: Connection) -> Replay | None:
        """Return the answer to repeat, None for a new request; raise AlreadyExists for another one's id."""
        where = {"of": self.principal, "named": self.request_id}
        row = connection.execute(_FIND, where).one_or_none()
        if row is None:
            return None
        if row.expire_time <= self.now:
            connection.execute(_FORGET, where)
            return None
        if row.rpc != self.rpc or not hmac.compare_digest(row.body_hash, self.body_hash):
            raise self._refusal(Reason.REQUEST_ID_REUSED)
        answer = row.answer
        if row.sealed:
            if row.create_time + SECRET_LIFETIME <= self.now:
                raise self._refusal(Reason.REQUEST_ANSWER_EXPIRED)
            answer = self.keyring.open(answer, self._context())
        message_type = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(row.answer_type))
        return Replay(message_type.FromString(answer), row.awaited, connection.execute(_HEAD).scalar_one())

    def keep(self, connection: Connection, answer: Message, awaited: bool) -> None:
        """Remember the answer, in the transaction that made it true."""
        plain = answer.SerializeToString()
        self._insert(
            connection,
            {
                "principal": self.principal,
                "request_id": self.request_id,
                "rpc": self.rpc,
                "body_hash": self.body_hash,
                "answer_type": answer.DESCRIPTOR.full_name,
                "answer": self.keyring.seal(plain, self._context()) if self.secret else plain,
                "sealed": self.secret,
                "awaited": awaited,
                "create_time": self.now,
                "expire_time": self.now + LIFETIME,
            },
        )
        for row in connection.execute(_EXPIRED, {"now": self.now}).all():
            connection.execute(_FORGET, {"of": row.principal, "named": row.request_id})

    def _insert(self, connection: Connection, values: dict[str, Any]) -> None:
        try:
            connection.execute(_KEEP, values)
        except UniqueViolation:
            # The same principal used the id for another organization just now; nothing else is unserialized.
            raise self._refusal(Reason.REQUEST_ID_REUSED) from None

    def _refusal(self, reason: Reason) -> AlreadyExists:
        return AlreadyExists("request", self.request_id, "request_id", reason=reason)

    def _context(self) -> bytes:
        # A sealed answer moved to another row, principal or service does not open.
        return "\x1f".join(("answer", self.service, self.principal, self.request_id, self.rpc)).encode()
