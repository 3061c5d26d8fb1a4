"""Listens for TLS: a connection takes its place when it comes, before it has shaken hands.

An event loop's own server makes the protocol only after the handshake, so that callers who never
begin one would be counted nowhere and take every file that the process may open.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from contextlib import suppress

from workbench.serving.application import Application
from workbench.serving.http import HttpConnection

_LOGGER = logging.getLogger(__name__)
BACKLOG = 1024
_AT_ONCE = 32  # taken in one turn of the loop: whoever floods holds up nobody
_SOON_S, _LATER_S = 0.005, 0.5
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class TlsConnection(HttpConnection):
    """A connection that begins with a handshake, in which it is a stranger like any other."""

    def __init__(self, app: Application, sock: socket.socket) -> None:
        super().__init__(app)
        self._handshake: socket.socket | None = sock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done; the place stays the same."""
        self._handshake = None
        super().connection_made(transport)

    def drain(self) -> None:
        """Ends the connection once what it owes is answered: during the handshake, nothing."""
        if self._handshake is None:
            super().drain()
        else:
            self.abort()

    def abort(self) -> None:
        """Ends the connection now; the event loop closes the socket when it finds it ended."""
        super().abort()
        if self._handshake is not None:
            with suppress(OSError):  # the caller was faster
                self._handshake.shutdown(socket.SHUT_RDWR)

    async def shake_hands(self, context: ssl.SSLContext, timeout_s: float) -> None:
        """Becomes a connection, or frees its place."""
        sock = self._handshake
        if sock is None:
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: self, sock, ssl=context, ssl_handshake_timeout=timeout_s
            )
        except OSError as error:  # it speaks no TLS, took too long, left or had to give way
            _LOGGER.debug("no handshake: %s", error)
        finally:
            if self._handshake is not None:
                self._handshake = None
                self._app.connections.leave(self)


class TlsListener:
    """Takes connections and lets them shake hands.

    Args:
        app: What answers.
        context: With the certificate.
    """

    def __init__(self, app: Application, context: ssl.SSLContext) -> None:
        self._app = app
        self._context = context
        self._loop = asyncio.get_running_loop()
        self.sockets: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, *, shares_port: bool) -> None:
        """Listens on every address of a host, as the event loop finds them.

        Raises:
            OSError: An address is taken, or not ours.
        """
        bound = await self._loop.create_server(
            asyncio.Protocol, host, port, reuse_port=shares_port or None, start_serving=False
        )
        self.sockets = [one.dup() for one in bound.sockets]
        bound.close()
        for one in self.sockets:
            one.setblocking(False)
            one.listen(BACKLOG)
            self._watch(one)

    def close(self) -> None:
        """Takes no further connection."""
        for one in self.sockets:
            self._loop.remove_reader(one)
            one.close()
        self.sockets = []

    def _watch(self, listener: socket.socket) -> None:
        if listener in self.sockets:
            self._loop.add_reader(listener, self._take_some, listener)

    def _take_some(self, listener: socket.socket) -> None:
        try:
            for _ in range(_AT_ONCE):
                self._take(_accept(listener))
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._rest(listener, error)

    def _take(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        made = TlsConnection(self._app, sock)
        self._app.connections.take(made)
        work = made.shake_hands(self._context, self._app.limits.header_s)
        task = self._loop.create_task(work)
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def _rest(self, listener: socket.socket, error: OSError) -> None:
        """Takes nothing until there is room; makes some if that is what is short."""
        makes_room = error.errno in _SHORT and self._app.connections.give_way()
        if not makes_room:
            _LOGGER.warning("no connection can be taken: %s", error)
        self._loop.remove_reader(listener)
        self._loop.call_later(_SOON_S if makes_room else _LATER_S, self._watch, listener)


def _accept(listener: socket.socket) -> socket.socket:
    return listener.accept()[0]
