"""The border of stored values: what cannot be read is an error that names the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from workbench.core.errors import IntegrityError, UnsafeError, WorkbenchError

_R = TypeVar("_R")
_T = TypeVar("_T")

RESTORE = "Restore workbench.db from a backup."
LARGEST = 2**63 - 1
"""The largest integer that SQLite holds."""
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
"""What Python raises at a value of another form than was written."""


@contextmanager
def reading(
    what: str, hint: str = f"{RESTORE} `workbench doctor` lists all that is wrong."
) -> Iterator[None]:
    """Turns what a block raises about stored values into words.

    Args:
        what: The record, as the beginning of a sentence.
        hint: What to do.

    Raises:
        IntegrityError: They are not of the form that was written.
    """
    try:
        yield
    except UnsafeError as error:
        raise IntegrityError(f"{what} cannot be read: {error.message}", hint=hint) from error
    except UNREADABLE as error:
        if isinstance(error, WorkbenchError):
            raise
        raise IntegrityError(f"{what} cannot be read: {error}.", hint=hint) from error


def readable(read: Callable[[_R], _T], rows: Iterable[_R]) -> Iterator[_T]:
    """Yields what can be read of rows, for a listing; `workbench doctor` names the others."""
    for row in rows:
        try:
            yield read(row)
        except IntegrityError:
            continue


def mapping(value: Any) -> dict[str, Any]:
    """Returns a stored JSON object.

    Raises:
        ValueError: It is none.
    """
    found = json.loads(value)
    if not isinstance(found, dict):
        raise ValueError(f"{str(value)[:40]!r} is no JSON object")
    return found


def text(value: Any) -> str:
    """Returns a stored text.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]} is no text")
    return value
