"""The ASGI app for all that is not prediction: console, description, metrics, the 404."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Sequence
from typing import Any

from workbench.core.errors import ForbiddenError, WorkbenchError, unknown_name
from workbench.serving import console
from workbench.serving.asgi import Receive, Scope, Send
from workbench.serving.console import asset_routes, page, wants_page
from workbench.serving.messages import Request, Response, error_response, json_response
from workbench.serving.metrics import CONTENT_TYPE, Metrics
from workbench.serving.openapi import describe
from workbench.serving.protocol import Dialect, Endpoint
from workbench.serving.routes import Match, Route, RouteTable
from workbench.serving.security import Gate, check_model
from workbench.serving.tokens import Token

_FIRST_PATHS = ("/predict", "/v2", "/v2/health/ready", "/openapi.json", "/metrics")
_MOST_DESCRIBED = 16


class Pages:
    """The handlers of the app."""

    def __init__(
        self,
        endpoint: Endpoint,
        metrics: Metrics,
        dialects: Sequence[Dialect] = (),
        further: Sequence[Route] = (),
    ) -> None:
        self._endpoint = endpoint
        self._gate: Gate = endpoint.gate
        self._metrics = metrics
        self._dialects = {dialect.key: dialect for dialect in dialects}
        self._further = further
        self._described: dict[Hashable, Response] = {}

    def routes(self) -> list[Route]:
        """Returns the app's paths with what each needs."""
        return [
            Route("GET", "/", None, self._root, summary="The console, or what is served"),
            *asset_routes(),
            Route("GET", "/openapi.json", None, self._describe, summary="This description"),
            Route("GET", "/metrics", "metrics", self._show_metrics, summary="For Prometheus"),
            *self._further,
        ]

    def _root(self, request: Request, answer: Any) -> Response:
        if wants_page(request):
            return page()
        body: dict[str, Any] = {"service": "workbench", "paths": list(_FIRST_PATHS)}
        token = self._gate.known(request)
        if token is not None:
            seen = self._endpoint.router.visible(token)
            body["models"] = list(dict.fromkeys(served.name for served in seen))
        return json_response(body)

    def _describe(self, request: Request, answer: Any) -> Response:
        models = self._endpoint.router.visible(self._gate.known(request))
        key = tuple(
            (served.name, served.version, served.source.path, served.source.alias)
            for served in models
        )
        if key not in self._described:
            if len(self._described) >= _MOST_DESCRIBED:
                self._described.clear()
            routes = [r for d in self._dialects.values() for r in d.routes(self._endpoint)]
            told = describe([*routes, *self.routes()], self._dialects, models)
            self._described[key] = json_response(told)
        return self._described[key]

    async def _show_metrics(self, request: Request, answer: Any) -> Response:
        page, team = self._metrics.render(), self._endpoint.team
        if team is not None:
            page = await team.sum_up(page)
        return Response(200, page, content_type=CONTENT_TYPE)


class App:
    """The ASGI app. It checks tokens itself, so it can also run under another server.

    Args:
        table: Its routes.
        gate: Who may do what.
    """

    def __init__(self, table: RouteTable, gate: Gate) -> None:
        self._table = table
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        request = Request(
            scope["method"], scope.get("raw_path", b"") or b"/", dict(scope["headers"])
        )
        given = scope.get("extensions", {}).get("workbench.request", {}).get("request")
        if given is not None:
            request.address, request.user = given.address, given.user
        request.body = await _read(receive)
        await _send(send, await self._answer(request))

    def admit(self, request: Request) -> Token | None:
        """Returns the token with which a request is admitted, by its head alone.

        Raises:
            WorkbenchError: No page has its path, or it may not see the page.
        """
        return self._find(request)[1]

    def _find(self, request: Request) -> tuple[Match, Token | None]:
        if request.path not in console.PATHS:
            self._gate.check_host(request)
        match = self._table.find(request.method, request.path)
        if match is None:
            raise unknown_name("path", request.path.decode("latin-1")[:200], _FIRST_PATHS)
        token = self._gate.check(request, match.route.scope)
        _check_models(token, match.params.get("model"))
        return match, token

    async def _answer(self, request: Request) -> Response:
        try:
            match, token = self._find(request)
            request.params, request.token = match.params, token
            request.caller = None if token is None else token.name
            response = match.route.handler(request, None)  # type: ignore[arg-type]
            if inspect.isawaitable(response):
                response = await response
        except WorkbenchError as error:
            return app_error(error)
        if not isinstance(response, Response):
            raise TypeError("a page must answer with a response")
        return response


def make_app(
    endpoint: Endpoint,
    metrics: Metrics,
    dialects: Sequence[Dialect] = (),
    pages: Sequence[Route] = (),
) -> App:
    """Returns the app.

    Args:
        endpoint: Models and gate.
        metrics: Shown at /metrics.
        dialects: Described in /openapi.json.
        pages: Further routes.
    """
    return App(RouteTable(Pages(endpoint, metrics, dialects, pages).routes()), endpoint.gate)


def app_error(error: WorkbenchError) -> Response:
    """Returns an error as the app tells it."""
    return error_response(error, {"error": str(error)})


def _check_models(token: Token | None, model: str | None) -> None:
    """A token for some models sees no page about all of them."""
    if token is not None and token.models is not None:
        if model is None:
            raise ForbiddenError(
                f"The token '{token.name}' is for {', '.join(token.models)} only.",
                hint="This page is about the whole endpoint and needs a token for all models.",
            )
        check_model(token, model)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
