"""Servicers that decide."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from concord.common.v1.authorization_service_pb2 import AuthorizeRequest, AuthorizeResponse
from concord.common.v1.authorization_service_pb2_grpc import AuthorizationServiceServicer
from concord.kernel.errors import ConcordError, Denied, Invalid, RateLimited, Reason, Unauthenticated, Violation
from concord.kernel.feed.revision import encode_revisions, parse_revisions
from concord.kernel.principal import Passport, PrincipalRef, Question
from concord.kernel.rpc.authorization import question_builder
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.inprocess import MAXIMUM_MESSAGE
from concord.kernel.rpc.wire import question_from_wire, verdict_to_wire
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.authorize import DirectAuthorizer
from concord.policy.checks import Check as Asked
from concord.policy.checks import Checks, PermissionLists, subjects_of
from concord.policy.engine import Decision
from concord.policy.handlers.explanations import ExplanationHandlers
from concord.policy.store import PolicyStore
from concord.policy.v1 import decision_pb2, explanation_pb2
from concord.policy.v1.decision_service_pb2 import (
    BatchCheckRequest,
    BatchCheckResponse,
    CheckRequest,
    ExplainRequest,
    ListPermissionsRequest,
    ListPermissionsResponse,
    StreamCheckRequest,
    StreamCheckResponse,
)
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceServicer

STREAMS_OF_ONE_PRINCIPAL: Final = 64
_FRESH_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0
_MAX_TAG: Final = 256


class AuthorizationHandlers(AuthorizationServiceServicer):
    """Answers the other processes' interceptors."""

    def __init__(self, authorizer: DirectAuthorizer) -> None:
        self._authorizer = authorizer

    async def Authorize(self, request: AuthorizeRequest, context: Any) -> AuthorizeResponse:
        return verdict_to_wire(await self._authorizer.authorize(question_from_wire(request)))


