"""The first opening: a new workspace gets its key, one of the version before its seals, once.

That it was done is noted in `keys/`, out of reach of who can only write the database: an older
database in its place, or one whose seals were thrown away, is not sealed again.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.clock import now
from workbench.core.errors import StorageError
from workbench.core.files import write_private
from workbench.store.audit import Audit
from workbench.store.checkpoints import seal_checkpoints
from workbench.store.database import Database
from workbench.store.endpoint_state import begin_states, forget_states
from workbench.store.home import Home
from workbench.store.seals import Seals
from workbench.store.signing import Signer
from workbench.store.trail import Trail

if TYPE_CHECKING:
    from workbench.store import Store

_WHY = "taken as it was found when the workspace was sealed"
_NEVER = "audit_never_forgets"


def begin(
    home: Home, db: Database, signer: Signer, seals: Seals, audit: Audit, trail: Trail
) -> None:
    """Makes the key and the seals of a workspace that has none, and notes that it has them."""
    with suppress(OSError, sqlite3.OperationalError, StorageError):  # it can only be read from here
        if _note(home).exists() or _begin_rows(home, db, signer, seals, audit, trail):
            begin_states(home, db, seals, audit)


def _begin_rows(
    home: Home, db: Database, signer: Signer, seals: Seals, audit: Audit, trail: Trail
) -> bool:
    """Returns whether the rows are sealed now."""
    if db.schema_problems():
        return False
    with db.transaction() as connection:
        is_sealed = seals.get("audit", "head") is not None
        if not is_sealed and not _seal(home, connection, signer, seals, audit, trail):
            return False
    write_private(_note(home), now() + "\n")
    return True


def leave_keyless(store: Store) -> None:
    """Takes away key, seals and log of a workspace that somebody else will open first, and sign.

    Its versions keep the signatures of where they came from. The log of a key that stays behind
    would be worth nothing there.
    """
    with store.db.transaction() as connection:
        never = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (_NEVER,))
        trigger = never.fetchone()["sql"]
        connection.execute(f"DROP TRIGGER {_NEVER}")
        connection.execute("DELETE FROM audit")
        connection.execute(trigger)
        connection.execute("DELETE FROM seals")
    for path in (*store.home.keys.glob("signing.*"), _note(store.home)):
        path.unlink(missing_ok=True)
    forget_states(store.home)


def _note(home: Home) -> Path:
    return home.keys / "sealed"


def _seal(
    home: Home,
    connection: sqlite3.Connection,
    signer: Signer,
    seals: Seals,
    audit: Audit,
    trail: Trail,
) -> bool:
    """Returns whether it could: what an older workspace signed needs the key it signed with."""
    has_signed = connection.execute("SELECT 1 FROM audit LIMIT 1").fetchone() is not None
    if has_signed and not signer.has_key:
        return False
    names = [row["name"] for row in connection.execute("SELECT name FROM models").fetchall()]
    signer.create()
    audit.begin(connection)
    seals.begin(connection)
    count = seals.seal_all(connection)
    seal_checkpoints(connection, seals, home.runs)
    for name in names:
        trail.begin(connection, name, _WHY)
    if count or names:
        audit.add(connection, "seal", "workspace", {"rows": count, "reason": _WHY})
    return True
