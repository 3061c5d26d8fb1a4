"""What running endpoints serve: roots of garbage collection, whatever else forgot them.

An endpoint notes in its folder what it was asked to serve, and holds a lock there while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import WorkbenchError
from workbench.core.host import FileLock, is_locked

if TYPE_CHECKING:
    from workbench.store import Store

_LOCK, _REFS = "lock", "refs.json"


def hold(folder: Path, refs: Sequence[str]) -> FileLock:
    """Notes what an endpoint serves, for as long as the lock that is returned is held.

    Args:
        folder: Of the endpoint.
        refs: As it was asked for.
    """
    (folder / _REFS).write_text(json.dumps(list(refs)), encoding="utf-8")
    lock = FileLock(folder / _LOCK)
    lock.try_acquire()
    return lock


def in_use(store: Store) -> set[str]:
    """Returns the digests of the artifacts that running endpoints serve."""
    found: set[str] = set()
    for lock in (store.home.root / "endpoints").glob(f"*/{_LOCK}"):
        if is_locked(lock):
            found.update(_artifacts(store, lock.with_name(_REFS)))
    return found


def _artifacts(store: Store, path: Path) -> set[str]:
    found: set[str] = set()
    for ref in json.loads(path.read_text(encoding="utf-8")):
        if ref.startswith("model:") or ref.lower().endswith(".onnx"):
            continue  # versions are roots themselves; files lie elsewhere
        try:
            found.add(store.artifacts.get(ref.partition(":")[2] or ref).digest)
        except WorkbenchError:
            continue  # it is gone already
    return found
