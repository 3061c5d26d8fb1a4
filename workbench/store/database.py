"""The SQLite database: one connection a thread, short transactions, full durability."""

from __future__ import annotations

import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.core.errors import IntegrityError, StateError, StorageError
from workbench.core.files import open_private
from workbench.core.storage import DAMAGED, storage_border
from workbench.store.home import Home, moved
from workbench.store.migrations import SCRIPTS
from workbench.store.opening import open_database, stamp_of
from workbench.store.reserve import Reserve
from workbench.store.schema import (
    HINT,
    check_schema,
    expected,
    objects,
    problems,
    run_script,
    version_of,
)

_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "afs", "ceph", "glusterfs", "beegfs", "9p")
_MOUNTS = Path("/proc/mounts")


class NetworkFileSystemWarning(UserWarning):
    """The workspace lies on a network file system, so a slower journal is used."""


class Database:
    """One workspace's database. Safe to share between threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._migrate()

    def query(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Returns all rows of a SELECT.

        Raises:
            StorageError: The disk does not do its part; so for every other method.
        """
        with self._border():
            return self._connection().execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Returns the first row of a SELECT, or None."""
        with self._border():
            row: sqlite3.Row | None = self._connection().execute(sql, values).fetchone()
            return row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection that holds the write lock; commits at the end, or undoes all.

        Raises:
            IntegrityError: Tables or triggers were changed: what is written might not be what is
                stored.
        """
        with self._locked() as connection:
            self._check_schema(connection)
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection whose SELECTs all see one moment; within a transaction, that one's."""
        with self._border():
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def execute(self, sql: str, *values: Any) -> int:
        """Runs one writing statement as a transaction; returns how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(sql, values).rowcount

    def version(self) -> tuple[int, int]:
        """Returns what differs, within one thread, as soon as anyone has written anything.

        Some 6 µs; see https://www.sqlite.org/pragma.html#pragma_data_version for other connections.
        """
        with self._border():
            connection = self._connection()
            others: int = connection.execute("PRAGMA data_version").fetchone()[0]
            return others, connection.total_changes

    def schema_problems(self) -> list[str]:
        """Returns which tables, indices, triggers and views are not what they were made as."""
        with self._border():
            return list(problems(self._connection()))

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            with storage_border(self.path, f"The workspace's database {self.path}"):
                yield
        except sqlite3.OperationalError as error:  # no such table, or a text that is none
            for words in problems(self._connection()):
                raise IntegrityError(words, hint=HINT) from error
            raise IntegrityError(
                f"The workspace's database {self.path} cannot be read: {error}.", hint=HINT
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        with self._border():
            connection = self._writable()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        """Checks it once a connection, and whenever it was changed since; some 2 µs else."""
        changes = connection.execute("PRAGMA schema_version").fetchone()[0]
        if self._local.schema != changes:
            check_schema(connection)
            self._local.schema = changes

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and connection.in_transaction:
            return connection
        file = self._file()
        if connection is not None and self._is_outdated(file):
            self.close()
            connection = None
        if connection is None:
            connection = self._open()
            self._local.file = file
        return connection

    def _file(self) -> tuple[int, int]:
        """Returns what tells the file from another one in its place."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise moved(self.path.parent) from None
        return found.st_dev, found.st_ino

    def _is_outdated(self, file: tuple[int, int]) -> bool:
        """Returns whether this thread's connection is to what was there before.

        A backup was put in its place; or it can only be read from here, and somebody has written.
        """
        stamp = self._local.stamp
        return file != self._local.file or (stamp is not None and stamp != stamp_of(self.path))

    def _writable(self) -> sqlite3.Connection:
        """Returns a connection; one that can only read is tried anew: perhaps there is space."""
        connection = self._connection()
        if self._local.stamp is None:
            return connection
        self.close()
        return self._connection()

    def _open(self) -> sqlite3.Connection:
        try:
            opened = open_database(self.path)
        except sqlite3.OperationalError:
            if not Reserve(self.path.parent).release():
                raise
            opened = open_database(self.path)
        self._local.connection, self._local.stamp = opened.connection, opened.stamp
        self._local.schema = None  # which one was checked last
        return opened.connection

    def _migrate(self) -> None:
        with self._border():
            if not self.path.exists():
                open_private(self.path, "ab").close()  # SQLite's own files get the same mode
            connection = self._connection()
            if version_of(connection) == len(SCRIPTS):
                return
            self._choose_journal(connection)
            with self._locked():
                self._bring_up_to_date(connection)

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        version = version_of(connection)
        if version > len(SCRIPTS):
            raise StateError(
                f"The workspace {self.path.parent} was written by a newer workbench "
                f"(tables {version}, this one knows {len(SCRIPTS)}).",
                hint="Update this installation: pip install -U maas-workbench",
            )
        if objects(connection) != expected(max(version, 0)):
            return  # it can be listed; whoever writes is told what is wrong with it
        for script in SCRIPTS[version:]:
            run_script(connection, script)
        connection.execute(f"PRAGMA user_version={len(SCRIPTS)}")

    def _choose_journal(self, connection: sqlite3.Connection) -> None:
        kind = file_system(self.path.parent)
        if not any(kind.startswith(("fuse." + name, name)) for name in _NETWORK):
            connection.execute("PRAGMA journal_mode=WAL")
            return
        warnings.warn(
            f"The workspace lies on a network file system ({kind}): using a rollback journal, "
            "which is slower but safe there.",
            NetworkFileSystemWarning,
            stacklevel=5,
        )
        connection.execute("PRAGMA journal_mode=DELETE")


def check_not_lost(home: Home) -> None:
    """Refuses an empty database beside stored files: it would forget them, and gc remove them.

    Raises:
        StorageError: The database was lost.
    """
    path = home.database
    is_empty = not path.exists() or (path.is_file() and not path.stat().st_size)
    if is_empty and home.has_files():
        raise StorageError(
            f"The workspace's database {path} is {'empty' if path.exists() else 'missing'}, but "
            f"files are stored beside it.",
            hint=DAMAGED.hint,
            context={"reason": DAMAGED.key, "path": str(path)},
        )


def file_system(path: Path) -> str:
    """Returns the type of the file system that holds `path`, as in "ext4"; "" if unknown."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    target = path.resolve()
    best, kind = -1, ""
    for line in lines:
        _, mount, found, *_ = line.split()
        point = Path(mount.replace("\\040", " "))
        if (target == point or point in target.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), found
    return kind
