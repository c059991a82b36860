"""The common messages and the domain values they stand for, both ways side by side."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from concord.common.v1 import authorization_service_pb2, change_pb2, options_pb2, passport_pb2, principal_pb2
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId, UserId
from concord.kernel.principal import (
    Author,
    Passport,
    PrincipalKind,
    PrincipalRef,
    Question,
    Reach,
    TargetClass,
    Verdict,
)

# Every answer has some instants; the library's own conversions cost five times as much.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: Final = {
    PrincipalKind.USER: principal_pb2.PRINCIPAL_KIND_USER,
    PrincipalKind.APPLICATION: principal_pb2.PRINCIPAL_KIND_APPLICATION,
    PrincipalKind.DEVICE: principal_pb2.PRINCIPAL_KIND_DEVICE,
    PrincipalKind.SERVICE: principal_pb2.PRINCIPAL_KIND_SERVICE,
}
_KINDS_BACK: Final = {number: kind for kind, number in _KINDS.items()}
# The processes of the suite are principals that no change is about.
_KINDS_BY_RESOURCE_TYPE: Final = {
    "user": PrincipalKind.USER,
    "application": PrincipalKind.APPLICATION,
    "device": PrincipalKind.DEVICE,
}
_CLASSES: Final = {
    TargetClass.ANY: options_pb2.TARGET_CLASS_UNSPECIFIED,
    TargetClass.OWN: options_pb2.TARGET_CLASS_OWN,
    TargetClass.OWNER: options_pb2.TARGET_CLASS_OWNER,
    TargetClass.DEFAULT: options_pb2.TARGET_CLASS_DEFAULT,
}
_CLASSES_BACK: Final = {number: target for target, number in _CLASSES.items()}


def principal_to_wire(principal: PrincipalRef) -> principal_pb2.PrincipalRef:
    """Return the message for a principal."""
    return principal_pb2.PrincipalRef(kind=_KINDS[principal.kind], id=principal.id)


def principal_from_wire(message: principal_pb2.PrincipalRef) -> PrincipalRef | None:
    """Return the principal that a message names; None when it names none. No kind means a user."""
    if not message.id:
        return None
    return PrincipalRef(_KINDS_BACK.get(message.kind, PrincipalKind.USER), message.id)


def principal_of_change(event: change_pb2.ChangeEvent) -> PrincipalRef | None:
    """Return the principal that a change is about; None when it is about something else."""
    kind = _KINDS_BY_RESOURCE_TYPE.get(event.resource_type)
    return None if kind is None else PrincipalRef(kind, event.resource_id)


def instant_to_wire(instant: datetime) -> Timestamp:
    """Return the message for an instant."""
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def instant_from_wire(message: Timestamp) -> datetime:
    """Return the instant of a message."""
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def passport_to_wire(passport: Passport) -> passport_pb2.Passport:
    """Return the message for a passport."""
    return passport_pb2.Passport(
        organization_id=passport.organization_id or "",
        principal=principal_to_wire(passport.principal),
        session_id=passport.session_id or "",
        api_key_id=passport.api_key_id or "",
        methods=passport.methods,
        mfa=passport.mfa,
        caller_address=passport.caller_address,
        caller_agent=passport.caller_agent,
        ceiling=passport_pb2.Ceiling(scopes=passport.ceiling) if passport.ceiling else None,
        rights_snapshot_id=passport.rights_snapshot_id,
        issue_time=instant_to_wire(passport.issue_time),
        expire_time=instant_to_wire(passport.expire_time),
    )


def passport_from_wire(message: passport_pb2.Passport) -> Passport:
    """Return the passport of a message. The sender, a service, has verified it."""
    return Passport(
        principal=PrincipalRef(_KINDS_BACK.get(message.principal.kind, PrincipalKind.USER), message.principal.id),
        organization_id=OrganizationId(message.organization_id) if message.organization_id else None,
        issue_time=instant_from_wire(message.issue_time),
        expire_time=instant_from_wire(message.expire_time),
        session_id=SessionId(message.session_id) if message.session_id else None,
        api_key_id=ApiKeyId(message.api_key_id) if message.api_key_id else None,
        methods=tuple(message.methods),
        mfa=message.mfa,
        caller_address=message.caller_address,
        caller_agent=message.caller_agent,
        ceiling=tuple(message.ceiling.scopes),
        rights_snapshot_id=message.rights_snapshot_id,
    )


def question_to_wire(question: Question) -> authorization_service_pb2.AuthorizeRequest:
    """Return the request that puts this question."""
    return authorization_service_pb2.AuthorizeRequest(
        passport=passport_to_wire(question.passport),
        rpc=question.rpc,
        permission=question.permission,
        classes=[_class_to_wire(target) for target in question.classes],
        target=None if question.target is None else principal_to_wire(question.target),
        operation=question.operation,
        update_mask=question.update_mask,
        pinned=question.pinned,
        resource_id=question.resource_id,
        deployment=question.deployment,
        in_projects=question.in_projects,
    )


def question_from_wire(message: authorization_service_pb2.AuthorizeRequest) -> Question:
    """Return the question that a request puts."""
    return Question(
        passport=passport_from_wire(message.passport),
        rpc=message.rpc,
        permission=message.permission,
        classes=tuple(_classes_from_wire(message.classes)),
        target=principal_from_wire(message.target) if message.HasField("target") else None,
        operation=message.operation,
        update_mask=tuple(message.update_mask),
        pinned=dict(message.pinned),
        resource_id=message.resource_id,
        deployment=message.deployment,
        in_projects=message.in_projects,
    )


def verdict_to_wire(verdict: Verdict) -> authorization_service_pb2.AuthorizeResponse:
    """Return the answer that carries this verdict."""
    reach = verdict.reach
    return authorization_service_pb2.AuthorizeResponse(
        allowed=verdict.allowed,
        reach=authorization_service_pb2.Reach(
            everything=reach.everything,
            project_ids=sorted(reach.project_ids),
            classes=sorted(_class_to_wire(target) for target in reach.classes),
            owner_user_id=reach.owner_user_id or "",
            except_project_ids=sorted(reach.except_project_ids),
        ),
        statement_ids=verdict.statement_ids,
        refusal=verdict.refusal,
    )


def verdict_from_wire(message: authorization_service_pb2.AuthorizeResponse) -> Verdict:
    """Return the verdict of an answer."""
    reach = message.reach
    return Verdict(
        allowed=message.allowed,
        reach=Reach(
            everything=reach.everything,
            project_ids=frozenset(reach.project_ids),
            classes=frozenset(_classes_from_wire(reach.classes)),
            owner_user_id=UserId(reach.owner_user_id) if reach.owner_user_id else None,
            except_project_ids=frozenset(reach.except_project_ids),
        ),
        statement_ids=tuple(message.statement_ids),
        refusal=message.refusal,
    )


def author_to_wire(author: Author) -> change_pb2.Author:
    """Return the message for an author."""
    return change_pb2.Author(
        principal=None if author.principal is None else principal_to_wire(author.principal),
        session_id=author.session_id or "",
        api_key_id=author.api_key_id or "",
        caller_address=author.caller_address,
        caller_agent=author.caller_agent,
        rpc=author.rpc,
        operation=author.operation,
        call_id=author.call_id,
    )


def author_from_wire(message: change_pb2.Author) -> Author:
    """Return the author of a message."""
    return Author(
        principal=principal_from_wire(message.principal) if message.HasField("principal") else None,
        session_id=SessionId(message.session_id) if message.session_id else None,
        api_key_id=ApiKeyId(message.api_key_id) if message.api_key_id else None,
        caller_address=message.caller_address,
        caller_agent=message.caller_agent,
        rpc=message.rpc,
        operation=message.operation,
        call_id=message.call_id,
    )


def _class_to_wire(target: TargetClass) -> options_pb2.TargetClass:
    return _CLASSES[target]


def _classes_from_wire(numbers: Any) -> list[TargetClass]:
    # A class that this process does not know yet admits nothing it knows.
    return [_CLASSES_BACK[number] for number in numbers if number in _CLASSES_BACK]
