"""The rows of aliases, read and written within a transaction of the registry's."""

from __future__ import annotations

import sqlite3


def current(connection: sqlite3.Connection, name: str, alias: str) -> int | None:
    """Returns the number that an alias points at, or None."""
    row = connection.execute(
        "SELECT number FROM aliases WHERE name = ? AND alias = ?", (name, alias)
    ).fetchone()
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
