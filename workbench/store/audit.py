"""The audit log: who did what to which model, as a signed hash chain that only grows."""

from __future__ import annotations

import getpass
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import IntegrityError
from workbench.core.ids import digest_json
from workbench.store.database import Database
from workbench.store.signing import Signer

_START = "0" * 64


@dataclass(frozen=True)
class AuditEntry:
    """One entry of the chain. `hash` covers everything before it."""

    id: int
    time: str
    actor: str
    action: str
    subject: str
    data: Mapping[str, Any]
    previous: str
    hash: str


class Audit:
    """The audit log of one workspace."""

    def __init__(self, db: Database, signer: Signer) -> None:
        self._db = db
        self._signer = signer

    def add(
        self,
        connection: sqlite3.Connection,
        action: str,
        subject: str,
        data: Mapping[str, Any] | None = None,
        actor: str | None = None,
    ) -> None:
        """Appends an entry within the transaction that does what it tells."""
        last = connection.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        entry = {
            "id": 1 if last is None else last["id"] + 1,
            "time": now(),
            "actor": actor or _user(),
            "action": action,
            "subject": subject,
            "data": dict(data or {}),
            "previous": _START if last is None else last["hash"],
        }
        head = digest_json(entry)
        connection.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(
                    json.dumps(v, ensure_ascii=False) if k == "data" else v
                    for k, v in entry.items()
                ),
                head,
                self._signer.sign(bytes.fromhex(head)),
            ),
        )

    def record(
        self,
        action: str,
        subject: str,
        data: Mapping[str, Any] | None = None,
        actor: str | None = None,
    ) -> None:
        """Appends an entry in a transaction of its own."""
        with self._db.transaction() as connection:
            self.add(connection, action, subject, data, actor)

    def entries(self, subject: str | None = None) -> list[AuditEntry]:
        """Returns all entries, oldest first, of one subject or of all."""
        rows = self._db.query(
            "SELECT * FROM audit WHERE ?1 IS NULL OR subject = ?1 ORDER BY id", subject
        )
        return [_entry(row) for row in rows]

    def verify(self) -> int:
        """Recomputes the chain and checks its signed head; returns the number of entries.

        Raises:
            IntegrityError: An entry was changed, removed or put in between.
        """
        previous, expected_id = _START, 1
        rows = self._db.query("SELECT * FROM audit ORDER BY id")
        for row in rows:
            entry = _entry(row)
            fields = {k: v for k, v in vars(entry).items() if k != "hash"}
            intact = entry.previous == previous and entry.id == expected_id
            if not intact or digest_json(fields) != entry.hash:
                raise IntegrityError(
                    f"The audit log is broken at entry {entry.id}.",
                    hint="Somebody changed the database by hand.",
                    context={"id": entry.id},
                )
            self._signer.check(
                bytes.fromhex(entry.hash), row["signature"], what=f"audit entry {entry.id}"
            )
            previous, expected_id = entry.hash, entry.id + 1
        return len(rows)


def _entry(row: sqlite3.Row) -> AuditEntry:
    values = {k: row[k] for k in row.keys() if k != "signature"}  # noqa: SIM118 (sqlite3.Row)
    return AuditEntry(**{**values, "data": json.loads(row["data"])})


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