class DecisionHandlers(DecisionServiceServicer):
    """Serves checks."""

    def __init__(
        self,
        units: Units[PolicyStore],
        checks: Checks,
        lists: PermissionLists,
        explanations: ExplanationHandlers,
        authorizer: DirectAuthorizer,
    ) -> None:
        self._units = units
        self._checks = checks
        self._lists = lists
        self._explanations = explanations
        self._authorizer = authorizer
        self._streams = _Streams()
        self._revision = (-1, "")

    @property
    def open_streams(self) -> int:
        """How many streams are being served."""
        return self._streams.count

    async def Check(self, request: CheckRequest, context: Any) -> decision_pb2.Decision:
        await self._freshen(request.at_least_as_fresh)
        return await self._answer(Call.current(), wire.check_from_wire(request.check, "check"))

    async def BatchCheck(self, request: BatchCheckRequest, context: Any) -> BatchCheckResponse:
        asked = wire.batch_from_wire(request)
        await self._freshen(request.at_least_as_fresh)
        revision, decisions = await self._decide(Call.current(), asked)
        response = wire.batch_to_wire(decisions, revision)
        if response.ByteSize() > MAXIMUM_MESSAGE:
            raise ConcordError(Reason.REQUEST_TOO_LARGE, "the answers are larger than a message may be")
        return response

    async def StreamCheck(self, requests: AsyncIterator[StreamCheckRequest], context: Any) -> None:  # type: ignore[override]  # writes its answers itself
        call = Call.current()
        passport = call.require_passport()
        question = question_builder(call.method)(call, None)
        left = (passport.expire_time - self._units.clock.now()).total_seconds()
        with self._streams.entered(passport.principal):
            try:
                # A caller that says nothing more must not hold its place for ever.
                async with asyncio.timeout(left) as limit:
                    async for request in requests:
                        await context.write(await self._one_of_many(call, question, request))
            except TimeoutError:
                if limit.expired():
                    raise Unauthenticated(
                        Reason.CREDENTIAL_EXPIRED, "what the stream was opened with has ended"
                    ) from None
                raise

    async def Explain(self, request: ExplainRequest, context: Any) -> explanation_pb2.Explanation:
        await self._freshen(request.at_least_as_fresh)
        return await self._explanations.explain(request, self._state())

    async def ListPermissions(self, request: ListPermissionsRequest, context: Any) -> ListPermissionsResponse:
        call = Call.current()
        wanted = wire.permissions_from_wire(request)
        passport = call.require_passport()
        call.require_target(wanted.like.subject or passport.principal)
        await self._freshen(request.at_least_as_fresh)
        # How fresh is no part of what is asked for: the pages after the first need not say it again.
        asked = ListPermissionsRequest()
        asked.CopyFrom(request)
        asked.ClearField("at_least_as_fresh")
        page = self._units.page_request(asked, orders=("permission",), default_order="permission")
        revision = self._state()
        found = await self._lists.page(call.organization_id, passport, wanted, page)
        return ListPermissionsResponse(
            permissions=map(wire.permission_to_wire, found.items),
            next_page_token=found.next_page_token,
            revision=revision,
            total_size=found.total_size,
        )

    async def _one_of_many(self, call: Call, question: Question, request: StreamCheckRequest) -> StreamCheckResponse:
        if len(request.tag) > _MAX_TAG:
            raise Invalid(Violation("tag", f"must have at most {_MAX_TAG} characters", rule="length"))
        await self._freshen(request.at_least_as_fresh)
        # What held when the stream was opened may hold no longer.
        verdict = await self._authorizer.authorize(question)
        if verdict.allowed is not True:
            raise Denied(call.method.permission)
        call.verdict = verdict
        decision = await self._answer(call, wire.check_from_wire(request.check, "check"))
        return StreamCheckResponse(tag=request.tag, decision=decision)

    async def _answer(self, call: Call, check: Asked) -> decision_pb2.Decision:
        if check.subject is not None:
            call.require_target(check.subject)
        # Taken before deciding: what is decided is at least as fresh as it says.
        revision = self._state()
        decision = await self._checks.decide_one(call.organization_id, call.require_passport(), check)
        return wire.decision_to_wire(decision, revision)

    async def _decide(self, call: Call, checks: Sequence[Asked]) -> tuple[str, list[Decision]]:
        for subject in subjects_of(checks):
            if subject is not None:
                call.require_target(subject)
        passport: Passport = call.require_passport()
        # Taken before deciding: what is decided is at least as fresh as it says.
        revision = self._state()
        return revision, await self._checks.decide(call.organization_id, passport, checks)

    def _state(self) -> str:
        head = self._units.feed.head
        known, text = self._revision
        if known != head:
            text = encode_revisions({self._units.service: head})
            self._revision = (head, text)
        return text

    async def _freshen(self, token: str) -> None:
        """Wait until what is known here is at least as new as a revision token."""
        if not token:
            return
        try:
            vector = parse_revisions(token)
        except Invalid:
            raise Invalid(Violation("at_least_as_fresh", "is no revision token", rule="format")) from None
        left = Call.current().time_remaining()
        await self._units.wait_until_fresh(vector, _FRESH_SECONDS if left is None else min(left, _FRESH_SECONDS))


class _Streams:
    """How many streams each principal has open."""

    def __init__(self) -> None:
        self._open: dict[PrincipalRef, int] = {}

    @property
    def count(self) -> int:
        """How many there are in all."""
        return sum(self._open.values())

    @contextmanager
    def entered(self, principal: PrincipalRef) -> Iterator[None]:
        """Hold a place for one stream; raise RateLimited where there is none left."""
        count = self._open.get(principal, 0)
        if count >= STREAMS_OF_ONE_PRINCIPAL:
            raise RateLimited(_RETRY_SECONDS, "the caller has as many streams open as it may")
        self._open[principal] = count + 1
        try:
            yield
        finally:
            left = self._open[principal] - 1
            if left:
                self._open[principal] = left
            else:
                del self._open[principal]
