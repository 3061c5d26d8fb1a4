"""Passes connections on, byte for byte, each to the server process that has the fewest.

Knows nothing of HTTP, TLS or tokens, which the processes behind it see to. A connection stays with
its process until either side closes it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from workbench.core.errors import OverloadedError
from workbench.serving.messages import error_response

_LOGGER = logging.getLogger(__name__)
_CONNECT_S = 2.0
_STEP_S = 0.02
_LEAVE_S = 1.0


class Spreader:
    """One port before several server processes. All methods run on the event loop.

    Attributes:
        last_asked: Seconds since 1970 when a caller last sent something.
    """

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}
        self._callers: set[_Caller] = set()
        self._server: asyncio.Server | None = None
        self.last_asked = time.time()

    async def start(self, host: str, port: int) -> int:
        """Starts taking connections; returns the port.

        Raises:
            OSError: The address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Caller(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def put(self, key: int, host: str, port: int) -> None:
        """Lets a server process take connections, in the place of the one with the same key."""
        self._places[key] = _Place(host, port)

    def remove(self, key: int) -> None:
        """Gives a process no further connections; those it has go on."""
        self._places.pop(key, None)

    async def stop(self, timeout_s: float) -> bool:
        """Takes no new connection and waits for the others; returns whether all ended in time."""
        if self._server is not None:
            self._server.close()
        deadline = time.monotonic() + timeout_s
        while self._callers and time.monotonic() < deadline:
            await asyncio.sleep(_STEP_S)
        is_complete = not self._callers
        for caller in list(self._callers):
            caller.abort()
        return is_complete

    async def connect(self, caller: _Caller) -> _End | None:
        """Returns a connection to the least busy process that takes one; None if none does."""
        loop = asyncio.get_running_loop()
        for place in sorted(self._places.values(), key=lambda p: (p.connections, p.chosen)):
            place.connections += 1
            place.chosen = time.monotonic()
            try:
                connecting = loop.create_connection(lambda: _End(caller), place.host, place.port)
                _, end = await asyncio.wait_for(connecting, _CONNECT_S)
            except (OSError, TimeoutError) as error:
                place.connections -= 1
                _LOGGER.warning("%s:%s takes no connection: %s", place.host, place.port, error)
                continue
            except BaseException:
                place.connections -= 1
                raise
            caller.place = place
            return end
        return None

    def begin(self, caller: _Caller) -> None:
        """Notes a caller's connection."""
        self._callers.add(caller)

    def end(self, caller: _Caller) -> None:
        """Forgets a caller's connection."""
        self._callers.discard(caller)
        if caller.place is not None:
            caller.place.connections -= 1


class _Place:
    """A server process: where it listens, how many connections it has, when it last got one."""

    __slots__ = ("chosen", "connections", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.connections = 0
        self.chosen = 0.0


class _End(asyncio.Protocol):
    """One end of a connection that is passed on; what it receives its peer sends."""

    def __init__(self, peer: _End | None = None) -> None:
        self.peer = peer
        self.has_ended = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer._transport is not None:
            self.peer._transport.write(data)

    def eof_received(self) -> bool:
        """Passes the end of one direction on; the connection goes with the end of both."""
        self.has_ended = True
        peer = self.peer
        if peer is None or peer._transport is None:
            return True
        if not peer._transport.is_closing():
            with suppress(OSError):
                peer._transport.write_eof()
        return not peer.has_ended

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer._transport is not None:
            self.peer._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer._transport is not None:
            self.peer._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Caller(_End):
    """The caller's end. What it sends before there is somebody to read it is kept, and no more."""

    def __init__(self, spreader: Spreader) -> None:
        super().__init__()
        self._spreader = spreader
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._is_refused = False
        self.place: _Place | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._spreader.begin(self)
        self._task = asyncio.get_running_loop().create_task(self._find())

    def data_received(self, data: bytes) -> None:
        self._spreader.last_asked = time.time()
        if self.peer is not None:
            super().data_received(data)
        elif not self._is_refused and self._transport is not None:
            self._early.append(data)
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        super().connection_lost(error)
        self._spreader.end(self)

    async def _find(self) -> None:
        peer = await self._spreader.connect(self)
        transport = self._transport
        if transport is None or transport.is_closing():
            if peer is not None:
                peer.close()
            return
        if peer is None:
            self._refuse(transport)
            return
        self.peer = peer
        for data in self._early:
            super().data_received(data)
        if self.has_ended:
            super().eof_received()
        if self._early:
            self._early.clear()
            transport.resume_reading()

    def _refuse(self, transport: asyncio.Transport) -> None:
        """Answers for a process that is not there; a TLS caller sees the connection closed."""
        response = error_response(
            OverloadedError(
                "No server process of this endpoint answers now.",
                hint="Ask again in a second: lost ones are started again.",
            )
        )
        self._is_refused = True
        if self._early:
            transport.resume_reading()  # unread bytes would turn the end into a reset
        transport.write(response.head(close=True) + response.body)
        with suppress(OSError):
            transport.write_eof()
        asyncio.get_running_loop().call_later(_LEAVE_S, transport.close)
