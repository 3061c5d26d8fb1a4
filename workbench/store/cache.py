"""Results remembered by content: the key is a digest of everything the result depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workbench.core.clock import now
from workbench.store.database import Database
from workbench.store.reading import mapping
from workbench.store.seals import Seals


class Cache:
    """JSON-able results by content key; sealed, since what is remembered is believed."""

    def __init__(self, db: Database, seals: Seals) -> None:
        self._db = db
        self._seals = seals

    def get(self, key: str) -> dict[str, Any] | None:
        """Returns the result stored under `key`, or None.

        Raises:
            IntegrityError: It was changed behind the workspace's back.
        """
        rows = self._seals.query("result", "WHERE key = ?", key)
        return mapping(self._seals.checked("result", rows[0])["value"]) if rows else None

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Stores a result; a later one under the same key replaces it."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO cache VALUES (?, ?, ?) ON CONFLICT(key) "
                "DO UPDATE SET value = excluded.value, created = excluded.created",
                (key, json.dumps(dict(value), ensure_ascii=False), now()),
            )
            self._seals.seal(connection, "result", key)
