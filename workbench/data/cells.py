"""Single cells of a table: what is missing, a number, a text, a date."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

_MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "nat", "<na>", "null", "none", "-", "--", "?", "缺失")
)
_FORMATS = (
    "iso",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y年%m月%d日",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d-%m-%Y",
)
_ORIGIN = datetime(2000, 1, 1)
LARGEST = float(np.finfo(np.float32).max)
DATE_FORMATS = _FORMATS


def plain(value: Any) -> Any:
    """Returns a cell as str, int, float, bool or None: no NumPy, pandas or Decimal left."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (date, np.datetime64)):
        text = str(value)
        return None if text == "NaT" else text
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, (bool, int)):
        return value
    return float(value) if type(value).__name__ == "Decimal" else str(value)


def is_missing(value: Any) -> bool:
    """Returns whether a plain cell says nothing."""
    if not isinstance(value, str):
        return value is None
    return value in _MISSING or value.strip().lower() in _MISSING


def to_number(value: Any) -> float:
    """Returns a plain cell as a number; NaN if it is missing.

    Raises:
        ValueError: It is no finite number, or beyond float32, which is what models take.
    """
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(value) from error
    except (TypeError, ValueError):
        if is_missing(value):
            return math.nan
        raise
    if abs(number) > LARGEST:
        raise ValueError(value)
    return number


def to_text(value: Any) -> str | None:
    """Returns a plain cell as the name of a category; None if it is missing."""
    if is_missing(value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.lower() if text.lower() in ("true", "false") else text


def to_moment(value: Any, form: str) -> datetime | None:
    """Returns a plain cell as a moment in UTC without zone; None if it is missing.

    Args:
        value: Text.
        form: "iso", or a format of `strptime`.

    Raises:
        ValueError: It is no such date.
    """
    if is_missing(value):
        return None
    if not isinstance(value, str):
        raise ValueError(value)
    text = value.strip()
    if form != "iso":
        return datetime.strptime(text, form)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def days(moment: datetime) -> float:
    """Returns the days since 2000-01-01."""
    return (moment - _ORIGIN).total_seconds() / 86400


def from_days(number: float) -> datetime:
    """Returns the moment that many days after 2000-01-01."""
    return _ORIGIN + timedelta(days=number)
