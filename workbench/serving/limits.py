"""What one connection may take of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass


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
