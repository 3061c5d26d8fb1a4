"""The SQLite database: one connection a thread, short transactions, full durability."""

from __future__ import annotations

import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.core.errors import StateError
from workbench.store.migrations import SCRIPTS

_BUSY_S = 30.0
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
        """Returns all rows of a SELECT."""
        return self._connection().execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Returns the first row of a SELECT, or None."""
        row: sqlite3.Row | None = self._connection().execute(sql, values).fetchone()
        return row

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection that holds the write lock; commits at the end, or undoes all."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection whose SELECTs all see one moment; within a transaction, that one's."""
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
        connection = self._connection()
        others: int = connection.execute("PRAGMA data_version").fetchone()[0]
        return others, connection.total_changes

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _Connection(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA recursive_triggers=ON")
            connection.execute("PRAGMA synchronous=FULL")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        connection = self._connection()
        if connection.execute("PRAGMA user_version").fetchone()[0] == len(SCRIPTS):
            return
        self._choose_journal(connection)
        with self.transaction():
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(SCRIPTS):
                raise StateError(
                    f"The workspace {self.path.parent} was written by a newer workbench "
                    f"(tables {version}, this one knows {len(SCRIPTS)}).",
                    hint="Update this installation: pip install -U maas-workbench",
                )
            for script in SCRIPTS[version:]:
                _run_script(connection, script)
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
            stacklevel=4,
        )
        connection.execute("PRAGMA journal_mode=DELETE")


class _Connection(sqlite3.Connection):
    """A connection that closes itself when its thread's storage is collected."""

    def __del__(self) -> None:
        self.close()


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


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
