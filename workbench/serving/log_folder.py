"""The folder of a log, inside one that must stay what it was when the log began."""

from __future__ import annotations

import errno
from pathlib import Path


class LogFolder:
    """Is made where its parent is, and nowhere else: the workspace may have been moved.

    Another folder at the same path is somebody else's, and gets no log.

    Args:
        path: Made when the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._home: tuple[int, int] | None = None

    def hold(self) -> None:
        """Remembers the folder it lies in; where there is none, nothing is written."""
        self._home = _identity(self.path.parent)

    def make(self) -> Path:
        """Returns the folder, made if need be.

        Raises:
            OSError: It cannot be made, or the folder that it lay in is not there any more.
        """
        if self._home is None or _identity(self.path.parent) != self._home:
            raise OSError(errno.ENOENT, "the folder it lay in was moved", str(self.path))
        self.path.mkdir(mode=0o700, exist_ok=True)
        return self.path


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
