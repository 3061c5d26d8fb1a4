"""The ASGI app for all that is not prediction: console, description, metrics, tokens, the 404."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from workbench.core.errors import InputError, WorkbenchError, unknown_name
from workbench.serving import console
from workbench.serving.asgi import AsgiApp, Receive, Scope, Send
from workbench.serving.console import asset_routes, page, wants_page
from workbench.serving.jsonbody import parse_object
from workbench.serving.messages import Request, Response, error_response, json_response
from workbench.serving.metrics import CONTENT_TYPE, Metrics
from workbench.serving.openapi import describe
from workbench.serving.protocol import Dialect, Endpoint
from workbench.serving.routes import Route, RouteTable
from workbench.serving.security import SCOPES, Gate, hash_token, new_token

_FIRST_PATHS = ("/predict", "/v2", "/v2/health/ready", "/openapi.json", "/metrics")


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

    def routes(self) -> list[Route]:
        """Returns the app's paths with what each needs."""
        tokens = "/manage/tokens"
        return [
            Route("GET", "/", None, self._root, summary="The console, or what is served"),
            *asset_routes(),
            Route("GET", "/openapi.json", None, self._describe, summary="This description"),
            Route("GET", "/metrics", "predict", self._show_metrics, summary="For Prometheus"),
            Route("GET", tokens, "manage", self._list_tokens, summary="List the tokens"),
            Route("POST", tokens, "manage", self._add_token, summary="Make a token"),
            Route(
                "DELETE", f"{tokens}/{{name}}", "manage", self._revoke_token, summary="Revoke one"
            ),
            *self._further,
        ]

    def _root(self, request: Request, answer: Any) -> Response:
        if wants_page(request):
            return page()
        body: dict[str, Any] = {"service": "workbench", "paths": list(_FIRST_PATHS)}
        if self._gate.is_known(request):
            body["models"] = self._endpoint.router.names()
        return json_response(body)

    def _describe(self, request: Request, answer: Any) -> Response:
        routes = [r for d in self._dialects.values() for r in d.routes(self._endpoint)]
        models = list(self._endpoint.router) if self._gate.is_known(request) else []
        return json_response(describe([*routes, *self.routes()], self._dialects, models))

    def _show_metrics(self, request: Request, answer: Any) -> Response:
        return Response(200, self._metrics.render(), content_type=CONTENT_TYPE)

    def _list_tokens(self, request: Request, answer: Any) -> Response:
        return json_response(
            [
                {"name": t.name, "scopes": sorted(t.scopes), "expires": t.expires}
                for t in self._gate.tokens()
            ]
        )

    def _add_token(self, request: Request, answer: Any) -> Response:
        values = parse_object(request.body)
        name, scopes = values.get("name"), values.get("scopes", ["predict"])
        expires = values.get("expires")
        problems = _token_problems(values)
        if problems:
            raise InputError(
                "The token's options are not valid.",
                problems=problems,
                hint='{"name": "ci", "scopes": ["predict"], "expires": null} would be right.',
            )
        clear = new_token()
        self._gate.add(hash_token(clear, str(name), scopes, expires))
        return json_response({"name": name, "scopes": scopes, "token": clear}, 201)

    def _revoke_token(self, request: Request, answer: Any) -> Response:
        self._gate.revoke(request.params["name"])
        return json_response({"revoked": request.params["name"]})


def _token_problems(values: dict[str, Any]) -> list[str]:
    problems = [
        f"{key}: no such option" for key in values if key not in ("name", "scopes", "expires")
    ]
    name, scopes, expires = values.get("name"), values.get("scopes", []), values.get("expires")
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        problems.append("name: a text of 1 to 64 characters would be right")
    if not isinstance(scopes, list) or any(scope not in SCOPES for scope in scopes):
        problems.append(f"scopes: a list of {', '.join(SCOPES)} would be right")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, (int, float))):
        problems.append("expires: seconds since 1970, or null, would be right")
    return problems


def make_app(
    endpoint: Endpoint,
    metrics: Metrics,
    dialects: Sequence[Dialect] = (),
    pages: Sequence[Route] = (),
) -> AsgiApp:
    """Returns the app. It checks tokens itself, so it can also run under another server.

    Args:
        endpoint: Models and gate.
        metrics: Shown at /metrics.
        dialects: Described in /openapi.json.
        pages: Further routes.
    """
    table = RouteTable(Pages(endpoint, metrics, dialects, pages).routes())
    gate = endpoint.gate

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(
            scope["method"], scope.get("raw_path", b"") or b"/", dict(scope["headers"])
        )
        request.body = await _read(receive)
        await _send(send, await _answer(table, gate, request))

    return app


async def _answer(table: RouteTable, gate: Gate, request: Request) -> Response:
    try:
        if request.path not in console.PATHS:
            gate.check_host(request)
        match = table.find(request.method, request.path)
        if match is None:
            raise unknown_name("path", request.path.decode("latin-1")[:200], _FIRST_PATHS)
        token = gate.check(request, match.route.scope)
        request.params, request.caller = match.params, token.name if token else None
        response = match.route.handler(request, None)  # type: ignore[arg-type]
        if inspect.isawaitable(response):
            response = await response
    except WorkbenchError as error:
        return error_response(error, {"error": str(error)})
    if not isinstance(response, Response):
        raise TypeError("a page must answer with a response")
    return response


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
