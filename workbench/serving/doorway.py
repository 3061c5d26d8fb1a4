"""TLS for connections that have a place from their first packet on, not from their first request.

A handshake that never ends holds a file of the process as an open connection does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, cast

from workbench.serving.places import Guest, Places


class Connection(Guest, Protocol):
    """What speaks over TLS, a protocol in the sense of asyncio."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may begin."""

    def data_received(self, data: bytes) -> None:
        """Something came."""


C = TypeVar("C", bound=Connection)


class Doorway(asyncio.Protocol, Generic[C]):
    """Holds a place while the handshake lasts, then leaves it to the connection.

    Args:
        places: Among which it takes its own.
        context: The certificate.
        handshake_s: For the handshake.
        make: Makes the connection.
    """

    is_answering = False

    def __init__(
        self,
        places: Places[Guest],
        context: ssl.SSLContext,
        handshake_s: float,
        make: Callable[[], C],
    ) -> None:
        self._places = places
        self._context = context
        self._handshake_s = handshake_s
        self._make = make
        self._raw: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake if there is a place."""
        self._raw = cast(asyncio.Transport, transport)
        if self._places.take(self):
            self._task = asyncio.get_running_loop().create_task(self._shake_hands(self._raw))
        else:
            self._raw.abort()

    def data_received(self, data: bytes) -> None:
        """Keeps what comes right behind the handshake."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place."""
        self._places.leave(self)

    def abort(self) -> None:
        """Ends it now."""
        if self._raw is not None:
            self._raw.abort()

    def sweep(self, now: float) -> None:
        """The handshake's own time-out ends one that is too slow."""

    def drain(self) -> None:
        """Nothing was asked yet."""
        self.abort()

    @property
    def is_owing(self) -> bool:
        """Whether a request was begun."""
        return False

    async def _shake_hands(self, raw: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            made = await loop.start_tls(
                raw,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._handshake_s,
            )
        except (OSError, EOFError):
            made = None
        self._places.leave(self)
        if made is None or made.is_closing():
            raw.abort()
            return
        connection = self._make()
        made.set_protocol(cast(asyncio.BaseProtocol, connection))
        connection.connection_made(made)
        for data in self._early:
            connection.data_received(data)
