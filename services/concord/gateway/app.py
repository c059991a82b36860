"""The shim's one entry: mounts the dialects, carries out requests, ends every failure in the vendor's words."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from time import perf_counter

from prometheus_client import CollectorRegistry, generate_latest

from concord.credentials.v1.authentication_service_pb2 import AuthenticateRequest
from concord.gateway import docs
from concord.gateway.authentication import Authentication
from concord.gateway.call import CALL_SECONDS, Call
from concord.gateway.dialects import scaleway
from concord.gateway.http import (
    Answer,
    BodyTooLarge,
    BodyTooSlow,
    Headers,
    Request,
    RsgiProtocol,
    RsgiScope,
    clean_agent,
    encode,
    read_body,
    send,
)
from concord.gateway.oauth import OAuthSurface
from concord.gateway.openapi import document
from concord.gateway.route import Dialect, Route
from concord.gateway.router import NoMethod, NoPath, Router
from concord.gateway.upstream import Upstream
from concord.kernel.clock import Clock
from concord.kernel.errors import ConcordError
from concord.kernel.telemetry import Series, Timings

DIALECTS: tuple[Dialect, ...] = (scaleway.DIALECT,)

_log = logging.getLogger("concord.gateway")
_JSON: Headers = [("content-type", "application/json")]

# From the address of the connection and the request's headers: who calls.
CallerAddress = Callable[[str, Mapping[str, str]], str]
# From the same: the certificate with which the caller proved itself to whom we trust, DER; empty without one.
CallerCertificate = Callable[[str, Mapping[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class _Mounted:
    """A route with all that is known of it before a request comes."""

    dialect: Dialect
    route: Route
    operation: str
    answered: Series


class App:
    """Serves every dialect, its published document, and the process's own pages."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        service_token: Callable[[], str],
        clock: Clock,
        caller_address: CallerAddress,
        dialects: Sequence[Dialect] = DIALECTS,
        registry: CollectorRegistry | None = None,
        issuer: str = "",
        caller_certificate: CallerCertificate = lambda client, headers: b"",
    ) -> None:
        # The address under which others know the authorization server; that of the listener where none is set.
        self.issuer = issuer
        self._caller_certificate = caller_certificate
        self._upstream = upstream
        self._service_token = service_token
        self._clock = clock
        self._caller_address = caller_address
        self._authentication = Authentication(upstream, service_token, clock)
        self._oauth = OAuthSurface(upstream, self._authentication, service_token)
        self._dialects = tuple(dialects)
        self._pages = _pages(self._dialects)
        self._registry = registry or CollectorRegistry()
        self._timings = Timings(
            "concord_http_seconds",
            ("concord_http_requests", "HTTP requests answered."),
            "Seconds from request to answer.",
            ("dialect", "operation"),
            "status",
        )
        self._registry.register(self._timings)
        self._router: Router[_Mounted] = Router()
        for dialect in self._dialects:
            for route in dialect.routes:
                answered = self._timings.series(dialect.name, route.operation)
                self._router.add(
                    route.method, route.path, _Mounted(dialect, route, dialect.operation_name(route), answered)
                )

    async def __rsgi__(self, scope: RsgiScope, protocol: RsgiProtocol) -> None:
        """Answer one request."""
        if scope.proto != "http":
            raise ConnectionError("only HTTP is served here")
        started = perf_counter()
        method, path = scope.method, scope.path
        try:
            mounted, values = self._router.find(method, path)
        except (NoPath, NoMethod) as error:
            if self._oauth.serves(path):
                answer, answered = await self._serve_oauth(scope, protocol), self._timings.series("oauth", path)
            else:
                answer, answered = self._refuse(error, method, path)
        else:
            answered = mounted.answered
            answer = await self._serve(scope, protocol, mounted, method, path, values)
        send(protocol, answer)
        answered.add(_text(answer.status), perf_counter() - started)

    def _refuse(self, error: NoPath | NoMethod, method: str, path: str) -> tuple[Answer, Series]:
        owner = self._owner(path)
        if owner is None and isinstance(error, NoPath):
            known = path if path in self._pages else "other"
            return self._own_page(method, path), self._timings.series("own", known)
        owner = owner or self._dialects[0]
        return owner.refuse(error, None, None), self._timings.series(owner.name, "other")

    async def _serve(
        self,
        scope: RsgiScope,
        protocol: RsgiProtocol,
        mounted: _Mounted,
        method: str,
        path: str,
        values: dict[str, str],
    ) -> Answer:
        dialect, route = mounted.dialect, mounted.route
        request = None
        try:
            headers = _headers(scope)
            request = Request(
                method,
                path,
                scope.query_string,
                headers,
                await read_body(method, headers, protocol),
                self._caller_address(scope.client, headers),
                clean_agent(headers.get("user-agent", "")),
                values,
            )
            return await self._carry_out(request, mounted)
        except (ConcordError, BodyTooLarge, BodyTooSlow) as error:
            return dialect.refuse(error, request, route)
        except Exception as error:
            # The log has the trace; the caller learns only that there is one.
            _log.exception("unexpected failure in %s", mounted.operation)
            return dialect.refuse(error, request, route)

    async def _serve_oauth(self, scope: RsgiScope, protocol: RsgiProtocol) -> Answer:
        try:
            headers = _headers(scope)
            request = Request(
                scope.method,
                scope.path,
                scope.query_string,
                headers,
                await read_body(scope.method, headers, protocol, self._oauth.limit),
                self._caller_address(scope.client, headers),
                clean_agent(headers.get("user-agent", "")),
            )
            certificate = self._caller_certificate(scope.client, headers)
            return await self._oauth.answer(request, certificate, self.issuer)
        except (ConcordError, BodyTooLarge, BodyTooSlow) as error:
            return self._oauth.fail(error)
        except Exception as error:
            _log.exception("unexpected failure in %s", scope.path)
            return self._oauth.fail(error)

    async def _carry_out(self, request: Request, mounted: _Mounted) -> Answer:
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        dialect, route = mounted.dialect, mounted.route
        shown = [request.headers.get(name, "") for name in dialect.credential_headers]
        key = self._authentication.key(dialect.name, request.address, request.agent, *shown)
        admission = await self._authentication.admit(key, partial(_credential, dialect, request), within=CALL_SECONDS)
        call = Call(
            request=request,
            route=route,
            operation=mounted.operation,
            core=self._upstream,
            clock=self._clock,
            admission=admission,
            service_token=self._service_token,
            deadline=deadline,
            base=self.issuer,
        )
        route.parse(call)
        record = await route.handler(call)
        body = b"" if route.answer is None else encode(record)
        return Answer(route.status, dialect.success_headers, body)

    def _owner(self, path: str) -> Dialect | None:
        for dialect in self._dialects:
            if any(path == prefix or path.startswith(prefix + "/") for prefix in dialect.prefixes):
                return dialect
        return None

    def _own_page(self, method: str, path: str) -> Answer:
        if path == "/metrics":
            page = Answer(200, [("content-type", "text/plain; version=0.0.4")], generate_latest(self._registry))
        elif (found := self._pages.get(path)) is not None:
            page = found()
        else:
            return Answer(404, _JSON, encode({"message": "nothing is served under this path"}))
        if method not in ("GET", "HEAD"):
            return Answer(405, [*_JSON, ("allow", "GET, HEAD")], encode({"message": "method not allowed"}))
        return page


