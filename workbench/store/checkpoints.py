"""Seals of checkpoints: files of runs that change too often, and live too briefly, to be blobs.

The seal is made before the file takes its place, and the one before is dropped after: whenever the
process ends, the file that is there bears a seal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.core.errors import IntegrityError
from workbench.core.ids import digest_bytes, digest_file
from workbench.store.database import Database
from workbench.store.home import Home
from workbench.store.seals import Seals

FILE = "checkpoint.safetensors"
_KIND = "checkpoint"


def found_checkpoints(runs: Path) -> Iterator[tuple[str, str]]:
    """Yields key and digest of each run's checkpoint, as they are sealed."""
    for path in sorted(runs.glob(f"*/{FILE}")):
        digest = digest_file(path)
        yield _key(path, digest), digest


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
            self._seals.put(connection, _KIND, _key(path, digest), digest)
        write(path, content)
        self._drop(path, but=digest)

    def remove(self, path: Path) -> None:
        """Removes a checkpoint and its seal, if there is one."""
        path.unlink(missing_ok=True)
        self._drop(path)

    def check(self, path: Path) -> None:
        """Checks that a checkpoint, if there is one, was written in this workspace for this run.

        Raises:
            IntegrityError: It was not.
        """
        if not path.exists():
            return
        digest = digest_file(path)
        if not self._seals.holds(_KIND, digest, self._seals.get(_KIND, _key(path, digest))):
            raise IntegrityError(
                f"The checkpoint of run:{path.parent.name} was changed behind the workspace's "
                "back.",
                hint="Start the training anew.",
                context={"path": str(path)},
            )

    def all(self) -> Iterator[Path]:
        """Yields the path of each run's checkpoint."""
        yield from sorted(self._home.runs.glob(f"*/{FILE}"))

    def _drop(self, path: Path, but: str = "") -> None:
        with self._db.transaction() as connection:
            connection.execute(
                "DELETE FROM seals WHERE kind = ? AND key >= ? AND key < ? AND key != ?",
                (_KIND, _key(path, ""), _key(path, "g"), _key(path, but)),
            )


def _key(path: Path, digest: str) -> str:
    return f"{path.parent.name}/{digest}"
