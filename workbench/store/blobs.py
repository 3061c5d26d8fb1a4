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
from workbench.core.files import open_private, private_folder
from workbench.core.host import sync_folder
from workbench.core.ids import digest_file
from workbench.store.home import Home
from workbench.store.scratch import scratch_name

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
    """The content-addressed files of one workspace."""

    def __init__(self, home: Home) -> None:
        self._home = home

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
        pending = PendingBlob(private_folder(self._home.scratch) / scratch_name(suffix))
        try:
            open_private(pending.path, "xb").close()
            yield pending
            pending.blob = self._publish(pending.path, suffix)
        finally:
            pending.path.unlink(missing_ok=True)

    def verify(self, blob: Blob) -> Path:
        """Re-hashes the stored bytes and returns their path.

        Raises:
            IntegrityError: They are missing or not what was stored.
        """
        path = self.path(blob)
        if not path.is_file():
            raise IntegrityError(
                f"The stored file {blob.digest[:12]}{blob.suffix} is missing.",
                hint="Restore it from a backup, or make the version anew.",
                context=blob.to_json(),
            )
        found = digest_file(path)
        if found != blob.digest:
            raise IntegrityError(
                f"The stored file {blob.digest[:12]}{blob.suffix} was changed: "
                f"its bytes now hash to {found[:12]}.",
                hint="Restore it from a backup, or make the version anew.",
                context={**blob.to_json(), "found": found},
            )
        return path

    def all(self) -> Iterator[Path]:
        """Yields the path of each stored file."""
        yield from (path for path in self._home.blobs.glob("??/*") if path.is_file())

    def _publish(self, source: Path, suffix: str) -> Blob:
        with source.open("rb+") as file:
            os.fsync(file.fileno())
        blob = Blob(digest_file(source), source.stat().st_size, suffix)
        target = self.path(blob)
        if not target.exists() or digest_file(target) != blob.digest:
            private_folder(target.parent)
            source.chmod(0o400)
            source.replace(target)
            sync_folder(target.parent)
        return blob


def _published(pending: PendingBlob) -> Blob:
    if pending.blob is None:
        raise IntegrityError("The file was not published.")
    return pending.blob
