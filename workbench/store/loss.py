"""A loss that its owner accepts: what is gone or broken for good is noted and forgotten.

Records are forgotten and never sealed anew: nobody's change becomes true by this. A version stays
in its list, broken, for ever. Without the log or the key nothing can be noted, so nothing accepted.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from workbench.core.errors import IntegrityError
from workbench.store.findings import Tampered, broken_versions, untrusted_roots
from workbench.store.seals import KINDS

if TYPE_CHECKING:
    from workbench.store import Store

LOSE = "lose"  # the action in the log
_NEVER = ("schema", "audit", "key")


def accept_loss(store: Store) -> int:
    """Notes and forgets all that keeps `gc` from knowing what is needed; returns how much it was.

    Raises:
        IntegrityError: The log, the key or the database's form itself is broken.
    """
    found = list(untrusted_roots(store))
    for item in found:
        if item.kind in _NEVER:
            raise IntegrityError(
                f"No loss can be accepted, since it could not be noted: {item.words}",
                hint=item.remedy,
                context={"kind": item.kind},
            )
    if found:
        with store.db.transaction() as connection:
            _note(store, connection, found)
            for kind in KINDS:
                _forget(store, connection, kind)
    return len(found)


def _note(store: Store, connection: sqlite3.Connection, found: list[Tampered]) -> None:
    """Writes to the log what is lost: versions under their own name, the rest by kind."""
    for ref, error in list(broken_versions(store)):
        store.audit.add(connection, LOSE, ref, {"reason": error.message})
    for item in found:
        if item.kind in KINDS:
            store.audit.add(connection, LOSE, item.kind, {"reason": item.words})


def _forget(store: Store, connection: sqlite3.Connection, kind: str) -> None:
    for row, _ in list(store.seals.broken(kind)):
        if kind == "study":
            for variant in store.seals.query("variant", "WHERE study = ?", row["id"]):
                store.seals.forget(connection, "variant", variant)
        store.seals.forget(connection, kind, row)
    store.seals.drop_lost(connection, kind)
