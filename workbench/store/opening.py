"""Opening the database file: to write where that is possible, else as it is, to read.

SQLite cannot read a file in WAL mode without making others beside it, unless it is told that nobody
changes it (https://www.sqlite.org/wal.html#read_only_databases).
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_BUSY_S = 30.0
_PERHAPS_READABLE = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
)


class Connection(sqlite3.Connection):
    """A connection that closes itself when its thread's storage is collected."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # one that could not even be opened
            self.close()


@dataclass(frozen=True)
class Opened:
    """An open database.

    Attributes:
        connection: To it.
        stamp: Of the file that it was read from, if it follows no change of it; None if it does.
    """

    connection: Connection
    stamp: tuple[int, ...] | None = None


def open_database(path: Path) -> Opened:
    """Opens the file, to write if that can be.

    Raises:
        sqlite3.Error: It can neither be written nor read.
    """
    try:
        return Opened(_touched(_connected(str(path))))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _PERHAPS_READABLE or not _has_content(path):
            raise
        stamp = stamp_of(path)
        try:
            return Opened(_unchanging(path), stamp)
        except (OSError, sqlite3.Error):
            raise error from None


def stamp_of(path: Path) -> tuple[int, ...]:
    """Returns what differs as soon as somebody has written to the file or to its log."""
    found: list[int] = []
    for part in (path, _wal(path)):
        try:
            stat = part.stat()
        except OSError:
            found.append(-1)
        else:
            found += (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return tuple(found)


def _unchanging(path: Path) -> Connection:
    if not _has_content(_wal(path)):
        return _touched(_connected(f"file:{quote(str(path))}?immutable=1", is_uri=True))
    return _in_memory(path)


def _in_memory(path: Path) -> Connection:
    """Returns a copy of the file with what only its log holds yet; it refuses to be written."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for source, target in ((path, copy), (_wal(path), _wal(copy))):
            shutil.copyfile(source, target)
        connection, source_db = _connected(":memory:"), _connected(str(copy))
        source_db.backup(connection)
        source_db.close()
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connected(name: str, *, is_uri: bool = False) -> Connection:
    connection = sqlite3.connect(
        name,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
        uri=is_uri,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA recursive_triggers=ON")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _touched(connection: Connection) -> Connection:
    """Makes the file be opened now: SQLite itself does it at the first statement."""
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
