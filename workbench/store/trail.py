"""What the audit log says of aliases and versions: the registry's tables must say the same.

The log is signed, its head is sealed, and each move and each deletion is in it. So an alias that
was moved, a revoked version that is welcome again, and a deleted version that came back are found
by reading it, with no second record of the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.core.errors import IntegrityError
from workbench.core.refs import version_number
from workbench.store import alias_rows
from workbench.store.audit import Audit, AuditEntry
from workbench.store.database import Database
from workbench.store.reading import reading

# What is taken as it is: of an older workspace, or of the one a model was carried from.
ALIAS_START, VERSION_START, MODEL_START = "take_alias", "take_version", "take_model"
_MOVES = ("promote", "rollback", ALIAS_START)
_HEALED = "its tables were not what the log says"
_LIVES = ("register", "delete", VERSION_START)


@dataclass
class AliasState:
    """Where an alias points and what it can be taken back to, as in the tables.

    Attributes:
        number: The version; None before the first move.
        stack: The promotions, oldest first: number, and 1 if a rollback may come back to it.
        revoked: The versions that a rollback took back.
    """

    number: int | None = None
    stack: list[list[int]] = field(default_factory=list)
    revoked: set[int] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """Returns the state as JSON-able values."""
        return {"to": self.number, "stack": self.stack, "revoked": sorted(self.revoked)}


class Trail:
    """The log of one workspace, as far as it is about the registry."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self._db = db
        self._audit = audit

    def check_alias(
        self, connection: sqlite3.Connection, name: str, alias: str, number: int | None
    ) -> None:
        """Checks that an alias points where the log's newest move took it.

        Raises:
            IntegrityError: It was moved behind the registry's back, or the log was.
        """
        self._audit.check_head(connection)
        said = self.last_move(connection, name, alias)
        if said != number:
            raise IntegrityError(
                f"'{alias}' of '{name}' was moved behind the registry's back: it points at "
                f"{_version(number)}, and the audit log says {_version(said)}.",
                hint="Promote the version you mean; `workbench audit` shows the moves.",
                context={"name": name, "alias": alias, "found": number, "said": said},
            )

    def last_move(self, connection: sqlite3.Connection, name: str, alias: str) -> int | None:
        """Returns where the log's newest move took an alias; None if there was none."""
        entry = self._newest(connection, f"model:{name}@{alias}", _MOVES)
        return None if entry is None else int(entry.data["to"])

    def check_state(self, connection: sqlite3.Connection, name: str, alias: str) -> None:
        """Checks an alias and all it can be taken back to.

        Raises:
            IntegrityError: Something was changed behind the registry's back.
        """
        found = stored_state(connection, name, alias)
        self.check_alias(connection, name, alias, found.number)
        if found != self.state(connection, name, alias):
            raise IntegrityError(
                f"The history of '{alias}' of '{name}' was changed behind the registry's back: it "
                "is not what the audit log says.",
                hint="`workbench audit` shows the moves. Promote a version that you trust by its "
                "number: that puts the history right, too.",
                context={"name": name, "alias": alias},
            )

    def heal(self, connection: sqlite3.Connection, name: str, alias: str) -> int | None:
        """Makes the tables say of an alias what the log says; returns where it points by that.

        Raises:
            IntegrityError: The log itself was changed.
        """
        self._audit.check_head(connection)
        for row in self._about(connection, name, alias):
            self._audit.check_entry(row)
        said, found = self.state(connection, name, alias), stored_state(connection, name, alias)
        if found != said:
            alias_rows.rewrite(connection, name, alias, said.number, said.stack, said.revoked)
            data = {"found": f"{found.number}"[:40], "to": said.number, "reason": _HEALED}
            self._audit.add(connection, "mend", f"model:{name}@{alias}", data)
        return said.number

    def check_version(self, connection: sqlite3.Connection, name: str, number: int) -> None:
        """Checks that a version that is there was registered, and not deleted since.

        Raises:
            IntegrityError: It was put there behind the registry's back, or the log was changed.
        """
        self._audit.check_head(connection)
        entry = self._newest(connection, f"model:{name}@{number}", _LIVES)
        if entry is not None and entry.action != "delete":
            return
        how = "never registered" if entry is None else f"deleted on {entry.time[:10]}"
        raise IntegrityError(
            f"model:{name}@{number} was {how}, and put there behind the registry's back.",
            hint="Do not use it. `workbench delete` takes it out, `workbench audit` shows who did "
            "what.",
            context={"name": name, "number": number},
        )

    def state(self, connection: sqlite3.Connection, name: str, alias: str) -> AliasState:
        """Returns the state of an alias by all that the log says of it."""
        with reading(f"What the audit log says of '{alias}' of '{name}'"):
            return replay(map(self._audit.entry, self._about(connection, name, alias)))

    def begin(self, connection: sqlite3.Connection, name: str, why: str) -> None:
        """Writes to the log what the tables say of a model, which is taken as it is."""
        data = {"reason": why}
        one = connection.execute("SELECT last_number FROM models WHERE name = ?", (name,))
        last = one.fetchone()["last_number"]
        for row in connection.execute("SELECT * FROM versions WHERE name = ?", (name,)).fetchall():
            about = {"digest": row["digest"], **data}
            self._audit.add(connection, VERSION_START, f"model:{name}@{row['number']}", about)
        if self.highest(connection, name) < last:  # whose version was deleted, or not carried along
            self._audit.add(connection, MODEL_START, f"model:{name}@{last}", data)
        for row in connection.execute("SELECT * FROM aliases WHERE name = ?", (name,)).fetchall():
            about = {**stored_state(connection, name, row["alias"]).to_json(), **data}
            self._audit.add(connection, ALIAS_START, f"model:{name}@{row['alias']}", about)

    def highest(self, connection: sqlite3.Connection, name: str) -> int:
        """Returns the highest number that a version of a model ever had."""
        return self.numbers(connection, name).get(name, 0)

    def numbers(self, connection: sqlite3.Connection, name: str | None = None) -> dict[str, int]:
        """Returns the highest number that a version ever had, of one model or of all."""
        first, last = ("model:", "model;") if name is None else (f"model:{name}@", f"model:{name}A")
        rows = connection.execute(
            "SELECT subject FROM audit WHERE subject >= ? AND subject < ? AND action IN (?, ?, ?)",
            (first, last, "register", VERSION_START, MODEL_START),
        )
        found: dict[str, int] = {}
        for row in rows.fetchall():
            model, _, selector = row["subject"].removeprefix("model:").rpartition("@")
            if selector.isdecimal():
                found[model] = max(found.get(model, 0), version_number(selector))
        return found

    def _about(self, connection: sqlite3.Connection, name: str, alias: str) -> list[sqlite3.Row]:
        """Returns the moves of an alias and the deletions of its model's versions."""
        return connection.execute(
            "SELECT * FROM audit WHERE subject = ? OR (subject >= ? AND subject < ? AND "
            "action = 'delete') ORDER BY id",
            (f"model:{name}@{alias}", f"model:{name}@", f"model:{name}A"),
        ).fetchall()

    def _newest(
        self, connection: sqlite3.Connection, subject: str, actions: tuple[str, ...]
    ) -> AuditEntry | None:
        places = ", ".join("?" * len(actions))
        newest = f"SELECT max(id) FROM audit WHERE subject = ? AND action IN ({places})"
        row = connection.execute(
            f"SELECT * FROM audit WHERE id = ({newest})", (subject, *actions)
        ).fetchone()
        return None if row is None else self._audit.check_entry(row)


