"""Seals: what a row says, under the workspace's key, so that a change behind its back is found.

A seal is a MAC (HMAC-SHA256, RFC 2104) over the table, the row's key and its columns as they are
stored. It is written in the transaction that writes the row, and checked by whoever uses the row
for more than showing it. One table for all kinds; a kind is a line in `KINDS`.

Who can write the database but not read `keys/` cannot make one. An older row may come back with
its older seal: for aliases, versions and the audit log the log's sealed head tells (see `trail`),
elsewhere it is something that was true. The whole workspace as it was earlier is not told from now.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from workbench.core.errors import IntegrityError
from workbench.core.ids import canonical_json
from workbench.store.census import Census
from workbench.store.database import Database
from workbench.store.signing import Signer

CHECKPOINT = "checkpoint"  # the kind of those that seal no row
_RESTORE = "Restore workbench.db from a backup"


@dataclass(frozen=True)
class Sealed:
    """A kind of row that bears a seal.

    Attributes:
        table: Where the rows are.
        key: The columns that name one.
        columns: What the seal protects besides.
        words: What a row is called, with its key columns put in.
        remedy: What to do about a broken one.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    words: str
    remedy: str

    @property
    def key_sql(self) -> str:
        """The key as one text, in SQL."""
        return " || '/' || ".join(f"{self.table}.{column}" for column in self.key)


KINDS: Mapping[str, Sealed] = MappingProxyType(
    {
        "artifact": Sealed(
            "artifacts",
            ("digest",),
            ("kind", "files", "meta"),
            "artifact {digest:.12}",
            f"{_RESTORE}, or load or make again what it is of: that puts it right.",
        ),
        "dataset": Sealed(
            "datasets",
            ("fingerprint",),
            ("name", "artifact"),
            "dataset:{name}@{fingerprint:.6}",
            f"{_RESTORE}, or load the data into a new workspace.",
        ),
        "run": Sealed(
            "runs",
            ("id",),
            ("kind", "config", "inputs", "outputs", "metrics"),
            "run:{id}",
            f"{_RESTORE}, or run it anew.",
        ),
        "study": Sealed(
            "studies",
            ("id",),
            ("content", "model", "dataset", "config"),
            "study:{id}",
            f"{_RESTORE}.",
        ),
        "variant": Sealed(
            "variants",
            ("study", "recipe"),
            ("digest", "measured"),
            "variant '{recipe}' of study:{study}",
            "`workbench gc` forgets it; then measure it again.",
        ),
        "result": Sealed(
            "cache",
            ("key",),
            ("value",),
            "remembered result {key:.40}",
            "`workbench gc` forgets it; then it is computed again.",
        ),
    }
)

FORGETTABLE = ("result", "variant")
"""Kinds that gc forgets if their seal does not hold: they can be made again."""


