"""How much the logs of an endpoint may hold, and what goes when they hold more."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from workbench.core.jsonl import day_of, parts


@dataclass(frozen=True)
class LogLimits:
    """Bounds of the request log.

    Attributes:
        part_bytes: Of one file; then another is begun.
        total_bytes: Of all; then the oldest files go.
        days: How long a file is kept.
    """

    part_bytes: int = 32_000_000
    total_bytes: int = 1_000_000_000
    days: int = 30

    def prune(self, folder: Path, today: str) -> list[str]:
        """Removes what is too old or too much, the oldest first; returns the names of the files.

        The newest file stays.
        """
        oldest = datetime.fromisoformat(today).replace(tzinfo=UTC) - timedelta(days=self.days)
        first_day = oldest.date().isoformat()
        files = parts(folder)
        sizes = {path: _size(path) for path in files}
        total, gone = sum(sizes.values()), []
        for path in files[:-1]:
            if total <= self.total_bytes and day_of(path) >= first_day:
                continue
            with suppress(OSError):
                path.unlink()
                gone.append(path.name)
                total -= sizes[path]
        return gone


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another worker removed it
        return 0
