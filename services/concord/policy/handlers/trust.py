"""Reads trust documents for the service that keeps them."""

from datetime import UTC
from typing import Any, Final

from concord.common.v1 import trust_service_pb2
from concord.common.v1.trust_service_pb2_grpc import TrustServiceServicer
from concord.kernel.errors import Invalid, Violation
from concord.policy.engine import Context, Request, Subject
from concord.policy.languages.call_trust import condition_holds, parse_trust

LANGUAGES: Final = {"call_trust": parse_trust}


class TrustHandlers(TrustServiceServicer):
    """Says what documents say and which conditions hold; keeps nothing."""

    async def CheckTrustDocument(
        self, request: trust_service_pb2.CheckTrustDocumentRequest, context: Any
    ) -> trust_service_pb2.CheckTrustDocumentResponse:
        parse = LANGUAGES.get(request.language)
        if parse is None:
            known = ", ".join(f"`{name}`" for name in sorted(LANGUAGES))
            raise Invalid(Violation("language", f"must be one of {known}", rule="unknown"))
        return trust_service_pb2.CheckTrustDocumentResponse(
            statements=[
                trust_service_pb2.NamedTrust(
                    names=[
                        trust_service_pb2.TrustedName(
                            organization_number=user.organization_number, username=user.user_name
                        )
                        for user in statement.users
                    ],
                    services=statement.services,
                    condition=statement.condition,
                )
                for statement in parse(request.document)
            ]
        )

    async def CheckTrustConditions(
        self, request: trust_service_pb2.CheckTrustConditionsRequest, context: Any
    ) -> trust_service_pb2.CheckTrustConditionsResponse:
        asked = Request(
            "",
            Subject(kind="user", name=request.caller_name),
            context=Context(
                ip=request.caller_address,
                time=request.time.ToDatetime(tzinfo=UTC),
                user_agent=request.caller_agent,
                mfa=request.mfa,
            ),
        )
        return trust_service_pb2.CheckTrustConditionsResponse(
            holds=[condition_holds(condition, asked) for condition in request.conditions]
        )
