"""Lets an ASGI 3.0 app answer, on the same port, what the fast routes do not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from workbench.serving.answer import Answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def scope_of(answer: Answer, root_path: str = "") -> Scope:
    """Returns a request as an ASGI scope."""
    request = answer.request
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote_to_bytes(request.path).decode("utf-8", "replace"),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": root_path,
        "headers": list(request.headers.items()),
        "client": (request.address, 0) if request.address else None,
        "server": None,
        "extensions": {"workbench.request": {"request": request}},
    }


async def run_app(app: AsgiApp, answer: Answer, root_path: str = "") -> None:
    """Runs `app` for one request; what it sends becomes the answer."""
    exchange = _Exchange(answer)
    await app(scope_of(answer, root_path), exchange.receive, exchange.send)
    if answer.is_started:
        answer.finish()


class _Exchange:
    """The two callables an app gets."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._has_body = True
        self._start: Message | None = None

    async def receive(self) -> Message:
        if self._has_body:
            self._has_body = False
            return {"type": "http.request", "body": self._answer.request.body, "more_body": False}
        await asyncio.get_running_loop().create_future()  # cancelled when the caller goes
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._send_body(message.get("body", b""), bool(message.get("more_body", False)))

    def _send_body(self, body: bytes, has_more: bool) -> None:
        answer, start = self._answer, self._start
        if not answer.is_started and start is not None:
            headers = tuple((bytes(n).lower(), bytes(v)) for n, v in start.get("headers", ()))
            names = {name for name, _ in headers}
            if b"content-length" not in names and not has_more:
                headers = (*headers, (b"content-length", b"%d" % len(body)))
            has_length = b"content-length" in names or not has_more
            answer.start(start["status"], headers, has_length=has_length)
        answer.write(body)
        if not has_more:
            answer.finish()