class Seals:
    """All seals of one workspace."""

    def __init__(self, db: Database, signer: Signer) -> None:
        self._db = db
        self._signer = signer
        self.census = Census(self.of)

    def begin(self, connection: sqlite3.Connection) -> None:
        """Notes the key and begins the census; only for a workspace that was never sealed."""
        note = ("key", "public", self._signer.fingerprint())
        connection.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", note)
        self.census.begin(connection, (*KINDS, CHECKPOINT))

    def seal(self, connection: sqlite3.Connection, kind: str, *key: str) -> None:
        """Seals a row as it is now, within the transaction that wrote it."""
        about = KINDS[kind]
        where = " AND ".join(f"{column} = ?" for column in about.key)
        row = connection.execute(f"SELECT * FROM {about.table} WHERE {where}", key).fetchone()
        self.put(connection, kind, "/".join(key), _content(kind, row))

    def seal_all(self, connection: sqlite3.Connection) -> int:
        """Seals every row there is, whatever it says; returns how many."""
        count = 0
        for kind, about in KINDS.items():
            for row in connection.execute(f"SELECT * FROM {about.table}").fetchall():
                self.put(connection, kind, _key(kind, row), _content(kind, row))
                count += 1
        return count

    def drop(self, connection: sqlite3.Connection, kind: str, *key: str) -> None:
        """Takes the seal of a row away that is deleted in this transaction."""
        at = (kind, "/".join(key))
        old = _sealed_at(connection, *at)
        connection.execute("DELETE FROM seals WHERE kind = ? AND key = ?", at)
        self.census.update(connection, kind, old, None)

    def forget(self, connection: sqlite3.Connection, kind: str, row: sqlite3.Row) -> None:
        """Deletes a row together with its seal."""
        about = KINDS[kind]
        where = " AND ".join(f"{column} = ?" for column in about.key)
        key = [row[column] for column in about.key]
        connection.execute(f"DELETE FROM {about.table} WHERE {where}", key)
        self.drop(connection, kind, *map(str, key))

    def drop_lost(self, connection: sqlite3.Connection, kind: str) -> None:
        """Takes the seals of rows away that are gone, and counts anew from what is left."""
        about = KINDS[kind]
        connection.execute(
            "DELETE FROM seals WHERE kind = ? AND key NOT IN "
            f"(SELECT {about.key_sql} FROM {about.table})",
            (kind,),
        )
        self.census.renew(connection, kind)

    def query(self, kind: str, rest: str = "", *values: Any) -> list[sqlite3.Row]:
        """Returns rows with their seals, to be given to `checked`.

        Args:
            kind: The kind of row.
            rest: The end of the SELECT, from "WHERE" on.
            values: Of its places.
        """
        about = KINDS[kind]
        seal = f"SELECT seal FROM seals WHERE kind = '{kind}' AND key = {about.key_sql}"
        return self._db.query(
            f"SELECT {about.table}.*, ({seal}) AS seal FROM {about.table} {rest}", *values
        )

    def checked(self, kind: str, row: sqlite3.Row) -> sqlite3.Row:
        """Returns a row of `query` if it says what the workspace wrote.

        Raises:
            IntegrityError: It does not.
        """
        problem = self._problem(kind, row)
        if problem is not None:
            self.check_key()
            raise IntegrityError(problem, hint=KINDS[kind].remedy, context={"kind": kind})
        return row

    def problem(self, kind: str, rest: str, *values: Any) -> str | None:
        """Returns what is wrong with the first row of a `query`, in words; None if nothing is."""
        rows = self.query(kind, rest, *values)
        return self._problem(kind, rows[0]) if rows else None

    def broken(self, kind: str) -> Iterator[tuple[sqlite3.Row, str]]:
        """Yields each row that does not say what the workspace wrote, and what is wrong."""
        for row in self.query(kind):
            problem = self._problem(kind, row)
            if problem is not None:
                yield row, problem

    def removed(self, kind: str) -> Iterator[str]:
        """Yields what is wrong, for each row that was taken out, with its seal or without."""
        about = KINDS[kind]
        rows = self._db.query(
            f"SELECT key FROM seals WHERE kind = ? AND key NOT IN "
            f"(SELECT {about.key_sql} FROM {about.table})",
            kind,
        )
        for row in rows:
            yield f"A {kind} was removed behind the workspace's back: {str(row['key'])[:60]}."
        problem = self.miscounted(kind)
        if problem is not None:
            yield problem

    def miscounted(self, kind: str) -> str | None:
        """Returns what is wrong if a row went, or came, together with its seal."""
        with self._db.snapshot() as connection:
            return self.census.problem(connection, kind)

    def put(self, connection: sqlite3.Connection, kind: str, key: str, content: Any) -> None:
        """Seals any content under a key; what was sealed there before is replaced."""
        old, new = _sealed_at(connection, kind, key), self.of(kind, content)
        connection.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", (kind, key, new))
        self.census.update(connection, kind, old, new)

    def check_key(self) -> None:
        """Checks that the key is the one that this database was written with.

        It is only for better words: nothing is believed for it.

        Raises:
            IntegrityError: It is that of another workspace, or is missing.
        """
        noted = self.get("key", "public")
        if noted is not None and noted != self._signer.fingerprint():
            raise IntegrityError(
                "keys/ and workbench.db do not belong together: the key is another one than the "
                "records were sealed and signed with.",
                hint="Put back the folder keys/ that belongs to this workbench.db, from a backup.",
            )

    def of(self, kind: str, content: Any) -> str:
        """Returns the seal of a content, 64 hexadecimal digits."""
        return self._signer.mac(canonical_json([kind, content]))

    def holds(self, kind: str, content: Any, seal: Any) -> bool:
        """Returns whether a seal is that of a content; both may be anything."""
        try:
            return hmac.compare_digest(
                str(seal).encode(errors="replace"), self.of(kind, content).encode()
            )
        except (TypeError, ValueError):  # bytes in a column of texts, say
            self._signer.mac(b"")  # without the key, that is what is wrong
            return False

    def get(self, kind: str, key: str) -> str | None:
        """Returns the seal under a key, or None."""
        row = self._db.one("SELECT seal FROM seals WHERE kind = ? AND key = ?", kind, key)
        return None if row is None else str(row["seal"])

    def keys(self, kind: str) -> list[str]:
        """Returns under which keys something of a kind was sealed."""
        rows = self._db.query("SELECT key FROM seals WHERE kind = ? ORDER BY key", kind)
        return [str(row["key"]) for row in rows]

    def _problem(self, kind: str, row: sqlite3.Row) -> str | None:
        values = dict(row)
        what = KINDS[kind].words.format(**{name: str(value) for name, value in values.items()})
        if row["seal"] is None:
            return f"{what} was put there behind the workspace's back: it bears no seal."
        if not self.holds(kind, _content(kind, row), row["seal"]):
            return f"{what} was changed behind the workspace's back."
        return None


def _sealed_at(connection: sqlite3.Connection, kind: str, key: str) -> Any:
    where = "WHERE kind = ? AND key = ?"
    row = connection.execute(f"SELECT seal FROM seals {where}", (kind, key)).fetchone()
    return None if row is None else row["seal"]


def _key(kind: str, row: sqlite3.Row) -> str:
    return "/".join(row[column] for column in KINDS[kind].key)


def _content(kind: str, row: sqlite3.Row) -> list[Any]:
    about = KINDS[kind]
    return [row[column] for column in (*about.key, *about.columns)]
