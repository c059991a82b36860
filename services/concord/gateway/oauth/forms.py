"""Parameters of a request, read strictly: what is said twice, badly or at length is refused."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from concord.gateway.http import Request
from concord.gateway.oauth.problems import Problem

FORM_LIMIT: Final = 64 * 1024
_MAX_PARAMETERS: Final = 64
_FORM: Final = "application/x-www-form-urlencoded"
_BAD_CLIENT: Final = "the client's proof is malformed"

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShownClient:
    """How a client shows itself: `method` is none, basic, post or tls."""

    client_id: str
    secret: str
    method: str
    certificate: bytes = b""


def query_parameters(request: Request) -> Parameters:
    """Return the parameters of a query."""
    if len(request.query) > FORM_LIMIT:
        raise Problem("invalid_request", "the query is too long")
    return _parse(request.query)


def form_parameters(request: Request) -> Parameters:
    """Return the parameters of a form; none may be in the query, where logs keep them."""
    if request.query:
        raise Problem("invalid_request", "parameters belong into the body")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Problem("invalid_request", f"the body must be {_FORM}")
    try:
        return _parse(request.body.decode("ascii"))
    except UnicodeDecodeError:
        raise Problem("invalid_request", "the body is malformed") from None


def shown_client(request: Request, parameters: Parameters, certificate: bytes) -> ShownClient:
    """Return how the client shows itself. It does so in one way, and in no more."""
    header = request.headers.get("authorization", "")
    client_id, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
    if "client_assertion" in parameters or "client_assertion_type" in parameters:
        raise Problem("invalid_client", "assertions are not supported")
    if header:
        if "client_secret" in parameters:
            raise Problem("invalid_request", "the client shows itself in more than one way")
        named, shown = _basic(header)
        if client_id and client_id != named:
            raise Problem("invalid_request", "the client shows itself in more than one way")
        return ShownClient(named, shown, "basic")
    if not client_id:
        raise Problem("invalid_client", "no client shows itself")
    if "client_secret" in parameters:
        return ShownClient(client_id, secret, "post")
    if certificate:
        return ShownClient(client_id, "", "tls", certificate)
    return ShownClient(client_id, "", "none")


def bearer_token(request: Request) -> str:
    """Return the bearer token of the authorization header; "" where there is no header."""
    header = request.headers.get("authorization", "")
    if not header:
        return ""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Problem("invalid_token", "the authorization header holds no bearer token")
    return token


def required(parameters: Parameters, name: str) -> str:
    """Return a parameter that must be there."""
    value = parameters.get(name, "")
    if not value:
        raise Problem("invalid_request", f"`{name}` is missing")
    return value


def _parse(text: str) -> Parameters:
    found: dict[str, str] = {}
    if not text:
        return found
    pairs = text.split("&")
    if len(pairs) > _MAX_PARAMETERS:
        raise Problem("invalid_request", "there are too many parameters")
    for pair in pairs:
        if not pair:
            continue
        name, _, value = pair.partition("=")
        key = _decode(name)
        if key in found:
            raise Problem("invalid_request", "a parameter is repeated")
        found[key] = _decode(value)
    # One that is sent without a value is as good as left out (RFC 6749, 3.1).
    return {name: value for name, value in found.items() if value}


def _decode(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise Problem("invalid_request", "a parameter is not UTF-8") from None
    if "\x00" in decoded:
        raise Problem("invalid_request", "a parameter holds a null character")
    return decoded


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (ValueError, binascii.Error):
        raise Problem("invalid_client", _BAD_CLIENT) from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise Problem("invalid_client", _BAD_CLIENT)
    try:
        return _decode(client_id), _decode(secret)
    except Problem:
        raise Problem("invalid_client", _BAD_CLIENT) from None
