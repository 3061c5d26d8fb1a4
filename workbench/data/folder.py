"""Listing a folder of files by class: classes, given splits, what is odd; opens no file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from workbench.core.clock import now
from workbench.core.errors import InputError
from workbench.core.records import Finding
from workbench.data.modality import FileKind
from workbench.data.split import part_code
from workbench.tasks import sorted_names

_SETTLED_S = 3.0
_SHOWN = 50


@dataclass(frozen=True)
class Folder:
    """Files by class.

    Attributes:
        files: Names relative to the root, with "/", sorted.
        labels: Names of the classes.
        targets: int64 (N,), indices into `labels`.
        parts: int8 (N,), the given split; None if none is given.
        state: Digest of names, sizes, inodes and times: equal if nothing was changed.
        newest_s: The latest change, in seconds since 1970.
        listed_s: When the folder was listed, likewise.
        problems: Class folders without a file of the kind.
        findings: Files that are left out.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]
    targets: np.ndarray
    parts: np.ndarray | None
    state: str
    newest_s: float
    listed_s: float
    problems: tuple[str, ...]
    findings: tuple[Finding, ...]

    @cached_property
    def is_settled(self) -> bool:
        """Whether the last change is old enough for times to tell the next one apart."""
        return self.newest_s < self.listed_s - _SETTLED_S


def list_folder(root: Path, kind: FileKind) -> Folder:
    """Returns the files of a kind in a folder, one folder for each class.

    Raises:
        InputError: There is none, or some lie beside the class folders.
    """
    listed_s = datetime.fromisoformat(now()).timestamp()
    top = _folders(root)
    is_split = _is_split(top)
    files: list[str] = []
    left_out: list[str] = []
    state, newest_s = hashlib.sha256(), 0.0
    for name, stat in sorted(_walk(root, "")):
        if f".{name.rpartition('.')[2].lower()}" in kind.suffixes:
            files.append(name)
            state.update(f"{name}\0{stat}\n".encode())
            newest_s = max(newest_s, *stat[2:])
        else:
            left_out.append(name)
    depth = 2 if is_split else 1
    _check_places(root, files, depth, kind)
    classes = [name.split("/")[depth - 1] for name in files]
    labels = sorted_names(set(classes))
    positions = {label: index for index, label in enumerate(labels)}
    return Folder(
        files=tuple(files),
        labels=labels,
        targets=np.array([positions[name] for name in classes], np.int64),
        parts=_parts(files) if is_split else None,
        state=state.hexdigest(),
        newest_s=newest_s / 1e9,
        listed_s=listed_s,
        problems=tuple(_empty(root, top, is_split, files, kind)),
        findings=_left_out(left_out, kind),
    )


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _is_split(names: list[str]) -> bool:
    codes = [part_code(name) for name in names]
    return 0 in codes and len(codes) > 1 and None not in codes


def _walk(root: Path, inside: str) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Yields each file's name, and its inode, size and two times of change in nanoseconds."""
    with os.scandir(root / inside) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=not inside.count("/")):
                yield from _walk(root, name)
            elif entry.is_file():
                stat = entry.stat()
                yield name, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _check_places(root: Path, files: list[str], depth: int, kind: FileKind) -> None:
    if not files:
        raise InputError(
            f"The folder '{root}' has no {kind.noun}s.",
            hint=f"Give a folder with one folder for each class, as in pets/cat/1{kind.usual}, "
            f"pets/dog/2{kind.usual}. Known suffixes: {', '.join(sorted(kind.suffixes))}.",
        )
    loose = [name for name in files if name.count("/") < depth]
    if loose:
        raise InputError(
            f"The folder '{root}' has {len(loose)} {kind.noun}s outside any class folder.",
            problems=loose[:1000],
            hint="Move each into a folder named like its class.",
        )


def _parts(files: list[str]) -> np.ndarray:
    return np.array([part_code(name.partition("/")[0]) for name in files], np.int8)


def _empty(
    root: Path, top: list[str], is_split: bool, files: list[str], kind: FileKind
) -> Iterator[str]:
    depth = 2 if is_split else 1
    filled = {"/".join(name.split("/")[:depth]) for name in files}
    for name in top:
        inside = [f"{name}/{label}" for label in _folders(root / name)] if is_split else [name]
        yield from (
            f"{folder}/: the class folder has no {kind.noun}s"
            for folder in inside
            if folder not in filled
        )


def _left_out(names: list[str], kind: FileKind) -> tuple[Finding, ...]:
    if not names:
        return ()
    message = f"{len(names)} files are left out, since their suffix is not that of a {kind.noun}."
    return (Finding("files_left_out", message, places=tuple(names[:_SHOWN])),)
