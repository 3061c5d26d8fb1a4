"""A folder for locks that only this user of the machine can open, the same for all processes.

A lock in a shared temporary folder can be made first, or kept locked, by any other user. So every
candidate is verified before it is used: a real folder, ours, closed to everybody else.
"""

from __future__ import annotations

import functools
import getpass
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from workbench.core.files import private_folder

_NAME = "workbench"
_OTHERS, _WRITING = 0o077, 0o022


def own_folder() -> Path:
    """Returns a folder that no other user can enter, made if it is new.

    The system's own runtime folder of the user, else one in the user's cache, else one in the
    temporary folder; if other people hold all these, one of this process alone.
    """
    if os.name != "posix":
        return private_folder(Path(tempfile.gettempdir()) / f"{_NAME}-{getpass.getuser()}")
    for folder in _candidates():
        with suppress(OSError):
            if is_safe(private_folder(folder).parent) and is_own(folder):
                return folder
    return _folder_of_this_process()


def is_own(path: Path) -> bool:
    """Returns whether `path` is a folder, no link, of this user, that nobody else can enter."""
    found = path.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return is_ours and not found.st_mode & _OTHERS


def is_safe(path: Path) -> bool:
    """Returns whether nobody but this user and root can take something out of a folder."""
    found = path.stat()
    is_closed = not found.st_mode & _WRITING or bool(found.st_mode & stat.S_ISVTX)
    return is_closed and found.st_uid in (0, os.geteuid())


def _candidates() -> Iterator[Path]:
    """Yields folders in order; a runtime folder of the system must be there and be ours."""
    for runtime in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.geteuid()}"):
        if runtime and _is_runtime(Path(runtime)):
            yield Path(runtime) / _NAME
    with suppress(RuntimeError):  # nobody's home
        yield Path.home() / ".cache" / _NAME
    yield Path(tempfile.gettempdir()) / f"{_NAME}-{os.geteuid()}"


def _is_runtime(path: Path) -> bool:
    try:
        return path.is_absolute() and is_own(path)
    except OSError:
        return False


@functools.cache
def _folder_of_this_process() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_NAME}-"))
