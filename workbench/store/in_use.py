"""What running endpoints serve: roots of garbage collection, whatever else forgot them.

An endpoint notes in its folder what it was asked to serve; it and its workers hold a lock there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import WorkbenchError
from workbench.core.files import write_private
from workbench.core.host import FileLock, is_locked
from workbench.store.leftovers import ALIVE
from workbench.store.reading import reading

if TYPE_CHECKING:
    from workbench.store import Store

_REFS = "refs.json"


def hold(folder: Path, refs: Sequence[str] | None) -> FileLock:
    """Notes what an endpoint serves, for as long as the lock that is returned is held.

    Args:
        folder: Of the endpoint; made if it is not there.
        refs: As it was asked for; None for one of its workers.
    """
    lock = FileLock(folder / ALIVE, is_shared=True)
    lock.acquire()
    if refs is not None:
        with suppress(OSError):  # a full disk is no reason not to serve
            write_private(folder / _REFS, json.dumps(list(refs)))
    return lock


def in_use(store: Store) -> set[str]:
    """Returns the digests of the artifacts that running endpoints serve."""
    found: set[str] = set()
    for lock in store.home.endpoints.glob(f"*/{ALIVE}"):
        if is_locked(lock):
            found.update(_artifacts(store, lock.with_name(_REFS)))
    return found


def _artifacts(store: Store, path: Path) -> set[str]:
    found: set[str] = set()
    for ref in _noted(path):
        if ref.startswith("model:") or ref.lower().endswith(".onnx"):
            continue  # versions are roots themselves; files lie elsewhere
        try:
            found.add(store.artifacts.get(ref.partition(":")[2] or ref).digest)
        except WorkbenchError:
            continue  # it is gone already
    return found


def _noted(path: Path) -> list[str]:
    hint = "Stop that endpoint, or serve again what it serves; until then gc removes nothing."
    with reading(f"What an endpoint serves, {path},", hint):
        return (
            [str(ref) for ref in json.loads(path.read_text(encoding="utf-8"))]
            if path.exists()
            else []
        )
