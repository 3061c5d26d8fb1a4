"""What one connection, and one body, may take of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass

# What one body of JSON may hold, counted in its bytes before a parser sees them: the parser makes
# an object for each, and simdjson's counts saturate at 2**24 - 1. Binary tensors go beyond.
JSON_VALUES = 16_000_000
JSON_CONTAINERS = 1_000_000
JSON_TEXTS = 2_000_000
# What is larger, or holds more, is not read beside the event loop but in a process of its own.
INLINE_BYTES = 64 * 1024
INLINE_MOST_BYTES = 4 * 1024 * 1024
INLINE_VALUES = 750_000
INLINE_CONTAINERS = 10_000
# The most a body may have that is an order, not data: a configuration, a grant, a name.
ORDER_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What one connection may take. Sizes in bytes, times in seconds."""

    body_bytes: int = 64 * 1024 * 1024
    head_bytes: int = 64 * 1024
    header_s: float = 10.0
    body_s: float = 30.0
    body_bytes_per_s: int = 10_000
    keep_alive_s: float = 75.0
    linger_s: float = 2.0
    half_closed_s: float = 5.0
    connections: int = 1024
