"""Seals of checkpoints: files of runs that change too often, and live too briefly, to be blobs.

The seal is made before the file takes its place, and the one before is dropped after: whenever the
process ends, the file that is there bears a seal. A second seal, under the run's id alone, tells
from when on and how long there must be a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.core.errors import IntegrityError
from workbench.core.ids import digest_bytes, digest_file
from workbench.store.database import Database
from workbench.store.home import Home
from workbench.store.seals import CHECKPOINT, Seals

FILE = "checkpoint.safetensors"


def seal_checkpoints(connection: sqlite3.Connection, seals: Seals, runs: Path) -> None:
    """Seals each run's checkpoint as it is found; only for a workspace that was never sealed."""
    for path in sorted(runs.glob(f"*/{FILE}")):
        _seal(connection, seals, path, digest_file(path))
        _mark(connection, seals, path)


class Checkpoints:
    """See the module's docstring."""

    def __init__(self, home: Home, db: Database, seals: Seals) -> None:
        self._home = home
        self._db = db
        self._seals = seals

    def replace(self, path: Path, content: bytes, write: Callable[[Path, bytes], None]) -> None:
        """Writes a checkpoint by `write`, which puts it in its place whole or not at all."""
        digest = digest_bytes(content)
        with self._db.transaction() as connection:
            _seal(connection, self._seals, path, digest)
        write(path, content)
        with self._db.transaction() as connection:
            if path.parent.parent == self._home.runs:
                _mark(connection, self._seals, path)
            _drop(connection, self._seals, path.parent.name, but=digest)

    def remove(self, path: Path) -> None:
        """Removes a checkpoint and its seals, if there is one."""
        with self._db.transaction() as connection:
            self._seals.drop(connection, CHECKPOINT, path.parent.name)
        path.unlink(missing_ok=True)
        with self._db.transaction() as connection:
            _drop(connection, self._seals, path.parent.name)

    def check(self, path: Path) -> None:
        """Checks that a checkpoint, if there is one, was written in this workspace for this run.

        Raises:
            IntegrityError: It was not; or there was one, and nobody here removed it.
        """
        run, hint = path.parent.name, "Start the training anew, and delete this run."
        context = {"path": str(path)}
        if not path.exists():
            if self._seals.get(CHECKPOINT, run) is None:
                return
            words = f"The checkpoint of run:{run} was removed behind the workspace's back."
            raise IntegrityError(words, hint=hint, context=context)
        digest = digest_file(path)
        seal = self._seals.get(CHECKPOINT, _key(path, digest))
        if not self._seals.holds(CHECKPOINT, [run, digest], seal):
            words = f"The checkpoint of run:{run} was changed behind the workspace's back."
            raise IntegrityError(words, hint=hint, context=context)

    def all(self) -> Iterator[Path]:
        """Yields the path of each run's checkpoint, of those that must be there, too."""
        sealed = {key for key in self._seals.keys(CHECKPOINT) if "/" not in key}
        found = {path.parent.name for path in self._home.runs.glob(f"*/{FILE}")}
        yield from (self._home.runs / run / FILE for run in sorted(sealed | found))


def forget_checkpoint(connection: sqlite3.Connection, seals: Seals, run: str) -> None:
    """Takes the seals of a checkpoint away that nobody needs any more."""
    seals.drop(connection, CHECKPOINT, run)
    _drop(connection, seals, run)


def _drop(connection: sqlite3.Connection, seals: Seals, run: str, but: str = "") -> None:
    rows = connection.execute(
        "SELECT key FROM seals WHERE kind = ? AND key >= ? AND key < ? AND key != ?",
        (CHECKPOINT, f"{run}/", f"{run}/g", f"{run}/{but}"),
    ).fetchall()
    for row in rows:
        seals.drop(connection, CHECKPOINT, row["key"])


def _key(path: Path, digest: str) -> str:
    return f"{path.parent.name}/{digest}"


def _seal(connection: sqlite3.Connection, seals: Seals, path: Path, digest: str) -> None:
    seals.put(connection, CHECKPOINT, _key(path, digest), [path.parent.name, digest])


def _mark(connection: sqlite3.Connection, seals: Seals, path: Path) -> None:
    seals.put(connection, CHECKPOINT, path.parent.name, [path.parent.name, "is there"])
