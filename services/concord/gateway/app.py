"""The shim's one entry: mounts the dialects, carries out requests, ends every failure in the vendor's words."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

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
from concord.gateway.openapi import document
from concord.gateway.route import Dialect, Route
from concord.gateway.router import NoMethod, NoPath, Router
from concord.gateway.upstream import Upstream
from concord.kernel.clock import Clock
from concord.kernel.errors import ConcordError

DIALECTS: tuple[Dialect, ...] = (
    scaleway.DIALECT,
)

_log = logging.getLogger("concord.gateway")
_JSON: Headers = [("content-type", "application/json")]

# From the address of the connection and the request's headers: who calls.
CallerAddress = Callable[[str, Mapping[str, str]], str]


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
    ) -> None:
        self._upstream = upstream
        self._service_token = service_token
        self._clock = clock
        self._caller_address = caller_address
        self._authentication = Authentication(upstream, service_token, clock)
        self._dialects = tuple(dialects)
        self._router: Router[tuple[Dialect, Route, str]] = Router()
        for dialect in self._dialects:
            for route in dialect.routes:
                self._router.add(route.method, route.path, (dialect, route, dialect.operation_name(route)))
        self._pages = _pages(self._dialects)
        self._registry = registry or CollectorRegistry()
        self._count = Counter(
            "concord_http_requests",
            "HTTP requests answered.",
            ("dialect", "operation", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "concord_http_seconds",
            "Seconds from request to answer.",
            ("dialect", "operation"),
            registry=self._registry,
        )

    async def __rsgi__(self, scope: RsgiScope, protocol: RsgiProtocol) -> None:
        """Answer one request."""
        if scope.proto != "http":
            raise ConnectionError("only HTTP is served here")
        started = perf_counter()
        answer, name, operation = await self._answer(scope, protocol)
        send(protocol, answer)
        self._count.labels(name, operation, str(answer.status)).inc()
        self._seconds.labels(name, operation).observe(perf_counter() - started)

    async def _answer(self, scope: RsgiScope, protocol: RsgiProtocol) -> tuple[Answer, str, str]:
        try:
            (dialect, route, operation), values = self._router.find(scope.method, scope.path)
        except NoPath as error:
            owner = self._owner(scope.path)
            if owner is None:
                return self._own_page(scope), "own", scope.path if scope.path in self._pages else "other"
            return owner.refuse(error, None, None), owner.name, "other"
        except NoMethod as error:
            owner = self._owner(scope.path) or self._dialects[0]
            return owner.refuse(error, None, None), owner.name, "other"
        answer = await self._serve(scope, protocol, dialect, route, operation, values)
        return answer, dialect.name, route.operation

    async def _serve(
        self,
        scope: RsgiScope,
        protocol: RsgiProtocol,
        dialect: Dialect,
        route: Route,
        operation: str,
        values: dict[str, str],
    ) -> Answer:
        request = None
        try:
            headers = _headers(scope)
            request = Request(
                method=scope.method,
                path=scope.path,
                query=scope.query_string,
                headers=headers,
                body=await read_body(scope, protocol),
                address=self._caller_address(scope.client, headers),
                agent=clean_agent(headers.get("user-agent", "")),
                path_values=values,
            )
            return await self._carry_out(request, dialect, route, operation)
        except (ConcordError, BodyTooLarge, BodyTooSlow) as error:
            return dialect.refuse(error, request, route)
        except Exception as error:
            # The log has the trace; the caller learns only that there is one.
            _log.exception("unexpected failure in %s", operation)
            return dialect.refuse(error, request, route)

    async def _carry_out(self, request: Request, dialect: Dialect, route: Route, operation: str) -> Answer:
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        credential = dialect.credential(request)
        credential.caller_address, credential.caller_agent = request.address, request.agent
        admission = await self._authentication.admit(credential, within=CALL_SECONDS)
        call = Call(
            request=request,
            route=route,
            operation=operation,
            core=self._upstream,
            clock=self._clock,
            admission=admission,
            service_token=self._service_token,
            deadline=deadline,
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

    def _own_page(self, scope: RsgiScope) -> Answer:
        if scope.path == "/metrics":
            page = Answer(200, [("content-type", "text/plain; version=0.0.4")], generate_latest(self._registry))
        elif (found := self._pages.get(scope.path)) is not None:
            page = found()
        else:
            return Answer(404, _JSON, encode({"message": "nothing is served under this path"}))
        if scope.method not in ("GET", "HEAD"):
            return Answer(405, [*_JSON, ("allow", "GET, HEAD")], encode({"message": "method not allowed"}))
        return page


def _headers(scope: RsgiScope) -> dict[str, str]:
    # Several lines of one header are one list, as HTTP says.
    headers: dict[str, str] = {}
    for name, value in scope.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
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
