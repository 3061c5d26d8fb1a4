"""Files of the user's own: what cannot be written is said in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.core.errors import InputError, StorageError


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
