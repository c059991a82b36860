"""The endpoint that browsers come to: authorization, the question of consent, and the cookie of a login."""

import re
from html import escape
from typing import Final
from urllib.parse import urlencode

from concord.credentials.v1 import authentication_service_pb2, oauth_consent_pb2, oauth_service_pb2
from concord.gateway.http import Answer, Headers, Request, encode
from concord.gateway.oauth.forms import Parameters, bearer_token, form_parameters, query_parameters
from concord.gateway.oauth.problems import JSON, NO_STORE, Problem, ascii_text, problem_of
from concord.gateway.oauth.tokens import Exchange
from concord.kernel.errors import ConcordError

_TEXTS: Final = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "prompt",
    "resource",
)
_DECISIONS: Final = {
    "": oauth_service_pb2.CONSENT_DECISION_UNSPECIFIED,
    "granted": oauth_service_pb2.CONSENT_DECISION_GRANTED,
    "denied": oauth_service_pb2.CONSENT_DECISION_DENIED,
}
_MAX_AGE: Final = re.compile(r"[0-9]{1,9}")
_COOKIE: Final = "concord_session"
_PAGE: Final[Headers] = [
    ("content-type", "text/html; charset=utf-8"),
    *NO_STORE,
    ("content-security-policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]


async def authorize(exchange: Exchange) -> Answer:
    """RFC 6749, 3.1. A POST is the same request, and may answer the question of consent."""
    request = exchange.request
    posted = request.method == "POST"
    parameters = form_parameters(request) if posted else query_parameters(request)
    token = _login(request, exchange.issuer)
    if not token:
        raise Problem("login_required", "a login is needed", status=401)
    message = _message(parameters, exchange.issuer, posted=posted)
    credential = authentication_service_pb2.AuthenticateRequest(access_token=token)
    try:
        answer = await exchange.caller.ask_as(
            credential, ("session", token), exchange.caller.core.oauth.Authorize, message
        )
    except ConcordError as error:
        raise problem_of(error, unidentified="login_required") from None
    if answer.HasField("consent_question"):
        return _ask(request, parameters, answer.consent_question)
    return _go_back(answer)


async def keep_login(exchange: Exchange) -> Answer:
    """Put the token of a login into a cookie that only the authorization endpoint's own pages send along."""
    token = bearer_token(exchange.request)
    if not token:
        raise Problem("login_required", "an access token is needed", status=401)
    credential = authentication_service_pb2.AuthenticateRequest(access_token=token)
    try:
        await exchange.caller.examine(credential, ("session", token))
    except ConcordError as error:
        raise problem_of(error, unidentified="invalid_token") from None
    return Answer(204, [*NO_STORE, ("set-cookie", _cookie(exchange.issuer, token))])


async def drop_login(exchange: Exchange) -> Answer:
    """Let the browser forget the login. The session itself is ended by the core's own call."""
    return Answer(204, [*NO_STORE, ("set-cookie", _cookie(exchange.issuer, "") + "; Max-Age=0")])


def _message(parameters: Parameters, issuer: str, *, posted: bool) -> oauth_service_pb2.AuthorizeRequest:
    for name in ("request", "request_uri", "registration"):
        if name in parameters:
            raise Problem("invalid_request", f"`{name}` is not supported")
    if parameters.get("response_mode", "query") != "query":
        raise Problem("invalid_request", "`response_mode` must be query")
    message = oauth_service_pb2.AuthorizeRequest(issuer=issuer)
    for name in _TEXTS:
        setattr(message, name, parameters.get(name, ""))
    age = parameters.get("max_age", "")
    if age:
        if not _MAX_AGE.fullmatch(age):
            raise Problem("invalid_request", "`max_age` must be a number of seconds")
        message.max_age.FromSeconds(int(age))
    if posted:
        decision = _DECISIONS.get(parameters.get("consent", ""))
        if decision is None:
            raise Problem("invalid_request", "`consent` must be granted or denied")
        message.consent_decision = decision
        message.consent_proof = parameters.get("consent_proof", "")
    return message


def _go_back(answer: oauth_service_pb2.AuthorizeResponse) -> Answer:
    said = {"code": answer.code, "state": answer.state, "iss": answer.issuer}
    if answer.error:
        said = {
            "error": answer.error,
            "error_description": ascii_text(answer.error_description),
            "state": answer.state,
            "iss": answer.issuer,
        }
    query = urlencode({name: value for name, value in said.items() if value})
    separator = "&" if "?" in answer.redirect_uri else "?"
    # 303: whatever the browser sent here, it sends none of it on.
    return Answer(303, [*NO_STORE, ("location", f"{answer.redirect_uri}{separator}{query}"), _NO_REFERRER])


_NO_REFERRER: Final = ("referrer-policy", "no-referrer")


def _ask(request: Request, parameters: Parameters, question: oauth_consent_pb2.ConsentQuestion) -> Answer:
    if "text/html" not in request.headers.get("accept", ""):
        body = {
            "error": "consent_required",
            "error_description": "the user has to be asked first",
            "client_id": question.client_id,
            "client_name": question.client_name,
            "scope": " ".join(question.scopes),
            "consent_proof": question.consent_proof,
        }
        return Answer(403, JSON, encode(body))
    kept = {name: parameters[name] for name in (*_TEXTS, "max_age") if name in parameters}
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in {**kept, "consent_proof": question.consent_proof}.items()
    )
    scopes = "".join(f"<li><code>{escape(each)}</code></li>" for each in question.scopes)
    # What turns a text's direction around could turn the question around. A name may be anybody's, an id is not.
    shown = "".join(each if each.isprintable() else "?" for each in question.client_name)
    client_id = f"<code>{escape(question.client_id)}</code>"
    name = f"<bdi>{escape(shown)}</bdi> ({client_id})" if shown else client_id
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Concord</title></head><body>'
        f"<h1>Let {name} in?</h1><p>It asks for:</p><ul>{scopes}</ul>"
        f'<form method="post" action="/oauth2/authorize">{fields}'
        '<button name="consent" value="granted">Allow</button> '
        '<button name="consent" value="denied">Deny</button></form></body></html>\n'
    )
    return Answer(200, _PAGE, page.encode())


def _login(request: Request, issuer: str) -> str:
    token = bearer_token(request)
    if token:
        return token
    name = _cookie_name(issuer)
    pairs = (each.strip().partition("=") for each in request.headers.get("cookie", "").split(";"))
    found = [value for key, _, value in pairs if key == name]
    # Two of one name: somebody else put one of them there.
    return found[0] if len(found) == 1 and found[0].isascii() else ""


def _cookie_name(issuer: str) -> str:
    return f"__Host-{_COOKIE}" if issuer.startswith("https://") else _COOKIE


def _cookie(issuer: str, token: str) -> str:
    secure = "; Secure" if issuer.startswith("https://") else ""
    return f"{_cookie_name(issuer)}={token}; Path=/; HttpOnly; SameSite=Lax{secure}"
