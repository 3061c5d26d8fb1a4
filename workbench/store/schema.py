"""What the database consists of: exactly what the migrations make, or somebody has changed it.

A planted trigger or view changes what a writer writes, a dropped one lets through what it was there
to stop; neither is in a row that a seal could tell of.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from types import MappingProxyType

from workbench.core.errors import IntegrityError
from workbench.store.migrations import SCRIPTS

Objects = Mapping[tuple[str, str], tuple[str, str]]
HINT = "Restore workbench.db from a backup; until then it can be listed, but nothing is written."


def objects(connection: sqlite3.Connection) -> Objects:
    """Returns what a database consists of: table and definition by type and name."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL "
        "AND name NOT GLOB 'sqlite_stat[0-9]'"  # SQLite's own, of ANALYZE
    ).fetchall()
    return {(str(row[0]), str(row[1])): (str(row[2]), _normal(row[3])) for row in rows}


@functools.cache
def expected(version: int) -> Objects:
    """Returns what a database of a version consists of."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in SCRIPTS[:version]:
            run_script(connection, script)
        return MappingProxyType(objects(connection))


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Runs each statement of a script within the transaction there is."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def version_of(connection: sqlite3.Connection) -> int:
    """Returns the version that a database says it has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """Yields what is not as the migrations made it, in words."""
    version, newest = version_of(connection), len(SCRIPTS)
    if version != newest:
        yield f"The database says that its tables are of version {version}; they are of {newest}."
    found, right = objects(connection), expected(newest)
    for key in sorted({*found, *right}, key=lambda key: (key[0] != "table", key)):
        if found.get(key) != right.get(key):
            yield _words(key, found, right)


def check_schema(connection: sqlite3.Connection) -> None:
    """Checks that a database is as the migrations made it.

    Raises:
        IntegrityError: It is not.
    """
    for words in problems(connection):
        raise IntegrityError(words, hint=HINT, context={"schema": words})


def _words(key: tuple[str, str], found: Objects, right: Objects) -> str:
    what = f"The {key[0]} '{key[1]:.60}'"
    if key not in right:
        return f"{what} was put into the database behind the workspace's back."
    how = "changed" if key in found else "taken out of the database"
    return f"{what} was {how} behind the workspace's back."


def _normal(sql: object) -> str:
    return " ".join(str(sql or "").split())
