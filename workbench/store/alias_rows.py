"""The rows of aliases, read and written within a transaction of the registry's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from workbench.core.clock import now
from workbench.store.reading import reading


def current(connection: sqlite3.Connection, name: str, alias: str) -> int | None:
    """Returns the number that an alias points at, or None."""
    row = connection.execute(
        "SELECT number FROM aliases WHERE name = ? AND alias = ?", (name, alias)
    ).fetchone()
    with reading(f"'{alias}' of '{name}'", "Promote the version you mean; that puts it right."):
        return None if row is None else int(row["number"])


def previous(
    connection: sqlite3.Connection, name: str, alias: str, current: int
) -> sqlite3.Row | None:
    """Returns id and number of the promotion that a rollback from `current` comes back to."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT h.id, h.number FROM alias_history h "
        "LEFT JOIN alias_revoked r USING (name, alias, number) "
        "WHERE h.name = ? AND h.alias = ? AND h.on_stack = 1 AND r.number IS NULL "
        "AND h.number != ? ORDER BY h.id DESC LIMIT 1",
        (name, alias, current),
    ).fetchone()
    return row


def point(connection: sqlite3.Connection, name: str, alias: str, number: int) -> None:
    """Makes an alias point at a version."""
    connection.execute(
        "INSERT INTO aliases VALUES (?, ?, ?) "
        "ON CONFLICT(name, alias) DO UPDATE SET number = excluded.number",
        (name, alias, number),
    )


def rewrite(
    connection: sqlite3.Connection,
    name: str,
    alias: str,
    number: int | None,
    stack: Iterable[Sequence[int]],
    revoked: Iterable[int],
) -> None:
    """Puts other rows in the place of all there are of an alias."""
    for table in ("aliases", "alias_history", "alias_revoked"):
        connection.execute(f"DELETE FROM {table} WHERE name = ? AND alias = ?", (name, alias))
    there = "SELECT 1 FROM versions WHERE name = ? AND number = ?"
    if number is not None and connection.execute(there, (name, number)).fetchone():
        point(connection, name, alias, number)
    connection.executemany(
        "INSERT INTO alias_history (name, alias, number, on_stack, created) VALUES (?, ?, ?, ?, ?)",
        [(name, alias, *move, now()) for move in stack],
    )
    connection.executemany(
        "INSERT INTO alias_revoked VALUES (?, ?, ?)", [(name, alias, n) for n in sorted(revoked)]
    )
