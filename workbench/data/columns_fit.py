"""Fitting the coding of a column on train, and mending the few cells that do not fit it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from workbench.core.records import Finding
from workbench.data.cells import DATE_FORMATS, days, is_missing, to_moment, to_number, to_text
from workbench.data.columns import Column, moment_of

_MOST = 32
_READABLE = 0.95
_UNIQUE = 0.9
_ENOUGH = 20
_SHOWN = 50
_IDS = frozenset(
    ("id", "index", "row", "rowid", "row_id", "unnamed: 0", "column_1", "序号", "编号")
)


def fit_column(
    name: str, cells: Sequence[Any], options: Mapping[str, Any]
) -> tuple[Column, list[Finding]]:
    """Returns the coding of a column, and what was noticed.

    Args:
        name: Its name.
        cells: Plain cells of train.
        options: "ignore" and "categorical": names; "max_categories".
    """
    present = [cell for cell in cells if not is_missing(cell)]
    absent = len(cells) - len(present)
    if name in options.get("ignore", ()):
        return Column(name=name, kind="ignored", reason="as asked"), []
    column = _fitted(name, present, absent, options)
    if column.kind == "ignored":
        message = f"Column '{name}' is left out: {column.reason}."
        return column, [Finding("column_ignored", message, places=(name,))]
    return column, [*_told(column, present), *_missing(column, absent, len(cells))]


def clean_column(
    column: Column, cells: list[Any], place: Callable[[int], str]
) -> tuple[list[Any], list[Finding]]:
    """Returns the cells as JSON-able values of the column's kind; unreadable ones become None."""
    read = {"number": _as_number, "date": _as_date, "category": to_text, "ignored": _as_is}
    reader, result, bad = read[column.kind], [], []
    for index, cell in enumerate(cells):
        try:
            result.append(reader(cell) if column.kind != "date" else _as_date(cell, column.form))
        except (TypeError, ValueError):
            result.append(None)
            bad.append(index)
    if not bad:
        return result, []
    wanted = "numbers" if column.kind == "number" else "dates"
    message = (
        f"Column '{column.name}' holds {wanted}, but {len(bad)} cells cannot be read as such; "
        "they count as missing."
    )
    places = tuple(f"{place(i)}: {cells[i]!r}" for i in bad[:_SHOWN])
    return result, [Finding("unreadable_cells", message, places=places)]


def date_format(cells: Sequence[Any]) -> str | None:
    """Returns the format that reads nearly all of the cells as dates, or None."""
    if not cells or not all(isinstance(cell, str) for cell in cells[:_ENOUGH]):
        return None
    for form in DATE_FORMATS:
        read = partial(to_moment, form=form)
        if _share(cells[:_ENOUGH], read) < _READABLE - 0.1:
            continue
        if _share(cells, read) >= _READABLE:
            return form
    return None


def _fitted(name: str, present: list[Any], absent: int, options: Mapping[str, Any]) -> Column:
    if not present:
        return Column(name=name, kind="ignored", reason="it is empty in train")
    if not absent and _is_constant(present):
        return Column(name=name, kind="ignored", reason="it has one value only in train")
    if name in options.get("categorical", ()):
        return _category(name, present, absent, options)
    has_bools = any(isinstance(cell, bool) for cell in present)
    if not has_bools and _share(present, to_number) >= _READABLE:
        return _number(name, present, absent)
    form = date_format(present)
    if form is not None:
        return _date(name, present, absent, form)
    return _category(name, present, absent, options)


def _is_constant(present: Sequence[Any]) -> bool:
    first = to_text(present[0])
    return all(to_text(cell) == first for cell in present)


def _number(name: str, present: Sequence[Any], absent: int) -> Column:
    values = np.array([value for cell in present if (value := _try(to_number, cell)) is not None])
    is_whole = bool((values == np.round(values)).all())
    if name.strip().lower() in _IDS and is_whole and len(set(values.tolist())) == len(values):
        return Column(name=name, kind="ignored", reason="it numbers the rows")
    unread = len(present) - len(values)
    return Column(
        name=name,
        kind="number",
        fill=float(np.median(values)),
        scale=float(values.std()) or 1.0,
        missing=absent + unread > 0,
    )


def _date(name: str, present: Sequence[Any], absent: int, form: str) -> Column:
    moments = [
        moment
        for cell in present
        if (moment := _try(lambda c: moment_of(c, form), cell)) is not None
    ]
    values = np.array([days(moment) for moment in moments])
    return Column(
        name=name,
        kind="date",
        fill=float(np.median(values)),
        scale=float(values.std()) or 1.0,
        missing=absent + len(present) - len(values) > 0,
        form=form,
        clock=any((moment.hour, moment.minute) != (0, 0) for moment in moments),
    )


def _category(name: str, present: Sequence[Any], absent: int, options: Mapping[str, Any]) -> Column:
    counts = Counter(to_text(cell) or "" for cell in present)
    most = options.get("max_categories", _MOST)
    is_free = len(counts) > max(_ENOUGH, _UNIQUE * len(present))
    if is_free and name not in options.get("categorical", ()):
        return Column(name=name, kind="ignored", reason="nearly each row has a text of its own")
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    return Column(
        name=name,
        kind="category",
        categories=tuple(ranked[:most]),
        other=len(ranked) > most,
        missing=absent > 0,
    )


def _told(column: Column, present: Sequence[Any]) -> list[Finding]:
    if column.kind == "category":
        rare = " and one for the rarer ones" if column.other else ""
        message = (
            f"Column '{column.name}' holds categories: {len(column.categories)} features{rare}."
        )
        return [Finding("column_categories", message, "info", (column.name,))]
    if column.kind == "date":
        hour = ", hour" if column.clock else ""
        message = f"Column '{column.name}' holds dates: days, month, weekday{hour}."
        return [Finding("column_dates", message, "info", (column.name,))]
    return []


def _missing(column: Column, absent: int, total: int) -> list[Finding]:
    if not absent:
        return []
    filled = "a category of its own" if column.kind == "category" else "the median of train"
    message = (
        f"Column '{column.name}': {absent} of {total} values in train are missing; "
        f"they become {filled}."
    )
    return [Finding("missing_values", message, "info", (column.name,))]


def _share(cells: Sequence[Any], read: Callable[[Any], Any]) -> float:
    allowed = len(cells) * (1 - _READABLE + 0.1)
    failed = 0
    for cell in cells:
        if _try(read, cell) is None:
            failed += 1
            if failed > allowed:
                return 0.0
    return 1 - failed / max(1, len(cells))


def _try(read: Callable[[Any], Any], cell: Any) -> Any:
    try:
        return read(cell)
    except (TypeError, ValueError):
        return None


def _as_number(cell: Any) -> Any:
    number = to_number(cell)
    if math.isnan(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _as_date(cell: Any, form: str = "iso") -> Any:
    return None if moment_of(cell, form) is None else str(cell).strip()


def _as_is(cell: Any) -> Any:
    return cell
