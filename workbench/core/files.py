"""Files of the user's own: what cannot be written is said in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.core.errors import InputError


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
