"""Conditions: CEL over `request`, `resource` and `subject`, bounded, and never true by accident."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from google.protobuf.timestamp_pb2 import Timestamp

from concord.policy.engine.cost import Refused, check_cost
from concord.policy.engine.functions import FUNCTIONS, function
from concord.policy.engine.model import Request
from concord.policy.engine.networks import in_network

MAX_LENGTH = 2048
_MAX_AGENT = 255
# Facts made ready for the library; conditions of one decision share them.
Seen = cel.Activation


class Outcome(Enum):
    """What became of a condition. An error is neither true nor false: it never helps anybody."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `fault` is set for text that parses but does not type-check: it is never true."""

    text: str
    fault: str
    program: cel.Expression | None

    def evaluate(self, facts: "Mapping[str, Any] | Seen") -> tuple[Outcome, str]:
        """Return the outcome and, for an error, its reason."""
        if self.program is None:
            return Outcome.ERROR, self.fault
        try:
            value = self.program.eval(facts if isinstance(facts, cel.Activation) else see(facts)).value()
        except Exception as error:
            # The library raises when its budget of iterations is used up; whatever else it
            # may raise is no answer either.
            return Outcome.ERROR, _brief(error)
        # The library returns run-time errors as text, which Python would call true.
        if value is True:
            return Outcome.TRUE, ""
        if value is False:
            return Outcome.FALSE, ""
        return Outcome.ERROR, str(value)[:200] if isinstance(value, str) else "the value is not true or false"


def syntax_fault(text: str) -> str:
    """Return why a condition cannot be stored, naming the place, or an empty text."""
    if len(text) > MAX_LENGTH:
        return f"must have at most {MAX_LENGTH} characters"
    try:
        check_cost(_environment().compile(text, disable_check=True).serialize())
    except Refused as refusal:
        return str(refusal)
    except Exception as error:
        return _brief(error)
    return ""


# A compiled condition takes up to a quarter of a megabyte.
@lru_cache(maxsize=512)
def compile_condition(text: str) -> Condition:
    """Compile a stored condition; one that cannot be compiled is never true."""
    if len(text) > MAX_LENGTH:
        return Condition(text, f"has more than {MAX_LENGTH} characters", None)
    try:
        program = _environment().compile(text)
        check_cost(program.serialize())
    except Refused as refusal:
        return Condition(text, str(refusal), None)
    except Exception as error:
        return Condition(text, _brief(error), None)
    return Condition(text, "", program)


def see(facts: Mapping[str, Any]) -> Seen:
    """Make facts ready for any number of conditions."""
    return _environment().Activation(facts)


def facts(request: Request) -> dict[str, Any]:
    """Return what conditions may look at. What is unknown is absent, so that looking at it is an error."""
    context, resource, subject = request.context, request.resource, request.subject
    asked: dict[str, Any] = {"attributes": dict(context.attributes)}
    if context.mfa is not None:
        asked["mfa"] = context.mfa
    if context.path or context.path_variables:
        # A path without placeholders has none; of a call whose path is unknown they are unknown too.
        asked["path_variables"] = dict(context.path_variables)
    named = (
        ("ip", context.ip),
        ("user_agent", context.user_agent[:_MAX_AGENT]),
        ("method", context.method),
        ("path", context.path),
    )
    asked.update((name, value) for name, value in named if value)
    if context.time is not None:
        # Inside a map the library takes instants only as this message.
        instant = Timestamp()
        instant.FromDatetime(context.time)
        asked["time"] = instant
    touched: dict[str, Any] = dict(resource.attributes)
    for name, value in (("id", resource.id), ("name", resource.name), ("locality", resource.locality)):
        if value:
            touched[name] = value
    who = {name: value for name, value in (("kind", subject.kind), ("id", subject.id), ("name", subject.name)) if value}
    return {"request": asked, "resource": touched, "subject": who}


def _brief(error: Exception) -> str:
    """Return the library's first complaint as `line 1, column 5: …`, without its drawing of the text."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    _, _, told = line.partition("ERROR: <input>:")
    if not told:
        return line.rpartition(" [")[0] or line
    row, _, rest = told.partition(":")
    column, _, reason = rest.partition(": ")
    place = f"line {row}, column {column}: " if row.isdigit() and len(row) < 6 else ""
    return place + reason.removeprefix("Syntax error: ")


@lru_cache(maxsize=1)
def _environment() -> cel.Env:
    text, truth = cel.Type.STRING, cel.Type.BOOL
    return cel.NewEnv(
        variables={"request": cel.Type.DYN, "resource": cel.Type.DYN, "subject": cel.Type.DYN},
        functions=[function("inIpRange", in_network, (text, text), truth), *FUNCTIONS],
    )
