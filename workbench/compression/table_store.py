"""Keeps what an estimator learned in the store: table, quick looks, account of its estimates."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.compression.account import Account
from workbench.compression.identity import library_versions
from workbench.compression.looks import Look
from workbench.compression.sensitivity import SensitivityTable
from workbench.compression.study import StudyEngine
from workbench.core.ids import digest_json

_VERSION = 3
_KIND = "sensitivity"
_FILES = ("table.json", "table.bin")


class TableStore:
    """See the module's docstring.

    Args:
        engine: The study's engine.
        samples: Held-out samples in the table; None for what is quick.
        seed: Of the quick looks.
    """

    def __init__(self, engine: StudyEngine, samples: int | None, seed: int) -> None:
        self._store = engine.store
        identity = digest_json(
            {
                "version": _VERSION,
                "model": engine.identity,
                "data": engine.dataset.fingerprint,
                "samples": samples,
                "seed": seed,
                "libraries": library_versions(),
                **engine.scored_by,
            }
        )
        self._key, self._account_key = f"{_KIND}:{identity}", f"account:{identity}"

    def save(self, table: SensitivityTable, looks: Sequence[Look]) -> None:
        """Keeps both; what was kept before is replaced."""
        files = dict(zip(_FILES, table.to_bytes(), strict=True))
        meta = {"looks": [look.to_json() for look in looks]}
        artifact = self._store.artifacts.save(_KIND, files, meta)
        self._store.cache.put(self._key, {"artifact": artifact.digest})

    def load(self) -> tuple[SensitivityTable, list[Look]]:
        """Returns what was kept; an empty table and no looks if nothing was."""
        found = self._store.cache.get(self._key)
        if found is None:
            return SensitivityTable(), []
        artifact = self._store.artifacts.adopt(found["artifact"])
        if artifact is None:
            return SensitivityTable(), []
        paths = [self._store.artifacts.path(artifact, name) for name in _FILES]
        table = SensitivityTable.from_bytes(*[path.read_bytes() for path in paths])
        return table, [Look.from_json(row) for row in artifact.meta["looks"]]

    def save_account(self, account: Account) -> None:
        """Keeps the account."""
        self._store.cache.put(self._account_key, account.to_json())

    def load_account(self) -> Account:
        """Returns the account that was kept; an empty one if none was."""
        return Account.from_json(self._store.cache.get(self._account_key) or {})
