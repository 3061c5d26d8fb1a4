"""Reading CSV and Parquet files: encodings, separators, and every ragged line named."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from workbench.core.errors import InputError
from workbench.core.records import Finding
from workbench.data.cells import plain
from workbench.data.number_style import Decimal, rewrite_numbers
from workbench.data.parquet_file import is_parquet, read_parquet
from workbench.data.problems import Problems
from workbench.data.table_size import Room

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_TRIED = ("utf-8", "gb18030")
_SEPARATORS = ",;\t|"
_CHUNK = 1 << 20


@dataclass
class RawTable:
    """Cells by column, where each row came from, and what was wrong or noticed."""

    columns: dict[str, list[Any]]
    lines: list[int]
    unit: str
    problems: Problems = field(default_factory=Problems)
    findings: list[Finding] = field(default_factory=list)

    def place(self, index: int) -> str:
        """Returns where row `index` came from."""
        return f"{self.unit} {self.lines[index]}"


def read_table(
    path: Path,
    encoding: str | None,
    separator: str | None,
    decimal: Decimal | None = None,
    max_memory: float | None = None,
) -> RawTable:
    """Returns the cells of a file: text from CSV, typed values from Parquet.

    Args:
        path: The file.
        encoding: None tells UTF-8 (with or without mark), UTF-16 and GB18030 apart.
        separator: None takes the one of , ; tab | that the header has most of.
        decimal: The mark before decimals in CSV; None finds it out (see `number_style`).
        max_memory: Most bytes that the cells may take in memory; None takes half of what is free.

    Raises:
        InputError: It is no such file, or holds more than that.
    """
    room = Room(path.name, max_memory)
    if is_parquet(path):
        return from_columns(read_parquet(path, room), f"{path.name} row")
    if encoding is None:
        with path.open("rb") as file:
            encoding = find_encoding(file, path.name)
    return _read_csv(path, encoding, separator, decimal, room)


def find_encoding(file: BinaryIO, name: str) -> str:
    """Returns the encoding of a text file, read in pieces.

    Raises:
        InputError: It is none of those known.
    """
    start = file.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    problems = []
    for encoding in _TRIED:
        file.seek(0)
        bad = _first_bad(file, encoding)
        if bad is None:
            return encoding
        problems.append(f"not {encoding.upper()}: the byte at position {bad} does not fit")
    raise InputError(
        f"The text encoding of '{name}' is not known.",
        problems=problems,
        hint="Name it, as in encoding='latin-1'.",
    )


def _first_bad(file: BinaryIO, encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    while True:
        piece = file.read(_CHUNK)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            return done - pending + error.start
        if not piece:
            return None
        done += len(piece)


def _read_csv(
    path: Path, encoding: str, separator: str | None, decimal: Decimal | None, room: Room
) -> RawTable:
    try:
        with path.open(encoding=encoding, newline="") as text:
            first = text.readline()
            text.seek(0)
            sep = separator or max(_SEPARATORS, key=first.count)
            table = _filled(csv.reader(text, delimiter=sep), path, encoding, room)
    except (LookupError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path.name}' cannot be read as {encoding} text: {error}.") from error
    table.findings += rewrite_numbers(table.columns, sep, decimal)
    return table


def _filled(reader: Any, path: Path, encoding: str, room: Room) -> RawTable:
    name = path.name
    header = next((row for row in reader if row), None)
    if header is None:
        raise InputError(f"'{name}' is empty.", hint="Its first line must name the columns.")
    names = [text.strip() or f"column_{i + 1}" for i, text in enumerate(header)]
    table = RawTable({}, [], f"{name} line")
    table.problems.extend(_twice(names))
    cells: list[list[str]] = []
    most = room.rows(len(names), path.stat().st_size)
    for line, row in _numbered(reader):
        if len(row) == len(names):
            if len(cells) >= most:
                room.refuse(f"more than {most:,} rows, too many")
            cells.append(row)
            table.lines.append(line)
        else:
            table.problems.add(f"{name} line {line}: {len(row)} cells, the header has {len(names)}")
    columns = zip(*cells, strict=True) if cells else ([] for _ in names)
    table.columns = dict(zip(names, map(list, columns), strict=False))
    if encoding not in ("utf-8", "utf-8-sig"):
        message = f"'{name}' was read as {encoding.upper()}."
        table.findings.append(Finding("encoding", message, "info"))
    return table


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    before = reader.line_num
    for row in reader:
        line, before = before + 1, reader.line_num
        if row:
            yield line, row


def _twice(names: list[str]) -> list[str]:
    return [
        f"the header names column '{name}' {names.count(name)} times"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def from_columns(columns: dict[str, list[Any]], unit: str) -> RawTable:
    """Returns a table of typed values; `unit` names its rows, counted from 0."""
    count = len(next(iter(columns.values()))) if columns else 0
    plain_columns = {name: [plain(cell) for cell in cells] for name, cells in columns.items()}
    return RawTable(plain_columns, list(range(count)), unit)
