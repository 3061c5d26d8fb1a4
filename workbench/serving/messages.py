"""One HTTP request and one response, as plain values. Knows nothing of sockets or models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from workbench.core.errors import OverloadedError, UnauthorizedError, WorkbenchError

if TYPE_CHECKING:
    from workbench.serving.routes import Route
    from workbench.serving.tokens import Token

JSON = b"application/json"
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_REASONS[499] = b"Client Closed Request"


class Request:
    """A request whose body has arrived in full.

    Attributes:
        method: As in "POST".
        target: Path and query as they came.
        path: The raw path, percent-encoded, without the query.
        query: The raw query, without "?".
        headers: By lower-case name; repeated headers are joined by ", ".
        body: The bytes, de-chunked.
        params: What the route's template caught, percent-decoded.
        caller: Name of the token that was used; None on an open route.
        token: That token.
        address: Where it comes from; "" if that is not known.
        user: Who calls, as a trusted proxy says; None if none said.
        route: The route found for it; None if it goes to the ASGI app.
    """

    __slots__ = (
        "address",
        "body",
        "caller",
        "headers",
        "method",
        "params",
        "path",
        "query",
        "route",
        "target",
        "token",
        "user",
    )

    def __init__(self, method: str, target: bytes, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.body: bytes = b""
        self.params: Mapping[str, str] = {}
        self.caller: str | None = None
        self.token: Token | None = None
        self.address = ""
        self.user: str | None = None
        self.route: Route | None = None

    def again(self) -> Request:
        """Returns a request with the same head, as it was admitted, and no body yet."""
        other = object.__new__(Request)
        other.method, other.target = self.method, self.target
        other.path, other.query = self.path, self.query
        other.headers, other.params = self.headers, self.params
        other.caller, other.token = self.caller, self.token
        other.address, other.user, other.route = self.address, self.user, self.route
        other.body = b""
        return other

    @property
    def in_pieces(self) -> bool:
        """Whether it asks for an answer in pieces."""
        return self.route is not None and self.route.in_pieces

    def header(self, name: bytes) -> str:
        """Returns the header `name` (lower case), or an empty string."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return media_type(self.header(b"content-type"))


def media_type(content_type: str) -> str:
    """Returns a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


class Response:
    """A complete response; `headers` are extra ones, beside length, type and connection."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        *,
        content_type: bytes = JSON,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers

    def head(self, *, close: bool) -> bytes:
        """Returns status line and headers, with the blank line that ends them."""
        head = b"%s%d\r\n" % (_opening(self.status, self.content_type), len(self.body))
        for name, value in self.headers:
            head += b"%s: %s\r\n" % (name, value)
        return head + (b"connection: close\r\n\r\n" if close else b"\r\n")


@lru_cache(maxsize=256)
def _opening(status: int, content_type: bytes) -> bytes:
    return status_line(status) + b"content-type: %s\r\ncontent-length: " % content_type


def status_line(status: int) -> bytes:
    """Returns the first line of a response, with its line end."""
    return b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b""))


def json_response(data: Any, status: int = 200) -> Response:
    """Returns `data` (JSON values and NumPy arrays) as a JSON response."""
    return Response(status, orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY))


def error_response(
    error: WorkbenchError, extra: Mapping[str, Any] | None = None, status: int | None = None
) -> Response:
    """Returns an error as a response.

    Args:
        error: Its own dict is the body.
        extra: Fields that are added to it.
        status: Told instead of the error's own.
    """
    body = orjson.dumps({**error.to_dict(), **(extra or {})}, default=str)
    return Response(status or error.http_status, body, headers=_error_headers(error))


def _error_headers(error: WorkbenchError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, UnauthorizedError):
        return ((b"www-authenticate", b'Bearer realm="workbench"'),)
    if isinstance(error, OverloadedError):
        return ((b"retry-after", str(error.context.get("retry_after_s", 1)).encode()),)
    if "allow" in error.context:
        return ((b"allow", ", ".join(error.context["allow"]).encode()),)
    return ()
