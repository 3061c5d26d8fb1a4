"""What an endpoint's processes say of themselves: on standard error, within bounds.

In the background that is the file `endpoints/<id>/log`, which all of them append to. When it is
too large its content becomes `log.1`, and it begins anew.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_MOST_BYTES = 8_000_000
_LOOK_EVERY = 50
_FD_LINK = Path("/proc/self/fd")


class BoundedHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error, and looks now and then whether its file is too large.

    Args:
        most_bytes: Of the file.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        super().__init__(sys.stderr)
        self._most_bytes = most_bytes
        self._left = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record; one that cannot be written is lost."""
        self._left -= 1
        if self._left < 0:
            self._left = _LOOK_EVERY
            turn_over(sys.stderr.fileno(), self._most_bytes)
        super().emit(record)


def configure() -> None:
    """Sets the logging of a process of an endpoint up."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[BoundedHandler()],
    )
    logging.raiseExceptions = False  # a full disk: nothing to say, and nowhere


def turn_over(handle: int, most_bytes: int = _MOST_BYTES) -> None:
    """Empties an endpoint's log if it is too large, after its content was put aside."""
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size <= most_bytes:
            return
        path = (_FD_LINK / str(handle)).readlink()
        if path.name != "log" or path.parent.parent.name != "endpoints":
            return  # somebody's own file
        if sys.platform != "win32":  # or the next write would leave a hole before it
            flags = fcntl.fcntl(handle, fcntl.F_GETFL)
            fcntl.fcntl(handle, fcntl.F_SETFL, flags | os.O_APPEND)
        shutil.copyfile(path, path.with_name("log.1"))
        os.ftruncate(handle, 0)
    except OSError:
        return  # a full disk: better no log than no endpoint
