"""Which prepared datasets the workspace has, by fingerprint. What is listed here, gc keeps."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from workbench.core.clock import now
from workbench.core.errors import InputError, NotFoundError
from workbench.core.refs import parse_ref
from workbench.store.database import Database
from workbench.store.seals import Seals

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class DatasetRecord:
    """A prepared dataset. `artifact` is the digest of its artifact."""

    fingerprint: str
    name: str
    artifact: str
    created: str

    @property
    def ref(self) -> str:
        """The dataset's ref."""
        return f"dataset:{self.name}@{self.fingerprint[:6]}"


class Datasets:
    """All prepared datasets of one workspace."""

    def __init__(self, db: Database, seals: Seals) -> None:
        self._db = db
        self._seals = seals

    def put(self, fingerprint: str, name: str, artifact: str) -> None:
        """Lists a dataset; the same fingerprint again replaces its name and artifact."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO datasets VALUES (?, ?, ?, ?) ON CONFLICT(fingerprint) "
                "DO UPDATE SET name = excluded.name, artifact = excluded.artifact",
                (fingerprint, name, artifact, now()),
            )
            self._seals.seal(connection, "dataset", fingerprint)

    def find(self, fingerprint: str) -> DatasetRecord | None:
        """Returns the dataset with this whole fingerprint, or None.

        Raises:
            IntegrityError: Its record was changed behind the workspace's back.
        """
        rows = self._seals.query("dataset", "WHERE fingerprint = ?", fingerprint)
        return self._checked(rows[0]) if rows else None

    def _named(self, name: str) -> str:
        rows = self._db.query("SELECT * FROM datasets WHERE name = ? ORDER BY rowid DESC", name)
        return " or ".join(list(dict.fromkeys(DatasetRecord(*row).ref for row in rows))[:5])

    def get(self, ref: str) -> DatasetRecord:
        """Returns the dataset of a ref, as in "dataset:digits@4fa1c2".

        Raises:
            NotFoundError: There is none.
            InputError: The ref has no fingerprint, or several datasets fit.
            IntegrityError: Its record was changed behind the workspace's back.
        """
        prefix = parse_ref(ref).selector or ""
        if not prefix or not set(prefix) <= _HEX:
            raise InputError(
                f"'{ref}' is not the whole ref of a dataset.",
                hint="It is made of the name and 6 or more digits: "
                f"{self._named(parse_ref(ref).name) or 'dataset:digits@4fa1c2'}.",
            )
        rows = self._seals.query("dataset", "WHERE fingerprint GLOB ?", f"{prefix}*")
        found = [row for row in rows if row["name"] == parse_ref(ref).name]
        if not found:
            others = ", ".join(_record(row).ref for row in rows)
            raise NotFoundError(
                f"No {ref} in this workspace.",
                hint=f"Maybe you meant {others}."
                if others
                else "Load it: wb.load(…).ref is its ref.",
            )
        if len(found) > 1:
            raise InputError(f"{ref} fits {len(found)} datasets.", hint="Give more digits.")
        return self._checked(found[0])

    def list(self) -> list[DatasetRecord]:
        """Returns all datasets, newest first."""
        rows = self._db.query("SELECT * FROM datasets ORDER BY rowid DESC")
        return [DatasetRecord(*row) for row in rows]

    def delete(self, fingerprint: str) -> None:
        """Takes a dataset off the list; gc then removes its files if nothing else needs them."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM datasets WHERE fingerprint = ?", (fingerprint,))
            self._seals.drop(connection, "dataset", fingerprint)

    def _checked(self, row: sqlite3.Row) -> DatasetRecord:
        return _record(self._seals.checked("dataset", row))


def _record(row: sqlite3.Row) -> DatasetRecord:
    return DatasetRecord(row["fingerprint"], row["name"], row["artifact"], row["created"])