def replay(entries: Iterable[AuditEntry]) -> AliasState:
    """Returns the state that moves and deletions, oldest first, lead to."""
    state = AliasState()
    for entry in entries:
        if entry.action == ALIAS_START:
            state = _taken(entry.data)
        elif entry.action == "promote":
            _promote(state, entry.data["to"])
        elif entry.action == "rollback":
            _roll_back(state, entry.data["to"])
        elif entry.action == "delete":
            gone = int(entry.subject.rpartition("@")[2])
            state.stack = [move for move in state.stack if move[0] != gone]
    return state


def stored_state(connection: sqlite3.Connection, name: str, alias: str) -> AliasState:
    """Returns the state of an alias as the tables have it."""
    key = (name, alias)
    one = connection.execute(
        "SELECT number FROM aliases WHERE name = ? AND alias = ?", key
    ).fetchone()
    stack = connection.execute(
        "SELECT number, on_stack FROM alias_history WHERE name = ? AND alias = ? ORDER BY id", key
    )
    revoked = connection.execute(
        "SELECT number FROM alias_revoked WHERE name = ? AND alias = ?", key
    )
    return AliasState(
        None if one is None else one["number"],
        [list(row) for row in stack.fetchall()],
        {row["number"] for row in revoked.fetchall()},
    )


def _taken(data: Mapping[str, Any]) -> AliasState:
    return AliasState(data["to"], [list(move) for move in data["stack"]], set(data["revoked"]))


def _promote(state: AliasState, number: int) -> None:
    state.revoked.discard(number)
    state.stack.append([number, 1])
    state.number = number


def _roll_back(state: AliasState, number: int) -> None:
    if state.number is not None:
        state.revoked.add(state.number)
    last = max((i for i, move in enumerate(state.stack) if move == [number, 1]), default=-1)
    for move in state.stack[last + 1 :]:
        move[1] = 0
    state.number = number


def _version(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"
