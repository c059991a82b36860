"""Users: the owner, members, and guests, who show as members too."""

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from concord.credentials.v1 import password_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    Count,
    IdFilter,
    Instant,
    Needle,
    Paged,
    Tags,
    Uuid,
    canonical,
    canonicals,
    instant,
    listed,
    one_of,
    order,
)
from concord.gateway.shapes import text_rule
from concord.identity.v1 import user_pb2, user_service_pb2
from concord.kernel.errors import ConcordError, Invalid, NotFound, Violation

# No field of this resource is unsupported. The mails a creation may ask for are not sent: see the README.
UNSUPPORTED = {
    "CreateUser.member.send_password_email": "no mail is sent at creation yet",
    "CreateUser.member.send_welcome_email": "no mail is sent at creation yet",
}

DEFAULT_LOCALE = "en_US"
# Customers are another dialect's matter: users without a place here.
KINDS = (user_pb2.USER_KIND_OWNER, user_pb2.USER_KIND_MEMBER, user_pb2.USER_KIND_GUEST)
_KINDS_OF_TYPE: Mapping[str, Sequence[user_pb2.UserKind]] = {
    "unknown_type": KINDS,
    "owner": (user_pb2.USER_KIND_OWNER,),
    "member": (user_pb2.USER_KIND_MEMBER, user_pb2.USER_KIND_GUEST),
}
_ORDERS = {
    "created_at": "create_time",
    "updated_at": "update_time",
    "email": "primary_email",
    "last_login": "last_login_time",
    "username": "folded_username",
}

UserType = Literal["unknown_type", "owner", "member"]
_PLAIN = r"[^\x00-\x1f\x7f-\x9f]*"
Username = Annotated[
    str,
    text_rule(
        at_most=64,
        pattern=r"([a-zA-Z0-9@._\-]{2,})?",
        help_message="must hold 2 to 64 letters, digits and the characters @ . _ -",
    ).meta(),
]
NewUsername = Annotated[
    str,
    text_rule(
        at_least=2,
        at_most=64,
        pattern=r"[a-zA-Z0-9@._\-]+",
        help_message="must hold only letters, digits and the characters @ . _ -",
    ).meta(),
]
Email = Annotated[
    str,
    text_rule(
        at_least=3,
        at_most=320,
        pattern=r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+",
        help_message="must be an e-mail address",
    ).meta(),
]
PersonName = Annotated[str, text_rule(at_most=128, pattern=_PLAIN).meta()]
Phone = Annotated[str, text_rule(at_most=64, pattern=_PLAIN).meta()]
Locale = Annotated[
    str,
    text_rule(
        at_most=35, pattern=r"([a-zA-Z]{2,8}([_\-][a-zA-Z0-9]{1,8})*)?", help_message="must be a locale such as en_US"
    ).meta(),
]
Password = Annotated[str, text_rule(at_most=512, pattern=r"[^\x00]*").meta()]


class User(msgspec.Struct, frozen=True):
    """A user as it is answered."""

    id: str
    email: str
    username: str
    first_name: str
    last_name: str
    phone_number: str
    locale: str
    created_at: Instant | None
    updated_at: Instant | None
    organization_id: str
    deletable: bool
    last_login_at: Instant | None
    type: UserType
    two_factor_enabled: bool
    status: Literal["unknown_status", "invitation_pending", "activated"]
    mfa: bool
    account_root_user_id: str
    tags: list[str]
    locked: bool


class ListUsersResponse(msgspec.Struct, frozen=True):
    """One page of users."""

    users: list[User]
    total_count: Count


