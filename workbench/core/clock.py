"""The time, in one format everywhere. Nothing else reads the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Returns the current time in UTC, ISO 8601, as in 2026-11-22T08:00:00.000Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
