"""Trust policies as a caller writes them, and callers who act as others."""

import json
from typing import Any

from concord.common.v1.change_pb2 import ChangeEvent
from concord.credentials.consume import apply_identity
from concord.credentials.v1 import (
    trust_policy_pb2,
    trust_policy_service_pb2,
)
from concord.kernel.principal import PrincipalKind, PrincipalRef
from credentials.making import World
from fakes import OTHER_ORGANIZATION

BOB = PrincipalRef(PrincipalKind.USER, "88888888-8888-4888-8888-888888888888")
EVE = PrincipalRef(PrincipalKind.USER, "99999999-9999-4999-8999-999999999999")
HERE, THERE = "OP0000004711", "OP0000004712"


def name_of(username: str, operator: str = HERE) -> str:
    if not username:
        return f"srn:soracom:{operator}::Operator:{operator}"
    return f"srn:soracom:{operator}::User:{username}"


def document(*names: str, condition: str = "") -> str:
    statement: dict[str, Any] = {"effect": "allow", "principal": {"soracom": list(names)}}
    if condition:
        statement["condition"] = condition
    # Odd spaces on purpose: what comes is what is shown.
    return json.dumps({"statements": [statement]}, indent=3) + "  \n"


async def elsewhere(world: World, type: str, id: str, message: Any) -> None:
    """Let identity tell of another organization."""
    event = ChangeEvent(
        revision=next(world._revisions), organization_id=OTHER_ORGANIZATION, type=type,
        resource_type=type.partition(".")[0], resource_id=id,
    )  # fmt: skip
    event.after.Pack(message)
    await world.units.apply("identity", [event], apply_identity)


async def set_policy(world: World, user: PrincipalRef, text: str, **fields: Any) -> Any:
    request = trust_policy_service_pb2.SetTrustPolicyRequest(
        trust_policy=trust_policy_pb2.TrustPolicy(
            user_id=user.id, document=text, **{"language": "call_trust", **fields}
        )
    )
    return await world.trust.SetTrustPolicy(request, metadata=world.system)


async def get_policy(world: World, user: PrincipalRef) -> Any:
    return await world.trust.GetTrustPolicy(
        trust_policy_service_pb2.GetTrustPolicyRequest(user_id=user.id), metadata=world.system
    )


async def delete_policy(world: World, user: PrincipalRef) -> None:
    await world.trust.DeleteTrustPolicy(
        trust_policy_service_pb2.DeleteTrustPolicyRequest(user_id=user.id), metadata=world.system
    )


async def caller(world: World, user: PrincipalRef, **fields: Any) -> tuple[Any, Any]:
    """A key of a user, and the metadata with which it is shown."""
    key = await world.create_key(user, **fields)
    return key, (("authorization", f"Bearer {key.secret}"),)


async def assume(world: World, metadata: Any, **fields: Any) -> Any:
    request = trust_policy_service_pb2.AssumeUserRequest(**fields)
    return await world.trust.AssumeUser(request, metadata=metadata)