class ListUsersQuery(Paged, frozen=True, kw_only=True):
    """Which users to list."""

    order_by: Literal[
        "created_at_asc",
        "created_at_desc",
        "updated_at_asc",
        "updated_at_desc",
        "email_asc",
        "email_desc",
        "last_login_asc",
        "last_login_desc",
        "username_asc",
        "username_desc",
    ] = "created_at_asc"
    organization_id: Uuid | None = None
    user_ids: IdFilter | None = None
    mfa: bool | None = None
    tag: Needle | None = None
    type: UserType = "unknown_type"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A user made inside the organization."""

    email: Email
    send_password_email: bool | None = None
    send_welcome_email: bool | None = None
    username: Username | None = None
    password: Password | None = None
    first_name: PersonName | None = None
    last_name: PersonName | None = None
    phone_number: Phone | None = None
    locale: Locale | None = None


class CreateUserRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new user: a bare address asks a guest in, member details make a member."""

    organization_id: Uuid
    email: Email | None = None
    tags: Tags | None = None
    member: Member | None = None


class UpdateUserRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a user; null is no change, an empty text clears."""

    tags: Tags | None = None
    email: Email | None = None
    first_name: PersonName | None = None
    last_name: PersonName | None = None
    phone_number: Phone | None = None
    locale: Locale | None = None


class UpdateUserUsernameRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new username."""

    username: NewUsername


class EmptyRequest(msgspec.Struct, frozen=True):
    """A body without members."""


def to_user(source: user_pb2.User) -> User:
    """Translate an answer."""
    is_owner = source.kind == user_pb2.USER_KIND_OWNER
    return User(
        id=source.id,
        email=source.primary_email,
        username=source.username,
        first_name=source.given_name,
        last_name=source.family_name,
        phone_number=source.phone_number,
        locale=source.locale or DEFAULT_LOCALE,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        organization_id=source.organization_id,
        deletable=source.deletable and not is_owner,
        last_login_at=instant(source.last_login_time) if source.HasField("last_login_time") else None,
        type="owner" if is_owner else "member",
        two_factor_enabled=source.mfa_enabled,
        status="invitation_pending" if source.state == user_pb2.USER_STATE_INVITED else "activated",
        mfa=source.mfa_enabled,
        account_root_user_id=source.id if is_owner else "",
        tags=list(source.tags),
        locked=source.locked,
    )


def from_create(body: CreateUserRequest, request_id: str = "") -> user_service_pb2.CreateUserRequest:
    """Translate a creation."""
    arm = one_of({"email": body.email, "member": body.member}, required=True)
    user = user_pb2.User(tags=body.tags or ())
    if arm == "email" or body.member is None:
        user.kind = user_pb2.USER_KIND_GUEST
        # Somebody from outside has no name of its own here but the address.
        user.username = user.primary_email = body.email or ""
        user.locale = DEFAULT_LOCALE
    else:
        member = body.member
        user.kind = user_pb2.USER_KIND_MEMBER
        user.primary_email = member.email
        user.username = member.username or ""
        user.given_name = member.first_name or ""
        user.family_name = member.last_name or ""
        user.phone_number = member.phone_number or ""
        user.locale = member.locale or DEFAULT_LOCALE
    return user_service_pb2.CreateUserRequest(
        organization_id=canonical(body.organization_id), user=user, request_id=request_id
    )


_UPDATES = {
    "email": "primary_email",
    "first_name": "given_name",
    "last_name": "family_name",
    "phone_number": "phone_number",
}


def from_update(user_id: str, body: UpdateUserRequest) -> user_service_pb2.UpdateUserRequest:
    """Translate a change."""
    request = user_service_pb2.UpdateUserRequest(user=user_pb2.User(id=canonical(user_id)))
    if body.tags is not None:
        request.user.tags.extend(body.tags)
        request.update_mask.paths.append("tags")
    for name, field in _UPDATES.items():
        if (value := getattr(body, name)) is not None:
            setattr(request.user, field, value)
            request.update_mask.paths.append(field)
    if body.locale is not None:
        request.user.locale = body.locale or DEFAULT_LOCALE
        request.update_mask.paths.append("locale")
    return request


def from_list(query: ListUsersQuery, skip: int, size: int) -> user_service_pb2.ListUsersRequest:
    """Translate a list's filter."""
    return user_service_pb2.ListUsersRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        ids=canonicals(query.user_ids or ()),
        kinds=_KINDS_OF_TYPE[query.type],
        tag=query.tag or "",
        mfa_enabled=query.mfa,
    )


