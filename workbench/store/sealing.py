"""The first opening: a new workspace gets its key, one of the version before its seals, once.

That it was done is noted in `keys/`, out of reach of who can only write the database: an older
database in its place, or one whose seals were thrown away, is not sealed again.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from workbench.core.clock import now
from workbench.core.errors import StorageError
from workbench.store.audit import Audit
from workbench.store.checkpoints import found_checkpoints
from workbench.store.database import Database
from workbench.store.home import Home
from workbench.store.seals import Seals
from workbench.store.signing import Signer
from workbench.store.trail import Trail

_WHY = "sealed by the first workbench that seals, as it was found"


def begin(
    home: Home, db: Database, signer: Signer, seals: Seals, audit: Audit, trail: Trail
) -> None:
    """Makes the key and the seals of a workspace that has none, and notes that it has them."""
    noted = home.keys / "sealed"
    if noted.exists():
        return
    with suppress(OSError, sqlite3.OperationalError, StorageError):  # it can only be read from here
        with db.transaction() as connection:
            is_sealed = seals.get("audit", "head") is not None
            if not is_sealed and not _seal(home, connection, signer, seals, audit, trail):
                return
        noted.write_text(now() + "\n")


def _seal(
    home: Home,
    connection: sqlite3.Connection,
    signer: Signer,
    seals: Seals,
    audit: Audit,
    trail: Trail,
) -> bool:
    """Returns whether it could: what an older workspace signed needs the key it signed with."""
    names = [row["name"] for row in connection.execute("SELECT name FROM models").fetchall()]
    has_signed = names or connection.execute("SELECT 1 FROM audit LIMIT 1").fetchone()
    if has_signed and not signer.has_key:
        return False
    signer.create()
    audit.begin(connection)
    count = seals.seal_all(connection)
    for key, digest in found_checkpoints(home.runs):
        seals.put(connection, "checkpoint", key, digest)
    for name in names:
        trail.begin(connection, name, _WHY)
    if count or names:
        audit.add(connection, "seal", "workspace", {"rows": count, "reason": _WHY})
    return True
