"""Writing files: whole at once, for their owner only, and what cannot be written said in words."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from workbench.core.errors import InputError, StorageError
from workbench.core.storage import storage_error

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)  # Windows has none


def private_folder(path: Path) -> Path:
    """Makes a folder, and those above it that are missing, for their owner only; returns it.

    One that is there keeps its mode: perhaps it is shared on purpose. `umask` plays no part.
    """
    if not path.is_dir():
        private_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir(mode=_FOLDER_MODE)
            path.chmod(_FOLDER_MODE)
    return path


def private_opener(path: str, flags: int) -> int:
    """Opens a file for its owner only and follows no link; for `open(…, opener=…)`.

    A file of ours that others could open, since an older version made it, is closed to them.
    """
    handle = os.open(path, flags | _NO_FOLLOW, _FILE_MODE)
    if os.name == "posix" and flags & os.O_CREAT:
        _close_to_others(handle)
    return handle


def open_private(path: Path, mode: str, buffering: int = -1) -> IO[Any]:
    """Opens a file to write for its owner only, following no link.

    Args:
        path: In a folder that is there.
        mode: As of `open`; text is UTF-8.
        buffering: As of `open`.
    """
    encoding = None if "b" in mode else "utf-8"
    return open(path, mode, buffering, encoding, opener=private_opener)


def take_space(path: Path) -> None:
    """Takes the space of a sparse file from the disk, before it is written through a memory map.

    On a full disk such a write is no error that could be told of: the system ends the process.

    Raises:
        OSError: There is not enough.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def write_private(path: Path, text: str, *, durable: bool = False) -> None:
    """Writes a file whole at once, readable by its owner only.

    Args:
        path: Replaced if it is there.
        text: Written as UTF-8.
        durable: Also over a power cut.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open_private(aside, "x") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure to write `path` (read-only, full, no folder) into words.

    Raises:
        InputError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"'{path}' cannot be written: {error.strerror or error}.",
            hint="Give a path in a folder of yours with space left.",
        ) from error


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Turns any failure to write into the workspace into words.

    Raises:
        StorageError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, what=what) or StorageError(
            f"{what} cannot be stored: {error.strerror or error}."
        ) from error


def _close_to_others(handle: int) -> None:
    found = os.fstat(handle)
    is_open = stat.S_IMODE(found.st_mode) != _FILE_MODE and stat.S_ISREG(found.st_mode)
    if is_open and found.st_uid == os.geteuid():
        os.fchmod(handle, _FILE_MODE)