async def list_users(call: Call) -> ListUsersResponse:
    """GET /users."""

    async def fetch(skip: int, size: int) -> ListUsersResponse:
        answer = await call.ask(call.core.users.ListUsers, from_list(call.query, skip, size))
        return ListUsersResponse([to_user(user) for user in answer.users], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListUsersResponse([], n))


async def get_user(call: Call) -> User:
    """GET /users/{user_id}."""
    user_id = canonical(call.path["user_id"])
    user = await call.ask(call.core.users.GetUser, user_service_pb2.GetUserRequest(id=user_id))
    if user.kind not in KINDS:
        raise NotFound("user", user_id)
    return to_user(user)


async def create_user(call: Call) -> User:
    """POST /users. User first, password second; without its password the user does not stay."""
    password = call.body.member.password if call.body.member is not None else None
    request_id = str(uuid.uuid4())
    request = from_create(call.body, request_id)
    if password:
        await _check_password(call, password)
    user = await call.ask(call.core.users.CreateUser, request)
    if password:
        setting = password_service_pb2.SetPasswordRequest(
            user_id=user.id, password=password, must_not_exist=True, request_id=request_id
        )
        try:
            await call.ask(call.core.passwords.SetPassword, setting)
        except ConcordError:
            await _undo_creation(call, user.id)
            raise
    return to_user(user)


async def _undo_creation(call: Call, user_id: str) -> None:
    # Claimed as the deletion that it is: whoever may only create users must not get to delete any
    # by way of it. Where it is refused, a user without credentials or rights is left.
    request = user_service_pb2.DeleteUserRequest(id=user_id)
    with contextlib.suppress(ConcordError):
        await call.ask(call.core.users.DeleteUser, request, operation="scaleway/DeleteUser")


async def _check_password(call: Call, password: str) -> None:
    verdict = await call.ask(
        call.core.passwords.CheckPassword, password_service_pb2.CheckPasswordRequest(password=password)
    )
    if not verdict.valid:
        raise Invalid(*(Violation("member.password", v.message, rule="constraint") for v in verdict.violations))


async def update_user(call: Call) -> User:
    """PATCH /users/{user_id}. A change of nothing is a reading."""
    request = from_update(call.path["user_id"], call.body)
    if not request.update_mask.paths:
        return await get_user(call)
    return to_user(await call.ask(call.core.users.UpdateUser, request))


async def update_username(call: Call) -> User:
    """POST /users/{user_id}/update-username. The address stays."""
    request = user_service_pb2.UpdateUserRequest(
        user=user_pb2.User(id=canonical(call.path["user_id"]), username=call.body.username)
    )
    request.update_mask.paths.append("username")
    return to_user(await call.ask(call.core.users.UpdateUser, request))


async def delete_user(call: Call) -> None:
    """DELETE /users/{user_id}."""
    request = user_service_pb2.DeleteUserRequest(id=canonical(call.path["user_id"]))
    await call.ask(call.core.users.DeleteUser, request)


async def lock_user(call: Call) -> User:
    """POST /users/{user_id}/lock."""
    request = user_service_pb2.SuspendUserRequest(id=canonical(call.path["user_id"]))
    return to_user(await call.ask(call.core.users.SuspendUser, request))


async def unlock_user(call: Call) -> User:
    """POST /users/{user_id}/unlock."""
    user_id = canonical(call.path["user_id"])
    # Nothing here tells who locked a user, an administrator or too many attempts: both locks go.
    with contextlib.suppress(NotFound):
        await call.ask(call.core.passwords.UnlockPassword, password_service_pb2.UnlockPasswordRequest(user_id=user_id))
    request = user_service_pb2.ResumeUserRequest(id=user_id)
    user = to_user(await call.ask(call.core.users.ResumeUser, request))
    # Identity may not have heard of the password yet.
    return msgspec.structs.replace(user, locked=False)
