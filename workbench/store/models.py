"""Models: immutable, signed, numbered versions under a name, and the aliases that point at them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    NotFoundError,
    StateError,
    did_you_mean,
    unknown_name,
)
from workbench.core.ids import canonical_json, digest_json
from workbench.core.reason import check_reason
from workbench.core.refs import check_name, parse_ref, version_number
from workbench.store import alias_rows
from workbench.store.audit import Audit
from workbench.store.blobs import Blob, Blobs
from workbench.store.database import Database
from workbench.store.reading import LARGEST, readable
from workbench.store.signing import Signer
from workbench.store.trail import Trail
from workbench.store.versions import Version, check_version, read_version, sign_version

__all__ = ["AliasMove", "Models", "Version"]


@dataclass(frozen=True)
class AliasMove:
    """One past promotion. `is_revoked` tells whether a rollback took the version back."""

    number: int
    created: str
    is_revoked: bool


class Models:
    """The registry of one workspace."""

    def __init__(self, db: Database, blobs: Blobs, signer: Signer, audit: Audit) -> None:
        self._db = db
        self._blobs = blobs
        self._signer = signer
        self._audit = audit
        self.trail = Trail(db, audit)

    def names(self) -> list[str]:
        """Returns all model names, sorted."""
        rows = self._db.query("SELECT name FROM models ORDER BY name")
        return [row["name"] for row in rows if isinstance(row["name"], str)]

    def versions(self, name: str) -> list[Version]:
        """Returns the versions of a model, oldest first."""
        self._require(name)
        rows = self._db.query("SELECT * FROM versions WHERE name = ? ORDER BY number", name)
        return list(readable(read_version, rows))

    def register(self, name: str, manifest: Mapping[str, Any]) -> Version:
        """Adds a version; the same manifest under the same name gives the version it has.

        Args:
            name: The model's name, made if it is new.
            manifest: JSON-able; its "files" map names to stored blobs.

        Raises:
            InputError: The name cannot be one.
            IntegrityError: A file is missing or changed.
        """
        check_name(name, what="a model")
        blobs = [Blob.from_json(item) for item in manifest["files"].values()]
        for blob in blobs:
            self._blobs.verify(blob)
        digest = digest_json(dict(manifest))
        with self._db.transaction() as connection:
            for blob in blobs:
                if not self._blobs.renew(blob):  # gc was faster; under the lock it waits
                    self._blobs.verify(blob)
            connection.execute(
                "INSERT INTO models VALUES (?, 0, ?) ON CONFLICT DO NOTHING", (name, now())
            )
            row = connection.execute(
                "SELECT * FROM versions WHERE name = ? AND digest = ?", (name, digest)
            ).fetchone()
            if row is not None:
                self.trail.check_version(connection, name, row["number"])
            else:
                number = self._insert(connection, name, digest, manifest)
                self._audit.add(
                    connection, "register", f"model:{name}@{number}", {"digest": digest}
                )
        return self.by_digest(name, digest)

    def by_digest(self, name: str, digest: str) -> Version:
        """Returns the version of `name` with this digest."""
        row = self._db.one("SELECT * FROM versions WHERE name = ? AND digest = ?", name, digest)
        if row is None:
            raise NotFoundError(f"No version of '{name}' has the digest {digest[:12]}.")
        return read_version(row)

    def get(self, name: str, number: int) -> Version:
        """Returns a version by number.

        Raises:
            NotFoundError: No such model or version.
        """
        return read_version(self._row(name, number))

    def resolve(self, ref: str) -> Version:
        """Returns the version a ref such as `model:name@champion` or `model:name@3` points at.

        Without a selector, the alias `champion`, else the newest version.
        """
        parsed = parse_ref(ref)
        if parsed.kind != "model":
            raise NotFoundError(f"'{ref}' is a {parsed.kind}, not a model.")
        self._require(parsed.name)
        selector = parsed.selector
        if selector is None:
            number = self.alias(parsed.name, "champion")
            return self.get(parsed.name, number) if number else self.versions(parsed.name)[-1]
        if selector.isdecimal():
            return self.get(parsed.name, version_number(selector))
        number = self.alias(parsed.name, selector)
        if number is None:
            known = self.aliases(parsed.name)
            raise NotFoundError(
                f"'{parsed.name}' has no alias '{selector}'{did_you_mean(selector, known) or '.'}",
                hint=f"Aliases: {', '.join(known) or 'none'}. `workbench promote` sets one.",
            )
        return self.get(parsed.name, number)

    def alias(self, name: str, alias: str) -> int | None:
        """Returns the number an alias points at, or None, checked against the audit log.

        Some 0.2 ms, whatever the length of the log.

        Raises:
            IntegrityError: It was moved behind the registry's back.
        """
        with self._db.snapshot() as connection:
            number = alias_rows.current(connection, name, alias)
            self.trail.check_alias(connection, name, alias, number)
        return number

    def aliases(self, name: str) -> dict[str, int]:
        """Returns the aliases of a model with the number each points at; for showing, unchecked."""
        rows = self._db.query("SELECT * FROM aliases WHERE name = ? ORDER BY alias", name)
        return {row["alias"]: row["number"] for row in rows if isinstance(row["number"], int)}

    def history(self, name: str, alias: str) -> list[AliasMove]:
        """Returns the promotions of an alias, oldest first."""
        rows = self._db.query(
            "SELECT h.number, h.created, r.number IS NOT NULL AS revoked FROM alias_history h "
            "LEFT JOIN alias_revoked r USING (name, alias, number) "
            "WHERE h.name = ? AND h.alias = ? ORDER BY h.id",
            name,
            alias,
        )
        return [AliasMove(row["number"], row["created"], bool(row["revoked"])) for row in rows]

    def promote(
        self,
        name: str,
        number: int,
        alias: str = "champion",
        *,
        force: bool = False,
        expected: int | None = None,
        actor: str | None = None,
        reason: str = "",
    ) -> Version:
        """Points an alias at a version.

        Args:
            name: The model.
            number: The version.
            alias: The alias, made if it is new.
            force: Also if a rollback revoked this version for this alias.
            expected: The number that the caller believes the alias points at; checked if given.
            actor: Who does it; by default the user of the system.
            reason: Why, for the audit log.

        An alias that was changed behind the registry's back is first put back to what the audit log
        says; the log tells.

        Raises:
            ConflictError: The alias points elsewhere than `expected`.
            StateError: The version was revoked for this alias.
        """
        check_name(alias, what="an alias")
        if alias.isdecimal():
            raise InputError(
                f"Got '{alias}' as an alias, which would be taken for a version's number.",
                hint="Use a word, as in champion.",
            )
        reason = check_reason(reason)
        version = self.get(name, number)
        with self._db.transaction() as connection:
            current = self.trail.heal(connection, name, alias)
            if expected is not None and current != expected:
                raise ConflictError(
                    f"'{alias}' of '{name}' points at {current}, not at {expected}.",
                    hint="Somebody moved it; look again and repeat.",
                )
            self.trail.check_version(connection, name, number)
            self._refuse_revoked(connection, name, alias, number, force)
            if current != number:
                alias_rows.point(connection, name, alias, number)
                connection.execute(
                    "INSERT INTO alias_history (name, alias, number, created) VALUES (?, ?, ?, ?)",
                    (name, alias, number, now()),
                )
                self._audit.add(
                    connection,
                    "promote",
                    f"model:{name}@{alias}",
                    {"from": current, "to": number, "force": force, "reason": reason},
                    actor,
                )
        return version

    def rollback(
        self, name: str, alias: str = "champion", *, reason: str = "", actor: str | None = None
    ) -> Version:
        """Takes an alias back to the version before, and revokes the one it pointed at.

        Raises:
            NotFoundError: No such model or alias.
            StateError: There is no earlier version that was not revoked.
        """
        self._require(name)
        reason = check_reason(reason)
        with self._db.transaction() as connection:
            current = alias_rows.current(connection, name, alias)
            if current is None:
                raise NotFoundError(f"'{name}' has no alias '{alias}'.")
            self.trail.check_state(connection, name, alias)
            target = alias_rows.previous(connection, name, alias, current)
            if target is None:
                raise StateError(
                    f"'{alias}' of '{name}' has nothing to go back to: version {current} is the "
                    "first that was not revoked.",
                    hint="Promote another version instead.",
                )
            connection.execute(
                "INSERT INTO alias_revoked VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (name, alias, current),
            )
            connection.execute(
                "UPDATE alias_history SET on_stack = 0 WHERE name = ? AND alias = ? AND id > ?",
                (name, alias, target["id"]),
            )
            alias_rows.point(connection, name, alias, target["number"])
            self._audit.add(
                connection,
                "rollback",
                f"model:{name}@{alias}",
                {"from": current, "to": target["number"], "reason": reason},
                actor,
            )
        return self.get(name, target["number"])

    def verify(self, version: Version, *, afresh: bool = True) -> Version:
        """Re-hashes manifest and files, checks the signature, and that it was not deleted since.

        Args:
            version: The version.
            afresh: Also files that this process has hashed already.

        Raises:
            IntegrityError: Something is not what was registered.
        """
        stored = self.proven(version.name, version.number)
        for name, blob in stored.files.items():
            self._verify_file(stored, name, blob, afresh=afresh)
        return stored

    def proven(self, name: str, number: int) -> Version:
        """Returns a version whose record is what was registered; its files are not read.

        Raises:
            NotFoundError: No such model or version.
            IntegrityError: It was changed, or deleted since.
        """
        version = check_version(self._signer, self._row(name, number))
        with self._db.snapshot() as connection:
            self.trail.check_version(connection, name, number)
        return version

    def delete(self, name: str, number: int) -> None:
        """Deletes a version; its number is never used again.

        Raises:
            StateError: An alias points at it.
        """
        self.get(name, number)
        with self._db.transaction() as connection:
            rows = connection.execute(
                "SELECT alias FROM aliases WHERE name = ? AND number = ?", (name, number)
            ).fetchall()
            if rows:
                aliases = ", ".join(f"'{row['alias']}'" for row in rows)
                raise StateError(
                    f"Version {number} of '{name}' is what {aliases} points at.",
                    hint="Promote another version first.",
                )
            connection.execute(
                "DELETE FROM alias_history WHERE name = ? AND number = ?", (name, number)
            )
            connection.execute("DELETE FROM versions WHERE name = ? AND number = ?", (name, number))
            self._audit.add(connection, "delete", f"model:{name}@{number}")

    def _verify_file(self, version: Version, name: str, blob: Blob, *, afresh: bool) -> None:
        try:
            self._blobs.verify(blob) if afresh else self._blobs.proven(blob)
        except IntegrityError as error:
            raise IntegrityError(
                f"{version.ref}, file '{name}': {error.message}",
                hint=error.hint,
                context={**error.context, "version": version.ref, "file": name},
            ) from error

    def _insert(
        self, connection: sqlite3.Connection, name: str, digest: str, manifest: Mapping[str, Any]
    ) -> int:
        number = 1 + self.trail.highest(connection, name)  # whatever the counter says
        connection.execute("UPDATE models SET last_number = ? WHERE name = ?", (number, name))
        connection.execute(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)",
            (
                name,
                number,
                digest,
                canonical_json(dict(manifest)).decode(),
                sign_version(self._signer, name, number, digest),
                now(),
            ),
        )
        return number

    def _refuse_revoked(
        self, connection: sqlite3.Connection, name: str, alias: str, number: int, force: bool
    ) -> None:
        key = (name, alias, number)
        where = "FROM alias_revoked WHERE name = ? AND alias = ? AND number = ?"
        is_revoked = connection.execute(f"SELECT 1 {where}", key).fetchone() is not None
        if not is_revoked and number not in self.trail.state(connection, name, alias).revoked:
            return
        if not force:
            raise StateError(
                f"Version {number} of '{name}' was rolled back from '{alias}'.",
                hint="Promote it with force=True if you are sure.",
            )
        connection.execute(f"DELETE {where}", key)

    def _row(self, name: str, number: int) -> sqlite3.Row:
        where, row = "WHERE name = ? AND number = ?", None
        if 0 < number <= LARGEST:
            row = self._db.one(f"SELECT * FROM versions {where}", name, number)
        if row is None:
            self._require(name)
            known = ", ".join(str(v.number) for v in self.versions(name)) or "none"
            raise NotFoundError(f"'{name}' has no version {number}.", hint=f"It has: {known}.")
        return row

    def _require(self, name: str) -> None:
        if self._db.one("SELECT 1 FROM models WHERE name = ?", name) is None:
            raise unknown_name(
                "model", name, self.names(), hint="`workbench models` lists all models."
            )
