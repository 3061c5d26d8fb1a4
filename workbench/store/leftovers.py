"""What processes that have ended left behind: scratch files, endpoints' folders, lost runs' files.

What a living process may still use is kept: it is known by its pid, by a lock it holds, or, where
neither tells, by its age.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.host import is_locked
from workbench.store.endpoint_state import FILE as _STATE
from workbench.store.scratch import owner_of

if TYPE_CHECKING:
    from workbench.store import Store

ALIVE = "alive"  # a file in an endpoint's folder that its processes keep locked
_KEPT_STATE = ("tokens", "revoked", "traffic", "models", "taken_back")
_RESUMABLE = ("checkpoint.safetensors",)
_PARTS = ("*.part", "*.tmp")
_LONG_S = 86_400.0


def find_leftovers(store: Store, *, young_s: float, endpoints: Collection[str] = ()) -> list[Path]:
    """Returns files and folders that nobody works with any more.

    Args:
        store: The workspace.
        young_s: What is younger and tells of no process is left.
        endpoints: Ids that run, whatever their folders say.
    """
    return [
        *_scratch(store, young_s),
        *_endpoints(store, endpoints),
        *_lost_runs(store, young_s),
        *_done_runs(store),
    ]


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all in a folder; what goes meanwhile counts nothing."""
    return sum(_stat(part, "st_size") for part in _within(path))


def remove(path: Path) -> None:
    """Removes a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_unless_gone)
    else:
        path.unlink(missing_ok=True)


def _unless_gone(_work: Any, _path: str, error: Any) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def _scratch(store: Store, young_s: float) -> Iterator[Path]:
    kept_s = {"ended": 0.0, "unknown": young_s, "elsewhere": max(young_s, _LONG_S)}
    for path in store.home.scratch.glob("*"):
        longest_s = kept_s.get(owner_of(path.name), math.inf)
        if not longest_s or _age_s(path) >= longest_s:
            yield path


def _endpoints(store: Store, running: Collection[str]) -> Iterator[Path]:
    """Yields folders of ended endpoints; what one must know when it comes back stays."""
    for folder in store.home.endpoints.glob("*"):
        if folder.name in running or is_locked(folder / ALIVE):
            continue
        if not _is_needed(folder / _STATE):
            yield folder
        else:
            yield from (path for path in folder.glob("*") if path.name != _STATE)


def _is_needed(path: Path) -> bool:
    """Returns whether a state tells more than nothing: a revoked token must not come back."""
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return any(state.get(name) for name in _KEPT_STATE)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, AttributeError):
        return True


def _lost_runs(store: Store, young_s: float) -> Iterator[Path]:
    """Yields folders of runs that are not listed: deleted, or never quite made."""
    for folder in store.home.runs.glob("*"):
        if not store.runs.has(folder.name) and _age_s(folder) >= young_s:
            yield folder


def _done_runs(store: Store) -> Iterator[Path]:
    """Yields half-written files of ended runs, and checkpoints of those that need none."""
    for row in store.db.query("SELECT id, status FROM runs"):
        folder = store.runs.directory(row["id"])
        if row["status"] == "created" or is_locked(store.runs.lock_path(row["id"])):
            continue
        for pattern in _PARTS:
            yield from folder.glob(pattern)
        if row["status"] == "succeeded" and store.runs.made_something(row["id"]):
            yield from (folder / name for name in _RESUMABLE if (folder / name).exists())


def _age_s(path: Path) -> float:
    return time.time() - max((_stat(part, "st_mtime") for part in _within(path)), default=0.0)


def _within(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        yield from path.rglob("*")


def _stat(path: Path, what: str) -> Any:
    try:
        return getattr(path.lstat(), what)
    except OSError:
        return 0
