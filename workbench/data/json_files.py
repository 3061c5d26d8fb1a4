"""Files inside JSON: base64 texts, told apart from other values. Never reads a local file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from workbench.core.errors import InputError
from workbench.data.modality import indexed


def base64_bytes(text: Any, hint: str) -> bytes:
    """Returns the bytes of a base64 text, as it is or in a data URI.

    Raises:
        InputError: It is none; `hint` says what would be right.
    """
    try:
        body = text.partition(",")[2] if text.startswith("data:") else text
        return base64.b64decode(body, validate=True)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise InputError("The text is not base64.", hint=hint) from error


def each_value(items: list[Any], read: Callable[[Any], Any], what: str, hint: str) -> list[Any]:
    """Returns what `read` makes of each item.

    Args:
        items: JSON values.
        read: Raises an `InputError` for a bad one.
        what: Plural of an item, as in "pictures".
        hint: What would be right.

    Raises:
        InputError: With every problem at once, each with its index.
    """
    values, problems = [], []
    for index, item in enumerate(items):
        try:
            values.append(read(item))
        except InputError as error:
            problems.extend(indexed(error, index, len(items)))
    if problems:
        count = f"{len(problems)} of {len(items)} {what} cannot be read."
        raise InputError(count, problems=problems, hint=hint)
    return values
