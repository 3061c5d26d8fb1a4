"""How a text file writes numbers: 1,234.5 or 1.234,5; rewritten as 1234.5, and told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from workbench.core.records import Finding
from workbench.data.cells import is_missing

Decimal = Literal[".", ","]

_SHARE = 0.95
_SIGN, _POWER = r"\s*[+-]?", r"(?:[eE][+-]?\d+)?\s*"
_GROUPED = {mark: rf"\d{{1,3}}(?:\{mark}\d{{3}})+" for mark in ".,"}
_THOUSANDS = {
    mark: re.compile(rf"{_SIGN}{_GROUPED[mark]}(?:\{other}\d*)?{_POWER}")
    for mark, other in (",.", ".,")
}
_NUMBER = {
    ",": re.compile(rf"{_SIGN}(?:{_GROUPED['.']}|\d+)?(?:,\d*)?{_POWER}"),
    ".": re.compile(rf"{_SIGN}(?:{_GROUPED[',']}|\d+)?(?:\.\d*)?{_POWER}"),
}
_BOTH_WAYS = re.compile(rf"{_SIGN}\d{{1,3}},\d{{3}}\s*")


def rewrite_numbers(
    columns: dict[str, list[str]], separator: str, decimal: Decimal | None
) -> list[Finding]:
    """Rewrites, in place, columns of numbers with a decimal comma or with marked thousands.

    A column counts as numbers if nearly all of its cells are. "1,234" is both ways: it has a
    decimal comma if another column surely does or if `separator` is no comma, else thousands.

    Args:
        columns: Cells by column.
        separator: Between the file's cells.
        decimal: The decimal mark; None finds it out.

    Returns:
        What was rewritten, in words.
    """
    marked = {name: cells for name, cells in columns.items() if _has_mark(cells)}
    if decimal is None:
        surely = any(_is_decimal_comma(cells) for cells in marked.values())
        decimal = "," if surely else _of_doubtful(marked, separator)
    other: Decimal = "." if decimal == "," else ","
    changed: dict[str, str] = {}
    for name, cells in marked.items():
        if any(other in cell or "," in cell for cell in cells) and _numbers(cells, decimal):
            columns[name] = [_plain(cell, decimal, other) for cell in cells]
            if example := _example(cells, columns[name]):
                changed[name] = example
    return [_told(changed, decimal)] if changed else []


def _has_mark(cells: list[str]) -> bool:
    return any("," in cell or "." in cell for cell in cells)


def _of_doubtful(columns: dict[str, list[str]], separator: str) -> Decimal:
    """Returns the mark where all commas stand before three digits."""
    is_usual = separator != "," and any(
        _numbers(cells, ",") and any(_BOTH_WAYS.fullmatch(cell) for cell in cells)
        and not any("." in cell for cell in cells)
        for cells in columns.values()
    )  # fmt: skip
    return "," if is_usual else "."


def _is_decimal_comma(cells: list[str]) -> bool:
    with_comma = [cell for cell in cells if "," in cell]
    if all(_THOUSANDS[","].fullmatch(cell) for cell in with_comma):  # also where there is none
        return False
    return _numbers(cells, ",")


def _numbers(cells: list[str], decimal: Decimal) -> bool:
    """Whether nearly all cells that say something are numbers so written."""
    return _share(cells, lambda cell: _is_number(cell, decimal)) >= _SHARE


def _share(cells: list[str], fits: Callable[[str], bool]) -> float:
    present = [cell for cell in cells if not is_missing(cell)]
    return sum(map(fits, present)) / len(present) if present else 0.0


def _is_number(cell: str, decimal: Decimal) -> bool:
    return bool(_NUMBER[decimal].fullmatch(cell)) and any(mark.isdigit() for mark in cell)


def _plain(cell: str, decimal: Decimal, other: Decimal) -> str:
    if not _is_number(cell, decimal):
        return cell
    return cell.replace(other, "").replace(decimal, ".").strip()


def _example(before: list[str], after: list[str]) -> str:
    """Returns the first number that was rewritten; nothing if none was."""
    pairs = ((a.strip(), b.strip()) for a, b in zip(before, after, strict=True))
    return next((f"{a} → {b}" for a, b in pairs if a != b), "")


def _told(changed: dict[str, str], decimal: Decimal) -> Finding:
    how = "with a decimal comma" if decimal == "," else "without the commas between thousands"
    where = f"column '{next(iter(changed))}'" if len(changed) == 1 else f"{len(changed)} columns"
    message = (
        f"Numbers in {where} were read {how}, as in {next(iter(changed.values()))}; "
        "decimal= says it otherwise."
    )
    places = tuple(f"{name}: {example}" for name, example in changed.items())
    return Finding("number_style", message, "info", places)
