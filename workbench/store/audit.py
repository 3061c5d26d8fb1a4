"""The audit log: who did what to which model, as a signed hash chain that only grows.

The number and hash of its newest entry, its head, are sealed: a log whose end was cut, or that was
emptied, does not end where its head says.
"""

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
from workbench.store.reading import UNREADABLE, mapping
from workbench.store.seals import Seals
from workbench.store.signing import Signer

_START = "0" * 64
_HEAD = "head"


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

    def __init__(self, db: Database, signer: Signer, seals: Seals) -> None:
        self._db = db
        self._signer = signer
        self._seals = seals
        self._proven: dict[str, tuple[str, str]] = {}

    def begin(self, connection: sqlite3.Connection) -> None:
        """Seals the head of the log as it is now; only for a workspace that was never sealed."""
        self._put_head(connection, *_end(connection))

    def add(
        self,
        connection: sqlite3.Connection,
        action: str,
        subject: str,
        data: Mapping[str, Any] | None = None,
        actor: str | None = None,
    ) -> None:
        """Appends an entry within the transaction that does what it tells."""
        last_id, last_hash = self._newest(connection)
        entry = {
            "id": last_id + 1,
            "time": now(),
            "actor": actor or _user(),
            "action": action,
            "subject": subject,
            "data": dict(data or {}),
            "previous": last_hash,
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
        self._put_head(connection, last_id + 1, head)

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
        return [self.entry(row) for row in rows]

    def entry(self, row: sqlite3.Row) -> AuditEntry:
        """Returns a row of the log as an entry, unchecked."""
        return _entry(row)

    def verify(self) -> int:
        """Recomputes the chain and checks its sealed head; returns the number of entries.

        Raises:
            IntegrityError: An entry was changed, removed or put in between, or the end was cut off.
        """
        with self._db.snapshot() as connection:
            rows = connection.execute("SELECT * FROM audit ORDER BY id").fetchall()
            previous, expected_id = _START, 1
            for row in rows:
                entry = _entry(row)
                if (entry.previous, entry.id) != (previous, expected_id) or not _is_whole(entry):
                    raise _broken(f"is broken at entry {entry.id}", id=entry.id)
                previous, expected_id = entry.hash, entry.id + 1
            self.check_head(connection)
        return len(rows)

    def check_head(self, connection: sqlite3.Connection) -> None:
        """Checks that the log ends where it did, with no gap: not every entry, some 30 µs.

        Raises:
            IntegrityError: It does not.
        """
        last_id, last_hash = self._newest(connection)
        count = connection.execute("SELECT count(*) FROM audit").fetchone()[0]
        end, newest = _end(connection)
        if count != last_id or end != last_id:
            raise _broken(f"was cut: {last_id} entries were written, {count} are left", id=end)
        if newest != last_hash:
            raise _broken(f"is broken at entry {last_id}", id=last_id)

    def check_entry(self, row: sqlite3.Row) -> AuditEntry:
        """Returns one row of the log as an entry, its hash and signature checked.

        The signature of the same entry is checked once a process: an endpoint asks all the time.

        Raises:
            IntegrityError: It was changed.
        """
        entry = _entry(row)
        if not _is_whole(entry):
            raise _broken(f"is broken at entry {entry.id}", id=entry.id)
        if self._proven.get(entry.subject) != (entry.hash, row["signature"]):
            self._signer.check(
                bytes.fromhex(entry.hash), row["signature"], what=f"audit entry {entry.id}"
            )
            self._proven[entry.subject] = (entry.hash, row["signature"])
        return entry

    def _newest(self, connection: sqlite3.Connection) -> tuple[int, str]:
        """Returns number and hash of the newest entry that was written, by the sealed head."""
        row = connection.execute(
            "SELECT seal FROM seals WHERE kind = 'audit' AND key = ?", (_HEAD,)
        ).fetchone()
        if row is None:
            self._seals.of("audit", [])  # without its key an older workspace has no head yet
            raise _broken("has lost its head", id=None)
        number, _, rest = str(row["seal"]).partition(" ")
        newest, _, seal = rest.partition(" ")
        if not number.isdecimal() or not self._seals.holds("audit", [int(number), newest], seal):
            self._seals.check_key()
            raise _broken("has another head than was written", id=None)
        return int(number), newest

    def _put_head(self, connection: sqlite3.Connection, number: int, newest: str) -> None:
        seal = f"{number} {newest} {self._seals.of('audit', [number, newest])}"
        connection.execute("INSERT OR REPLACE INTO seals VALUES ('audit', ?, ?)", (_HEAD, seal))


def _end(connection: sqlite3.Connection) -> tuple[int, str]:
    """Returns number and hash of the last entry that is there."""
    row = connection.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    return (0, _START) if row is None else (row["id"], row["hash"])


def _is_whole(entry: AuditEntry) -> bool:
    try:
        found = digest_json({k: v for k, v in vars(entry).items() if k != "hash"})
    except UNREADABLE:
        return False
    return found == entry.hash


def _broken(how: str, **context: Any) -> IntegrityError:
    return IntegrityError(
        f"The audit log {how}.",
        hint="Somebody changed the database by hand; restore workbench.db from a backup.",
        context=context,
    )


def _entry(row: sqlite3.Row) -> AuditEntry:
    values = {k: row[k] for k in row.keys() if k != "signature"}  # noqa: SIM118 (sqlite3.Row)
    try:
        data = mapping(row["data"])
    except UNREADABLE:
        data = {"unreadable": str(row["data"])[:100]}  # it breaks the chain, and is shown
    return AuditEntry(**{**values, "data": data})


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
