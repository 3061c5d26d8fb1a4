"""Results remembered by content: the key is a digest of everything the result depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workbench.core.clock import now
from workbench.store.database import Database


class Cache:
    """JSON-able results by content key."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, key: str) -> dict[str, Any] | None:
        """Returns the result stored under `key`, or None."""
        row = self._db.one("SELECT value FROM cache WHERE key = ?", key)
        return None if row is None else dict(json.loads(row["value"]))

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Stores a result; a later one under the same key replaces it."""
        self._db.execute(
            "INSERT INTO cache VALUES (?, ?, ?) "
            "ON CONFLICT(key) DO UPDATE SET value = excluded.value, created = excluded.created",
            key,
            json.dumps(dict(value), ensure_ascii=False),
            now(),
        )
