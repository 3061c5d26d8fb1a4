"""What a person may hold in Python, told apart without importing pandas, Pillow or torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import NotFoundError


def is_array(value: Any) -> bool:
    """Returns whether a value is an array: NumPy's, a tensor, a Series; not a frame or picture."""
    return isinstance(value, np.ndarray) or (
        hasattr(value, "__array__")
        and not is_frame(value)
        and not is_picture(value)
        and not np.isscalar(value)
    )


def as_array(value: Any) -> NDArray[Any]:
    """Returns an array as NumPy's, from whatever device it is on."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def is_frame(value: Any) -> bool:
    """Returns whether a value is a DataFrame."""
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def is_named_row(value: Any) -> bool:
    """Returns whether a value is one row of a DataFrame: a Series whose index holds names."""
    if is_frame(value) or not hasattr(value, "to_dict") or not hasattr(value, "index"):
        return False
    return len(value) > 0 and all(isinstance(name, str) for name in value.index)


def is_picture(value: Any) -> bool:
    """Returns whether a value is a Pillow image."""
    return hasattr(value, "save") and hasattr(value, "getbbox")


def file_bytes(value: Any) -> bytes:
    """Returns the bytes of a file: of its path, its content, or a Pillow image as PNG.

    Raises:
        NotFoundError: The file cannot be read.
    """
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if is_picture(value):
        buffer = io.BytesIO()
        value.save(buffer, format="PNG")
        return buffer.getvalue()
    path = Path(value).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"The file '{path}' cannot be read: {error.strerror}.", hint="Check the path."
        ) from error


def scalar(value: Any) -> Any:
    """Returns numbers of NumPy and pandas as Python's; NaN, NaT and NA as null."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    if type(value).__name__ == "NAType":
        return None
    return value
