"""Conditions: CEL over `request` and `resource`, bounded, and never true by accident."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from google.protobuf.timestamp_pb2 import Timestamp

from concord.policy.engine.model import Request

MAX_LENGTH = 2048
_MAX_AGENT = 255


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

    def evaluate(self, facts: Mapping[str, Any]) -> tuple[Outcome, str]:
        """Return the outcome and, for an error, its reason."""
        if self.program is None:
            return Outcome.ERROR, self.fault
        try:
            value = self.program.eval(data=facts).value()
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
        _environment().compile(text, disable_check=True)
    except Exception as error:
        return _brief(error)
    return ""


@lru_cache(maxsize=4096)
def compile_condition(text: str) -> Condition:
    """Compile a stored condition; one that cannot be compiled is never true."""
    if len(text) > MAX_LENGTH:
        return Condition(text, f"has more than {MAX_LENGTH} characters", None)
    try:
        program = _environment().compile(text)
    except Exception as error:
        return Condition(text, _brief(error), None)
    return Condition(text, "", program)


def facts(request: Request) -> dict[str, Any]:
    """Return what conditions may look at. What is unknown is absent, so that looking at it is an error."""
    context, resource = request.context, request.resource
    asked: dict[str, Any] = {
        "user_agent": context.user_agent[:_MAX_AGENT],
        "mfa": context.mfa,
        "attributes": dict(context.attributes),
    }
    for name, value in (("ip", context.ip), ("method", context.method), ("path", context.path)):
        if value:
            asked[name] = value
    if context.time is not None:
        # Inside a map the library takes instants only as this message.
        instant = Timestamp()
        instant.FromDatetime(context.time)
        asked["time"] = instant
    touched: dict[str, Any] = dict(resource.attributes)
    for name, value in (("id", resource.id), ("name", resource.name), ("locality", resource.locality)):
        if value:
            touched[name] = value
    return {"request": asked, "resource": touched}


def in_network(address: str, network: str) -> bool:
    """Tell whether an address lies in a network `address/bits`, whose host bits may be set.

    Raises ValueError for texts that are no address or network.
    """
    family, number, width = _parse_address(address)
    base_text, _, bits_text = network.partition("/")
    base_family, base, base_width = _parse_address(base_text)
    if bits_text and not (bits_text.isascii() and bits_text.isdigit()):
        raise ValueError(f"`{network}` is no network")
    bits = int(bits_text) if bits_text else base_width
    if bits > base_width or network.endswith("/"):
        raise ValueError(f"`{network}` is no network")
    if family != base_family:
        return False
    shift = width - bits
    return number >> shift == base >> shift


@lru_cache(maxsize=8192)
def _parse_address(text: str) -> tuple[int, int, int]:
    family, width = (socket.AF_INET6, 128) if ":" in text else (socket.AF_INET, 32)
    try:
        number = int.from_bytes(socket.inet_pton(family, text), "big")
    except (OSError, ValueError) as error:
        raise ValueError(f"`{text}` is no address") from error
    if width == 128 and number >> 32 == 0xFFFF:
        # An IPv4 caller seen through an IPv6 socket is still an IPv4 caller.
        return socket.AF_INET, number & 0xFFFFFFFF, 32
    return family, number, width


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
        variables={"request": cel.Type.DYN, "resource": cel.Type.DYN},
        functions=[_function("inIpRange", in_network, (text, text), truth)],
    )


def _function(
    name: str, implementation: Callable[..., Any], parameters: tuple[cel.Type, ...], result: cel.Type
) -> cel.FunctionDecl:
    overload = cel.Overload(
        f"{name}_{len(parameters)}",
        return_type=result,
        parameters=list(parameters),
        is_member=False,
        impl=implementation,
    )
    return cel.FunctionDecl(name, [overload])
