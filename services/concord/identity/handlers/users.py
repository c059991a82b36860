"""Serves users."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.identity import rules, wire
from concord.identity.drafts import ALL_USER_FIELDS, UserLocator
from concord.identity.handlers.unpack import chosen_ids, flag, searched, sight
from concord.identity.model import User as UserModel
from concord.identity.operations import users
from concord.identity.store import IdentityStore, UserFilter
from concord.identity.v1.user_pb2 import User
from concord.identity.v1.user_service_pb2 import (
    CreateUserRequest,
    DeleteUserRequest,
    GetUserRequest,
    ListUsersRequest,
    ListUsersResponse,
    ResumeUserRequest,
    SuspendUserRequest,
    UpdateUserRequest,
)
from concord.identity.v1.user_service_pb2_grpc import UserServiceServicer
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import UserId
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units

_ORDERS = (
    "create_time",
    "update_time",
    "username",
    "folded_username",
    "primary_email",
    "last_login_time",
)


class UserServicer(UserServiceServicer):
    """Users over their units of work."""

    def __init__(self, units: Units[IdentityStore]) -> None:
        self._units = units

    async def CreateUser(self, request: CreateUserRequest, context: Any) -> User:
        """Create a user."""
        Call.current().own_organization(request.organization_id)
        return await self._units.write(
            request,
            lambda unit: users.create_user(unit, wire.user_draft(request.user)),
            wire.user_to_wire,
        )

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        """Return one user."""
        own, seen, locator = Call.current().organization_id, sight(), _locator(request)
        if locator.user_id is None:
            # An address is looked for among staff, then among customers.
            found = await self._units.read(lambda store: users.get_user(store, own, locator, seen))
            return wire.user_to_wire(found)
        user, message = await self._units.recall(
            ("user", own, locator.user_id), lambda store: _with_message(users.locate(store, own, locator))
        )
        users.require_seen(user, locator, seen)
        return message

    async def ListUsers(self, request: ListUsersRequest, context: Any) -> ListUsersResponse:
        """Return one page of users."""
        own, seen = Call.current().own_organization(request.organization_id), sight()
        page = self._units.page_request(request, orders=_ORDERS, default_order="create_time")
        chosen = _filter(request)
        found = await self._units.read(lambda store: users.list_users(store, own, chosen, page, seen))
        return ListUsersResponse(
            users=[wire.user_to_wire(each) for each in found.items],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateUser(self, request: UpdateUserRequest, context: Any) -> User:
        """Change a user."""
        message = request.user
        user_id = ids.parse(UserId, message.id, "user.id")
        fields = wire.chosen_fields(message, request.update_mask, ALL_USER_FIELDS)
        draft = wire.user_draft(message)
        return await self._units.write(
            request,
            lambda unit: users.update_user(unit, user_id, draft, fields, message.etag),
            wire.user_to_wire,
        )

    async def DeleteUser(self, request: DeleteUserRequest, context: Any) -> Empty:
        """Delete a user."""
        user_id = ids.parse(UserId, request.id, "id")
        return await self._units.write(
            request,
            lambda unit: users.delete_user(unit, user_id, request.etag),
            lambda _: Empty(),
        )

    async def SuspendUser(self, request: SuspendUserRequest, context: Any) -> User:
        """Suspend a user."""
        user_id = ids.parse(UserId, request.id, "id")
        return await self._units.write(
            request,
            lambda unit: users.suspend_user(unit, user_id, request.reason, request.etag),
            wire.user_to_wire,
        )

    async def ResumeUser(self, request: ResumeUserRequest, context: Any) -> User:
        """Resume a user."""
        user_id = ids.parse(UserId, request.id, "id")
        return await self._units.write(
            request,
            lambda unit: users.resume_user(unit, user_id, request.etag),
            wire.user_to_wire,
        )


def _with_message(user: UserModel | None) -> tuple[UserModel | None, User]:
    return user, User() if user is None else wire.user_to_wire(user)


def _locator(request: GetUserRequest) -> UserLocator:
    match request.WhichOneof("locator"):
        case "id":
            return UserLocator(user_id=ids.parse(UserId, request.id, "id"))
        case "username" if request.username:
            return UserLocator(username=rules.normal(searched(request.username, "username")))
        case "primary_email" if request.primary_email:
            return UserLocator(primary_email=searched(request.primary_email, "primary_email"))
    raise Invalid(Violation("id", "one of id, username and primary_email is needed", rule="required"))


def _filter(request: ListUsersRequest) -> UserFilter:
    return UserFilter(
        only=chosen_ids(request.ids),
        kinds=frozenset(wire.USER_KINDS[each] for each in request.kinds if each),
        states=frozenset(wire.USER_STATES[each] for each in request.states if each),
        text=searched(request.text, "text"),
        tag=searched(request.tag, "tag"),
        editable=flag(request, "editable"),
        mfa_enabled=flag(request, "mfa_enabled"),
    )
