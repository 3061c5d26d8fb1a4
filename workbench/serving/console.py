"""The web console: three static files, and the headers that keep everything foreign out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from workbench.serving.messages import Request, Response
from workbench.serving.routes import Handler, Route

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".html": b"text/html", ".js": b"text/javascript", ".css": b"text/css"}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'self'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept"),
)
_ASSETS = ("console.js", "console.css")

PATHS = frozenset({b"/", b"/openapi.json", *(f"/{name}".encode() for name in _ASSETS)})
"""What a browser may open under any host name, as a hub's: without a token nothing is told."""


def asset_routes() -> list[Route]:
    """Returns the routes of what the page loads, by relative addresses."""
    return [Route("GET", f"/{name}", None, _sender(name), summary=name) for name in _ASSETS]


def wants_page(request: Request) -> bool:
    """Returns whether a browser asks, and not a program."""
    return "text/html" in request.header(b"accept")


def page() -> Response:
    """Returns the page itself."""
    return _file("console.html")


def _sender(name: str) -> Handler:
    def send(request: Request, answer: Any) -> Response:
        return _file(name)

    return send


@functools.cache
def _file(name: str) -> Response:
    path = _FOLDER / name
    content_type = _TYPES[path.suffix] + b"; charset=utf-8"
    return Response(200, path.read_bytes(), content_type=content_type, headers=_HEADERS)
