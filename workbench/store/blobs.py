"""Content-addressed files: written aside, synced, renamed, read-only, re-hashed on demand."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import IntegrityError, UnsafeError
from workbench.core.files import open_private
from workbench.core.host import sync_folder
from workbench.core.ids import digest_file
from workbench.store.database import Database
from workbench.store.home import Home
from workbench.store.scratch import scratch_name

_ANEW = "Restore it from a backup, or load or make again what it belongs to: that stores it anew."
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,16}){0,2}")


@dataclass(frozen=True)
class Blob:
    """A stored file, named by the SHA-256 of its bytes; the suffix only helps other programs."""

    digest: str
    size_bytes: int
    suffix: str = ""

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest) or not _SUFFIX.fullmatch(self.suffix):
            raise UnsafeError(f"'{self.digest}{self.suffix}' is not the name of a stored file.")

    def to_json(self) -> dict[str, Any]:
        """Returns the blob as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Blob:
        """Rebuilds a blob from `to_json`."""
        return cls(data["digest"], data["size_bytes"], data["suffix"])


@dataclass
class PendingBlob:
    """A file being written. `blob` is set once it is published."""

    path: Path
    blob: Blob | None = None


class Blobs:
    """The content-addressed files of one workspace.

    Whoever begins to use a file, and `gc`, which decides that nobody does, hold the database's
    write lock meanwhile: it works between processes, after a crash, and on network file systems.
    """

    def __init__(self, home: Home, db: Database) -> None:
        self._home = home
        self._db = db
        self._proven: dict[Path, tuple[int, ...]] = {}

    def path(self, blob: Blob) -> Path:
        """Returns where the bytes are. The file is read-only and must stay so."""
        return self._home.blobs / blob.digest[:2] / f"{blob.digest[2:]}{blob.suffix}"

    def put_bytes(self, data: bytes, suffix: str = "") -> Blob:
        """Stores `data`; storing the same twice is one file."""
        with self.writer(suffix) as pending:
            pending.path.write_bytes(data)
        return _published(pending)

    def put_file(self, path: Path, suffix: str | None = None) -> Blob:
        """Stores a copy of a file, by default with its own suffix."""
        with self.writer(path.suffix if suffix is None else suffix) as pending:
            shutil.copyfile(path, pending.path)
        return _published(pending)

    @contextmanager
    def writer(self, suffix: str = "") -> Iterator[PendingBlob]:
        """Gives a path to fill; publishes it at the end, or leaves no trace after an error."""
        with self._scratch(suffix) as path:
            pending = PendingBlob(path)
            yield pending
            pending.blob = self._publish(path, suffix)

    def verify(self, blob: Blob) -> Path:
        """Re-hashes the stored bytes and returns their path.

        Raises:
            IntegrityError: They are missing or not what was stored.
        """
        path = self.path(blob)
        if not path.is_file():
            raise IntegrityError(
                f"The stored file {blob.digest[:12]}{blob.suffix} is missing.",
                hint=_ANEW,
                context=blob.to_json(),
            )
        found = digest_file(path)
        if found != blob.digest:
            raise IntegrityError(
                f"The stored file {blob.digest[:12]}{blob.suffix} was changed: "
                f"its bytes now hash to {found[:12]}.",
                hint=_ANEW,
                context={**blob.to_json(), "found": found},
            )
        return path

    def proven(self, blob: Blob) -> Path:
        """Returns the path of bytes that are what was stored; each is re-hashed once a process.

        A file that has another size, time or place on the disk than then is re-hashed.

        Raises:
            IntegrityError: They are missing or not what was stored.
        """
        path = self.path(blob)
        try:
            seen = _identity(path)
        except FileNotFoundError:
            return self.verify(blob)
        if self._proven.get(path) != seen:
            self._proven[self.verify(blob)] = seen
        return path

    def renew(self, blob: Blob) -> bool:
        """Makes a file young, so that gc leaves it; for who holds the database's write lock.

        Returns:
            Whether it is there.
        """
        path = self.path(blob)
        try:
            is_proven = self._proven.get(path) == _identity(path)
            os.utime(path)
            if is_proven:
                self._proven[path] = _identity(path)
        except FileNotFoundError:
            return False
        except PermissionError:  # somebody else's file in a folder that is shared
            with self._scratch(blob.suffix) as copy:
                shutil.copyfile(path, copy)
                self._place(copy, path)
        return True

    def digest_of(self, path: Path) -> str:
        """Returns the digest that the name of a stored file tells."""
        return path.parent.name + path.name[: 64 - len(path.parent.name)]

    def all(self) -> Iterator[Path]:
        """Yields the path of each stored file."""
        yield from (path for path in self._home.blobs.glob("??/*") if path.is_file())

    def _publish(self, source: Path, suffix: str) -> Blob:
        with source.open("rb+") as file:
            os.fsync(file.fileno())
        blob = Blob(digest_file(source), source.stat().st_size, suffix)
        target = self.path(blob)
        is_stored = target.exists() and digest_file(target) == blob.digest
        with self._db.transaction():  # gc removes nothing between the look and the renewal
            is_renewed = is_stored and self.renew(blob)
            if not is_renewed:
                self._place(source, target)
        self._proven[target] = _identity(target)  # its bytes were just hashed
        if not is_renewed:
            sync_folder(target.parent)
        return blob

    @contextmanager
    def _scratch(self, suffix: str) -> Iterator[Path]:
        """Gives a path of the blobs' file system; whatever is left there at the end goes."""
        path = self._home.folder(self._home.scratch) / scratch_name(suffix)
        try:
            open_private(path, "xb").close()
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _place(self, source: Path, target: Path) -> None:
        self._home.folder(target.parent)
        source.chmod(0o400)
        os.utime(source)  # it may have been filled for hours
        source.replace(target)


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _published(pending: PendingBlob) -> Blob:
    if pending.blob is None:
        raise IntegrityError("The file was not published.")
    return pending.blob
