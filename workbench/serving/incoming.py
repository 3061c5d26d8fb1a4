"""A request while it comes: its head and its body, each bounded before it costs anything."""

from __future__ import annotations

from io import BytesIO

from workbench.serving.body_room import BodyRoom
from workbench.serving.errors import BadRequestError
from workbench.serving.limits import Limits

_FREE_CHUNKS = 10_000
_LEAST_CHUNK = 16  # bytes, on the average of what goes beyond


class Head:
    """Request line and headers.

    Attributes:
        target: Path and query.
        headers: By lower-case name; repeated ones are joined by ", ".
    """

    __slots__ = ("_bytes", "_count", "_limits", "headers", "target")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = self._count = 0
        self.target = b""
        self.headers: dict[bytes, bytes] = {}

    def add_target(self, piece: bytes) -> None:
        """Takes a piece of the target.

        Raises:
            HeadTooLargeError: The head is too long.
        """
        self._grow(len(piece))
        self.target += piece

    def add(self, name: bytes, value: bytes) -> None:
        """Takes a header.

        Raises:
            HeadTooLargeError: The head is too long, or has too many of them.
            BadRequestError: It is a second Host.
        """
        self._count += 1
        if self._count > self._limits.headers:
            raise self._limits.too_many_headers()
        self._grow(len(name) + len(value))
        name = name.lower()
        if name in self.headers:
            if name == b"host":
                raise BadRequestError("Got two Host headers; a request has one.")
            value = self.headers[name] + b", " + value
        self.headers[name] = value

    @property
    def announced(self) -> int:
        """Bytes of the body, as the head says; 0 if it does not."""
        length = self.headers.get(b"content-length", b"")
        return int(length) if length.isdigit() else 0

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return b"transfer-encoding" in self.headers

    def _grow(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.head_bytes:
            raise self._limits.head_too_large()


class Body:
    """Bytes, for which there is room among those of all connections.

    Attributes:
        most: Bytes that are taken.
        is_known: Whether a valid token came with the head.
    """

    __slots__ = ("_chunks", "_data", "_limits", "_room", "_size", "is_known", "most")

    def __init__(self, limits: Limits, room: BodyRoom) -> None:
        self._limits = limits
        self._room = room
        self._data: BytesIO | None = None
        self._size = self._chunks = 0
        self.most = limits.small_body_bytes
        self.is_known = False

    def __len__(self) -> int:
        return self._size

    def begin(self, data: bytes, length: int, *, is_known: bool) -> None:
        """Takes the first piece, for which room was taken, of a body of `length` bytes."""
        self.most, self.is_known = length, is_known
        self._keep(data)

    def add(self, data: bytes) -> None:
        """Takes a piece.

        Raises:
            TooLargeError: It is one too many.
            OverloadedError: There is no room.
        """
        size = self._size + len(data)
        if size > self.most:
            raise self._limits.too_large(size, self.most)
        self._room.take(len(data), self.is_known)
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self._data is None:
            self._data = BytesIO()
        self._data.write(data)
        self._size += len(data)

    def count_chunk(self) -> None:
        """Notes that a chunk begins.

        Raises:
            BadRequestError: There are too many for what they hold.
        """
        self._chunks += 1
        if self._chunks > _FREE_CHUNKS + self._size // _LEAST_CHUNK:
            raise BadRequestError(
                f"Got a body of {self._size} bytes in {self._chunks} chunks.",
                hint="Send chunks of some kilobytes, or the length of the body.",
            )

    def release(self) -> None:
        """Gives up what came."""
        self._room.give(self._size, self.is_known)
        self._data, self._size = None, 0

    def hand_over(self) -> bytes:
        """Returns what came, without a copy; the room stays taken."""
        data, self._data, self._size = self._data, None, 0
        return b"" if data is None else data.getvalue()
