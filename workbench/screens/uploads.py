"""Files that a page sends in pieces: names and sizes are checked before the first byte is kept."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.core.errors import InputError
from workbench.core.files import open_private, private_folder, writing
from workbench.data.file_kinds import file_kinds
from workbench.data.load import sniff
from workbench.data.parquet_file import check_parquet, is_parquet
from workbench.data.table_size import Room

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
_ID = re.compile(r"[0-9a-f]{8,32}")
_STRANGE = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")
_MOST_BYTES, _MOST_FILES, _DEEPEST, _LONGEST = 200_000_000, 20_000, 4, 200
_MOST_MEMORY = 2_000_000_000  # of a table that is a few bytes as a file
_SHOWN = 20


@dataclass
class Upload:
    """One upload under way.

    Attributes:
        folder: Where its files lie.
        sizes: Announced bytes by relative path.
        skipped: Files of a folder that no modality reads and are left out, as its notes.
        received: Bytes so far.
    """

    folder: Path
    sizes: Mapping[str, int]
    skipped: tuple[str, ...] = ()
    received: int = 0
    _have: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All announced bytes."""
        return sum(self.sizes.values())

    @property
    def is_complete(self) -> bool:
        """Whether every byte is there."""
        return self.received == self.total

    def take(self, path: str, at: int, piece: bytes | memoryview) -> None:
        """Appends a piece of a file.

        Raises:
            InputError: It was not announced, does not follow what is there, or is too long.
        """
        have = self._have.get(path, 0)
        size = self.sizes.get(path)
        if size is None or at != have or have + len(piece) > size:
            raise InputError(
                f"A piece of '{path[:80]}' does not fit: {len(piece):,} bytes at {at:,}, where "
                f"{have:,} of {size or 0:,} are there.",
                hint="Choose the file again.",
            )
        target = self.folder / PurePosixPath(path)
        with writing(target):
            private_folder(target.parent)
            with open_private(target, "ab") as file:
                file.write(piece)
        self._have[path] = have + len(piece)
        self.received += len(piece)

    def forget(self) -> None:
        """Removes what is there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def found(self) -> dict[str, Any]:
        """Returns what can be loaded: source, path and, for a table, its columns.

        Raises:
            InputError: It unpacks to more than an upload may.
        """
        names = list(self.sizes)
        if len(names) == 1 and Path(names[0]).suffix.lower() in TABLES:
            path = self.folder / names[0]
            if is_parquet(path):
                check_parquet(path, Room(path.name, _MOST_MEMORY))
            return {"source": "table", "path": str(path), "columns": _columns(path)}
        top = PurePosixPath(names[0]).parts[0]
        source, _ = sniff(self.folder / top)
        return {"source": source, "path": str(self.folder / top), "columns": []}


def begin(root: Path, id_: str, files: Sequence[Sequence[Any]]) -> Upload:
    """Returns an upload whose names and sizes are in order.

    Args:
        root: The workspace; the files go into `uploads/<id>/` there.
        id_: Chosen by the page, hexadecimal.
        files: Path relative to what was chosen, and bytes, of each file.

    Raises:
        InputError: All that is wrong with names, kinds, number and sizes.
    """
    sizes = {str(path): int(size) for path, size in files}
    skipped = _beside_samples(sizes)
    sizes = {path: size for path, size in sizes.items() if path not in skipped}
    problems = [p for path in sizes for p in _path_problems(path)]
    problems += _set_problems(sizes)
    if not _ID.fullmatch(id_):
        problems.append("the upload's id is not hexadecimal")
    if problems:
        more = len(problems) - _SHOWN
        raise InputError(
            "These files cannot be uploaded.",
            problems=[*problems[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])],
            hint="One CSV or Parquet file, or a folder with a folder of files for each class. "
            "What is larger is loaded by its path.",
        )
    folder = root / "uploads" / id_
    with writing(folder):
        private_folder(folder.parent)
        folder.mkdir(mode=0o700)
    return Upload(folder, sizes, skipped)


def _beside_samples(paths: Iterable[str]) -> tuple[str, ...]:
    """Returns the files of a folder of pictures or clips that are none."""
    suffixes = _suffixes()
    inside = [path for path in paths if "/" in path]
    strange = [p for p in inside if PurePosixPath(p).suffix.lower() not in suffixes]
    return tuple(strange) if len(strange) < len(inside) else ()


def _suffixes() -> frozenset[str]:
    """Returns those of all files that a modality reads."""
    return frozenset().union(*(kind.suffixes for kind in file_kinds().values()))


def _path_problems(path: str) -> list[str]:
    shown = repr(path[:80])
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or _STRANGE.search(path):
        return [f"{shown}: is not a plain relative path"]
    if len(parts) > _DEEPEST or len(path) > _LONGEST:
        return [f"{shown}: lies too deep or is too long"]
    if any(part.startswith(".") for part in parts):
        return [f"{shown}: is hidden"]
    wanted = _suffixes() if len(parts) > 1 else frozenset(TABLES)
    if PurePosixPath(path).suffix.lower() not in wanted:
        return [f"{shown}: got '{PurePosixPath(path).suffix}', {' '.join(sorted(wanted))} are read"]
    return []


def _set_problems(sizes: Mapping[str, int]) -> list[str]:
    problems = []
    if not sizes:
        problems.append("nothing was chosen")
    if len(sizes) > _MOST_FILES:
        problems.append(f"{len(sizes):,} files; {_MOST_FILES:,} are the most")
    total = sum(sizes.values())
    if total > _MOST_BYTES or min(sizes.values(), default=0) < 0:
        problems.append(f"{total / 1e6:,.0f} MB; {_MOST_BYTES // 1_000_000} MB are the most")
    if len({path.split("/")[0] for path in sizes}) > 1:
        problems.append("several things at once; choose one file or one folder")
    return problems


def _columns(path: Path) -> list[str]:
    """Returns the column names of a text table as far as its first line tells; else nothing."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return []
    with path.open("rb") as file:
        first = file.readline(65536).decode("utf-8-sig", errors="replace")
    try:
        dialect: Any = csv.Sniffer().sniff(first, delimiters=",;\t|")
    except csv.Error:
        dialect = "excel"
    return [name.strip() for name in next(csv.reader([first], dialect), [])]
