"""Token buckets (rate limits), also shared by several processes: one small file, mapped by all.

Source: the token bucket of RFC 2697 with one rate and one burst.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from workbench.core.errors import OverloadedError
from workbench.core.files import private_opener
from workbench.serving.errors import RateLimitedError
from workbench.serving.tokens import KeyLimits, Token

if sys.platform != "win32":
    import fcntl

_SLOT = struct.Struct("<Qdd")
_SLOTS = 4096


class Cell:
    """Where a bucket's level is kept, here in this process.

    Attributes:
        level: Requests left; None before the first.
        at: When it was so, in the clock's seconds.
    """

    def __init__(self) -> None:
        self.level: float | None = None
        self.at = 0.0

    def open(self) -> None:
        """Reads the level and keeps others out."""

    def close(self) -> None:
        """Writes the level and lets others in."""


class SharedCells:
    """Cells in a file that the workers of one endpoint map; the clock is the machine's.

    Args:
        path: Made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = private_opener(str(path), os.O_RDWR | os.O_CREAT)
        size = _SLOTS * _SLOT.size
        if os.fstat(self._file).st_size < size:
            # real blocks: on a full disk, writing to a hole through the map ends the process
            os.pwrite(self._file, bytes(size), 0)
        self._map = mmap.mmap(self._file, _SLOTS * _SLOT.size)

    def cell(self, token: Token) -> Cell:
        """Returns the cell of a token; the first time it takes a free slot.

        Raises:
            OverloadedError: 4,096 tokens with a rate have been made.
        """
        tag = int(token.digest[:16], 16) or 1
        first = tag % _SLOTS
        for step in range(_SLOTS):
            offset = (first + step) % _SLOTS * _SLOT.size
            self.lock(offset)
            try:
                found = _SLOT.unpack_from(self._map, offset)[0]
                if found in (0, tag):
                    if not found:
                        _SLOT.pack_into(self._map, offset, tag, math.nan, 0.0)
                    return _SharedCell(self, offset, tag)
            finally:
                self.unlock(offset)
        raise OverloadedError(
            f"{_SLOTS} tokens with a rate were made for this endpoint, the most it can count.",
            hint="Start a new endpoint.",
        )

    def read(self, offset: int) -> tuple[float, float]:
        """Returns level and time of a slot."""
        _, level, at = _SLOT.unpack_from(self._map, offset)
        return level, at

    def write(self, offset: int, tag: int, level: float, at: float) -> None:
        """Sets a slot."""
        _SLOT.pack_into(self._map, offset, tag, level, at)

    def lock(self, offset: int) -> None:
        """Keeps other processes from a slot."""
        if sys.platform != "win32":
            fcntl.lockf(self._file, fcntl.LOCK_EX, _SLOT.size, offset)

    def unlock(self, offset: int) -> None:
        """Lets them at it again."""
        if sys.platform != "win32":
            fcntl.lockf(self._file, fcntl.LOCK_UN, _SLOT.size, offset)


class _SharedCell(Cell):
    def __init__(self, cells: SharedCells, offset: int, tag: int) -> None:
        super().__init__()
        self._cells, self._offset, self._tag = cells, offset, tag

    def open(self) -> None:
        self._cells.lock(self._offset)
        level, self.at = self._cells.read(self._offset)
        self.level = None if math.isnan(level) else level

    def close(self) -> None:
        level = math.nan if self.level is None else self.level
        self._cells.write(self._offset, self._tag, level, self.at)
        self._cells.unlock(self._offset)


class Bucket:
    """A token bucket: `rate` requests a second, `burst` at once.

    Args:
        limits: Those of the key; its rate must be set.
        clock: Seconds that only grow, the same for all who share the cell.
        cell: Where the level is kept.
    """

    def __init__(
        self,
        limits: KeyLimits,
        clock: Callable[[], float] = monotonic,
        cell: Cell | None = None,
    ) -> None:
        self._rate = limits.rate or math.inf
        self._burst = float(limits.burst or max(1.0, self._rate))
        self._clock = clock
        self._cell = cell or Cell()

    def take(self, name: str) -> None:
        """Takes one request's worth.

        Raises:
            RateLimitedError: The bucket is empty; `retry_after_s` tells when it is not.
        """
        cell = self._cell
        cell.open()
        try:
            self._fill(cell)
            level = cell.level or 0.0
            if level >= 1:
                cell.level = level - 1
                return
        finally:
            cell.close()
        wait_s = math.ceil((1 - level) / self._rate)
        raise RateLimitedError(
            f"The token '{name}' asked faster than its {self._rate:g} requests a second.",
            hint="Try again after the time in Retry-After, or send more samples a request.",
            context={"rate": self._rate, "retry_after_s": max(1, wait_s)},
        )

    def _fill(self, cell: Cell) -> None:
        now = self._clock()
        if cell.level is None:
            cell.level = self._burst
        else:
            gained = max(0.0, now - cell.at) * self._rate
            cell.level = min(self._burst, cell.level + gained)
        cell.at = now
