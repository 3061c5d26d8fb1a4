"""What one connection, and one body, may take of an endpoint, and what is said of more."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.core.errors import OverloadedError
from workbench.serving.errors import HeadTooLargeError, TooLargeError

# What one body of JSON may hold, counted in its bytes before a parser sees them: the parser makes
# an object for each, and simdjson's counts saturate at 2**24 - 1. Binary tensors go beyond.
JSON_VALUES = 16_000_000
JSON_CONTAINERS = 1_000_000
JSON_TEXTS = 2_000_000
# What is larger, or holds more, is not read beside the event loop but in a process of its own.
INLINE_BYTES = 64 * 1024
INLINE_MOST_BYTES = 1024 * 1024
INLINE_VALUES = 32_000  # up to a microsecond each where they are wrong
INLINE_CONTAINERS = 10_000
# The most a body may have that is an order, not data: a configuration, a grant, a name.
ORDER_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one connection may take. Sizes in bytes, times in seconds.

    Attributes:
        body_bytes: Of a request.
        small_body_bytes: Of a request to a path that takes no body.
        buffered_bytes: Of all bodies that came and are not answered yet.
        head_bytes: Of request line and headers.
        headers: In a head.
        header_s: For a head, from its first byte; also for the handshake of TLS.
        body_s: For a body, beside the time that its bytes take; also the longest for which a
            caller may read nothing of its answer.
        body_bytes_per_s: The slowest a body may come.
        keep_alive_s: Of a connection that asks for nothing.
        linger_s: For a caller to read why it was refused.
        half_closed_s: Of a caller that closed its side.
        connections: Open at once.
        connections_a_token: Of them, with one token; None is half.
    """

    body_bytes: int = 64 * 1024 * 1024
    small_body_bytes: int = 64 * 1024
    buffered_bytes: int = 512 * 1024 * 1024
    head_bytes: int = 64 * 1024
    headers: int = 100
    header_s: float = 10.0
    body_s: float = 30.0
    body_bytes_per_s: int = 10_000
    keep_alive_s: float = 75.0
    linger_s: float = 2.0
    half_closed_s: float = 5.0
    connections: int = 1024
    connections_a_token: int | None = None

    @property
    def share(self) -> int:
        """Connections that one token may hold."""
        given = self.connections_a_token
        return max(1, self.connections // 2) if given is None else given

    def too_large(self, got: int, most: int | None = None) -> TooLargeError:
        """Returns the error for a body of `got` bytes where `most` are taken."""
        most = self.body_bytes if most is None else most
        is_data = most >= self.body_bytes
        return TooLargeError(
            f"Got a body of {got} bytes or more; the limit is {most}.",
            hint="Send fewer samples a request, or raise --max-body."
            if is_data
            else "This path takes no data; POST to one that predicts.",
            context={"limit_bytes": most},
        )

    def head_too_large(self) -> HeadTooLargeError:
        """Returns the error for a longer head."""
        return HeadTooLargeError(
            f"Got a request head of more than {self.head_bytes} bytes.",
            hint="Send large values in the body.",
        )

    def too_many_headers(self) -> HeadTooLargeError:
        """Returns the error for a further header."""
        return HeadTooLargeError(
            f"Got more than {self.headers} headers.", hint="Send many values in the body."
        )

    def too_many_of(self, token: str) -> OverloadedError:
        """Returns the error for a further connection with one token."""
        return OverloadedError(
            f"The token '{token}' holds {self.share} connections, the most that one may.",
            hint="Use one connection for many requests (keep-alive), or try again later.",
            context={"retry_after_s": 1},
        )

    def too_many(self) -> OverloadedError:
        """Returns the error for a further connection."""
        return OverloadedError(
            f"{self.connections} connections with a token are open, the most allowed.",
            hint="Use one connection for many requests (keep-alive), or try again later.",
            context={"retry_after_s": 1},
        )


class Stall:
    """Tells when a caller has read nothing of what was written to it for too long."""

    __slots__ = ("_left", "_since")

    def __init__(self) -> None:
        self._left = 0
        self._since = 0.0

    def is_over(self, left: int, now: float, allowed_s: float) -> bool:
        """Returns whether `left` bytes have been unread for more than `allowed_s`."""
        if left != self._left:
            self._left, self._since = left, now
        return left > 0 and now - self._since > allowed_s