# The statuses are few; a text of each is made once.
_text = cache(str)


def _credential(dialect: Dialect, request: Request) -> AuthenticateRequest:
    credential = dialect.credential(request)
    credential.caller_address, credential.caller_agent = request.address, request.agent
    return credential


def _headers(scope: RsgiScope) -> dict[str, str]:
    pairs = scope.headers.items()
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    # Several lines of one header are one list, as HTTP says; cookies are parted otherwise (RFC 9113, 8.2.3).
    headers = {}
    for name, value in pairs:
        between = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{between}{value}" if name in headers else value
    return headers


def _pages(dialects: Sequence[Dialect]) -> dict[str, Callable[[], Answer]]:
    # Made when first asked for: most processes are started to serve something else.
    pages: dict[str, Callable[[], Answer]] = {
        "/healthz": lambda: Answer(200, _JSON, b'{"status":"serving"}'),
        "/docs/style.css": lambda: Answer(200, [("content-type", "text/css; charset=utf-8")], docs.STYLE.encode()),
        "/docs": lambda: Answer(200, docs.HEADERS, docs.index([(d.name, d.title) for d in dialects]).encode()),
    }
    for dialect in dialects:
        pages[f"/openapi/{dialect.name}.json"] = cache(partial(_document_page, dialect))
        pages[f"/docs/{dialect.name}"] = cache(partial(_docs_page, dialect))
    return pages


def _document_page(dialect: Dialect) -> Answer:
    return Answer(200, _JSON, encode(document(dialect)))


def _docs_page(dialect: Dialect) -> Answer:
    return Answer(200, docs.HEADERS, docs.page(dialect.name, document(dialect)).encode())
