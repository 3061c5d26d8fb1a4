"""Writing files: whole at once, and what cannot be written is said in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.core.errors import InputError, StorageError


def write_private(path: Path, text: str, *, durable: bool = False) -> None:
    """Writes a file whole at once, readable by its owner only.

    Args:
        path: Replaced if it is there.
        text: Written as UTF-8.
        durable: Also over a power cut.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    aside.replace(path)


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
    """Turns a failure to write into the workspace (full, read-only) into words.

    Raises:
        StorageError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{what} cannot be stored: {error.strerror or error}.",
            hint="Free some space (`workbench gc` removes what nothing needs) and ask again; what "
            "was measured before is kept.",
        ) from error
