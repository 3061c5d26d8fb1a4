"""Logs of JSON lines, one file a day and as many parts as its size asks for.

Several processes append to them, and a full disk may leave half a line: whoever appends begins on
a new line, and whoever reads skips what is no line and counts it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.core.files import private_opener

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.(\d+))?\.jsonl")


def parts(folder: Path) -> list[Path]:
    """Returns the files of a log, oldest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in folder.glob("*.jsonl"))
    return sorted(
        (path for name, path in found if name is not None),
        key=lambda path: (day_of(path), _number(path)),
    )


def day_of(path: Path) -> str:
    """Returns the day of a file, as in "2026-11-22"."""
    return path.name[:10]


def _number(path: Path) -> int:
    """Returns which part of its day a file is."""
    found = _NAME.fullmatch(path.name)
    return 0 if found is None else int(found[2] or 0)


def part(folder: Path, day: str, most_bytes: int) -> Path:
    """Returns the file that a day's next lines go to: the last one, or a new one if it is full."""
    today = [path for path in parts(folder) if day_of(path) == day]
    if not today:
        return folder / f"{day}.jsonl"
    if today[-1].stat().st_size < most_bytes:
        return today[-1]
    return folder / f"{day}.{_number(today[-1]) + 1}.jsonl"


def append(path: Path, lines: Iterable[bytes]) -> int:
    """Appends lines, behind half a line on a line of their own; returns the file's size.

    Raises:
        OSError: They could not be written, or not all.
    """
    handle = private_opener(str(path), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + b"".join(line + b"\n" for line in lines)
        while data:
            data = data[file.write(data) :]
        return file.tell()


class Reader:
    """Reads lines of a log, and counts what is none.

    Attributes:
        unreadable: Lines that were skipped: half ones, and what is no JSON object.
    """

    def __init__(self) -> None:
        self.unreadable = 0

    def lines(self, path: Path, needs: Iterable[str] = ("time",)) -> Iterator[dict[str, Any]]:
        """Yields the objects of a file that have the fields in `needs`.

        A last line without its end is being written: it is left for the next time.
        """
        wanted = frozenset(needs)
        with path.open("rb") as file:
            for text in file:
                if not text.endswith(b"\n") or not text.strip():
                    continue
                found = line_of(text)
                if found is None or not wanted <= found.keys():
                    self.unreadable += 1
                else:
                    yield found


def line_of(text: bytes) -> dict[str, Any] | None:
    """Returns the object of a line; None if it is none."""
    try:
        found = json.loads(text)
    except ValueError:  # also bytes that are no UTF-8
        return None
    return found if isinstance(found, dict) else None
