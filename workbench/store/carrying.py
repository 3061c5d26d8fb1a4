"""Takes versions of a model to another workspace: same numbers, same signatures, same aliases.

The signing key stays where it is; the other workspace gets the public one, and checks with it.
"""

from __future__ import annotations

import sqlite3

from workbench.core.errors import ConflictError
from workbench.store import Store, Version
from workbench.store.signing import Signer


def carry(source: Store, target: Store, name: str, *, keep: int = 3) -> list[Version]:
    """Copies what the aliases of a model point at, and what they can be rolled back to.

    Every file is re-hashed and every signature checked on both sides.

    Args:
        source: Where the model was registered.
        target: A workspace without a model of that name.
        name: The model.
        keep: Most versions for each alias, the current one among them.

    Returns:
        The versions, as the target has them.

    Raises:
        NotFoundError: No such model.
        IntegrityError: Something is not what was registered.
        ConflictError: The target has such a model.
    """
    if name in target.models.names():
        raise ConflictError(f"The workspace has a model '{name}' already.", hint="Take a new one.")
    wanted = _wanted(source, name, keep)
    Signer(target.home).trust("origin", Signer(source.home).public_key())
    for number in wanted:
        for blob in source.models.verify(source.models.get(name, number)).files.values():
            target.blobs.put_file(source.blobs.path(blob), blob.suffix)
    with target.db.transaction() as connection:
        for table, rows in _rows(source, name, wanted).items():
            for row in rows:
                _insert(connection, table, row)
        target.models.trail.begin(connection, name, f"carried from {source.home.root.name}")
    return [target.models.verify(version) for version in target.models.versions(name)]


def _wanted(source: Store, name: str, keep: int) -> list[int]:
    """Returns numbers: by alias the current one and the last ones before it that may come back."""
    source.models.versions(name)
    found: set[int] = set()
    for alias, current in source.models.aliases(name).items():
        moves = [m.number for m in source.models.history(name, alias) if not m.is_revoked]
        line = [current, *(number for number in reversed(moves) if number != current)]
        found.update(list(dict.fromkeys(line))[:keep])
    if not found:
        found.add(source.models.resolve(f"model:{name}").number)
    return sorted(found)


def _rows(source: Store, name: str, wanted: list[int]) -> dict[str, list[sqlite3.Row]]:
    """Returns the rows to copy, in an order that foreign keys allow."""
    tables = ("models", "versions", "aliases", "alias_history", "alias_revoked")
    rows = {
        table: source.db.query(f"SELECT * FROM {table} WHERE name = ?", name) for table in tables
    }
    for table in ("versions", "aliases", "alias_history"):
        rows[table] = [row for row in rows[table] if row["number"] in wanted]
    return rows


def _insert(connection: sqlite3.Connection, table: str, row: sqlite3.Row) -> None:
    columns = [column for column in row.keys() if column != "id"]  # noqa: SIM118 (not a mapping)
    places = ", ".join("?" * len(columns))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})",
        [row[column] for column in columns],
    )
