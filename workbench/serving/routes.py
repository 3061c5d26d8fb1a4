"""Paths to handlers. A path seen before is one dictionary look-up."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.serving.answer import Answer
from workbench.serving.errors import MethodNotAllowedError
from workbench.serving.messages import Request, Response
from workbench.serving.tokens import Scope

Handler = Callable[[Request, Answer], Coroutine[Any, Any, Response | None] | Response | None]
_CACHED_PATHS = 1024


@dataclass(frozen=True)
class Route:
    """One path of one dialect.

    Attributes:
        method: HTTP method; GET also answers HEAD.
        path: Template, as in "/v2/models/{model}/infer".
        scope: What the caller's token must allow; None is open.
        handler: Returns a response or None if it will fill the answer itself; or a coroutine of one
            of them.
        dialect: Key of the protocol plug-in, for metrics and for the form of errors.
        summary: What it does, for the description in /openapi.json.
        predicts: Whether its body is a sample and its answer a prediction.
        in_pieces: Whether that comes in pieces.
        takes: What its JSON body holds, for the description; None if it is none of ours.
        status: Of its answer.
        not_ready: Whether it answers 503 as a state, not as an error.
    """

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    dialect: str = ""
    summary: str = ""
    predicts: bool = False
    in_pieces: bool = False
    takes: type[Config] | None = None
    status: int = 200
    not_ready: bool = False


@dataclass(frozen=True)
class Match:
    """A route with what its template caught."""

    route: Route
    params: Mapping[str, str]


class RouteTable:
    """All routes of the endpoint's dialects."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(re.compile(_pattern(route.path)), route) for route in routes]
        self._seen: dict[tuple[str, bytes], Match] = {}
        _check_unique(route for _, route in self._routes)

    def find(self, method: str, path: bytes) -> Match | None:
        """Returns the match, or None if no route has this path.

        Raises:
            MethodNotAllowedError: The path exists for other methods only.
        """
        match = self._seen.get((method, path))
        if match is None:
            match = self._search(method, path)
            if match is not None and len(self._seen) < _CACHED_PATHS:
                self._seen[(method, path)] = match
        return match

    def _search(self, method: str, path: bytes) -> Match | None:
        """Of several templates that a path fits, the one with the longest fixed text counts."""
        text = path.decode("latin-1")
        wanted = "GET" if method == "HEAD" else method
        fitting = [
            (route, caught)
            for pattern, route in self._routes
            if (caught := pattern.fullmatch(text)) is not None
        ]
        longest = max((_fixed(route.path) for route, _ in fitting), default=0)
        fitting = [(route, caught) for route, caught in fitting if _fixed(route.path) == longest]
        for route, caught in fitting:
            if route.method == wanted:
                return Match(route, {k: _decoded(v) for k, v in caught.groupdict().items()})
        allowed = [route.method for route, _ in fitting]
        if allowed:
            raise MethodNotAllowedError(
                f"Got {method} {text}; this path takes {' or '.join(sorted(allowed))}.",
                context={"allow": sorted(allowed)},
            )
        return None


def _fixed(template: str) -> int:
    return len(re.sub(r"\{\w+\}", "", template))


def _pattern(template: str) -> str:
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(
        f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)
    )


def _check_unique(routes: Iterable[Route]) -> None:
    seen: dict[tuple[str, str], Route] = {}
    for route in routes:
        shape = (route.method, re.sub(r"\{\w+\}", "{}", route.path))
        if shape in seen:
            raise InputError(
                f"Two dialects claim {route.method} {route.path}: "
                f"'{seen[shape].dialect}' and '{route.dialect}'.",
                hint="Give one of them another path.",
            )
        seen[shape] = route


def _decoded(part: str) -> str:
    return unquote_to_bytes(part.encode("latin-1")).decode("utf-8", "replace")
