"""Runs an endpoint in this process, on a real socket, and waits for conditions."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager

import httpx

from workbench.serving.repository import load_source
from workbench.serving.security import Gate
from workbench.serving.served import Source
from workbench.serving.service import Service, Settings
from workbench.serving.tokens import hash_token, new_token


class Running:
    """A service on its own event loop in a thread."""

    def __init__(self, loaded, settings, **options):
        self.token, self.reader = new_token(), new_token()
        tokens = [hash_token(self.token, "main"), hash_token(self.reader, "reader", ["predict"])]
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.gate = Gate(tokens)

        async def start():
            self.service = Service(loaded, self.gate, settings, **options)
            return await self.service.start("127.0.0.1", 0)

        self.port = self.call(start())
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, trust_env=False
        )

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def socket(self):
        found = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    def exchange(self, data: bytes, *, half_close=False) -> bytes:
        """Sends bytes as they are and returns all that comes until the end."""
        with self.socket() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def close(self):
        self.http.close()
        is_complete = self.call(self.service.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        return is_complete


@contextmanager
def running(*sources, settings=None, loaded=None, **options):
    """Serves models for the time of the block."""
    if loaded is None:
        loaded = [
            item if isinstance(item, Source) else Source(item.stem, "1", item, None, str(item))
            for item in sources
        ]
        loaded = [load_source(source) for source in loaded]
    made = Running(loaded, settings or Settings(), **options)
    try:
        yield made
    finally:
        made.close()


def read_all(connection) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def wait_for(condition, timeout_s=20.0):
    """Returns the first true value of `condition()`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        threading.Event().wait(0.005)
    raise TimeoutError("the condition never held")


def raw_request(method, path, *, token=None, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
