"""The one list of what wraps every call of a process, in its order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from concord.kernel.rpc.authentication import Authentication, Authenticator
from concord.kernel.rpc.authorization import Authorization, Authorizer
from concord.kernel.rpc.chain import Chain
from concord.kernel.rpc.errors import Errors
from concord.kernel.rpc.freshness import Freshness, Waiter
from concord.kernel.rpc.limits import Ceilings, Limits
from concord.kernel.rpc.passports import PassportVerifier
from concord.kernel.rpc.request_id import RequestId
from concord.kernel.rpc.telemetry import Telemetry
from concord.kernel.rpc.validation import Validation
from concord.kernel.telemetry import Metrics

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


@dataclass
class Steps:
    """The steps of a process. Authenticator and authorizer may be set once the services behind them are mounted."""

    verifier: PassportVerifier
    authenticator: Authenticator | None = None
    authorizer: Authorizer | None = None
    waiters: Mapping[str, Waiter] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    tracer: "Tracer | None" = None
    ceilings: Ceilings = field(default_factory=Ceilings)

    def __post_init__(self) -> None:
        self.authentication = Authentication(self.verifier, self.authenticator)
        self.authorization = Authorization(self.authorizer)
        self.limits = Limits(self.ceilings)

    def chain(self) -> Chain:
        """Compose the chain."""
        return Chain(
            (
                RequestId(),
                # Outside of Errors, so that it counts the codes that callers see.
                Telemetry(self.metrics, self.tracer),
                # Outside of all that can fail for a reason.
                Errors(),
                self.authentication,
                # Decisions are made on replicas, so they wait for them.
                Freshness(self.waiters),
                # Before validation: a stranger does not learn what a well-formed request looks like.
                self.authorization,
                Validation(),
                # Innermost: only calls that will do work take a place.
                self.limits,
            )
        )
