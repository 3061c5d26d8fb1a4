"""A small file that can also be written anew when the disk is full.

Its blocks are taken beforehand: the text is padded with spaces to a whole number of steps, and a
second file of that size lies beside it. What is new is written into the second one, in place, and
the two change names. (A file system that copies on write may need space even for that.)
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_STEP_BYTES = 64 * 1024
_FREE_SHARE = 1.25


class ReservedFile:
    """Text, readable by its owner only. One writer at a time: the caller holds a lock.

    Args:
        path: Of the file; its neighbours `.spare` and `.old` belong to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spare = path.with_suffix(".spare")
        self._old = path.with_suffix(".old")

    def reserve(self, first: str) -> None:
        """Takes the space for all further writes, of a text that is there or a first one.

        Raises:
            OSError: There is none.
        """
        try:
            self._take(len(self._path.read_bytes().rstrip()))
        except FileNotFoundError:
            self.write(first)

    def _take(self, size: int) -> None:
        """Takes the space for the next write of `size` bytes."""
        handle = self._open()
        try:
            missing = _padded(size) - os.fstat(handle).st_size
            if missing > 0:
                os.lseek(handle, 0, os.SEEK_END)
                _write(handle, bytes(missing).replace(b"\0", b" "))
        finally:
            os.close(handle)

    def write(self, text: str) -> None:
        """Replaces the text, whole at once and durably.

        Raises:
            OSError: There is no space beyond what was reserved; what was there stays.
        """
        data = text.encode()
        handle = self._open()
        try:
            size = max(_padded(len(data)), os.fstat(handle).st_size)
            os.lseek(handle, 0, os.SEEK_SET)
            _write(handle, data.ljust(size))
            os.fsync(handle)
        finally:
            os.close(handle)
        self._exchange()
        with suppress(OSError):  # this text is written; the next one may find more space
            self._take(len(data))

    def _open(self) -> int:
        return os.open(self._spare, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)

    def _exchange(self) -> None:
        """Gives the new text the file's name, and the old file that of the spare one."""
        self._old.unlink(missing_ok=True)
        with suppress(OSError):  # there is no old one, or no hard links: its space is given up
            self._old.hardlink_to(self._path)
        self._spare.replace(self._path)
        with suppress(FileNotFoundError):
            self._old.replace(self._spare)


def _padded(size: int) -> int:
    steps = -(-int(_FREE_SHARE * size) // _STEP_BYTES)
    return max(1, steps) * _STEP_BYTES


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
