"""What running endpoints serve: roots of garbage collection, whatever else forgot them.

An endpoint notes in its folder what it was asked to serve; it and its workers hold a lock there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import StateError, WorkbenchError
from workbench.core.files import write_private
from workbench.core.host import FileLock, is_locked
from workbench.core.refs import parse_ref, version_number
from workbench.store.endpoint_state import FILE, read_state
from workbench.store.leftovers import ALIVE
from workbench.store.reading import reading

if TYPE_CHECKING:
    from workbench.store import Store

_REFS = "refs.json"
_MODEL = "model:"


def hold(folder: Path, refs: Sequence[str] | None) -> FileLock:
    """Notes what an endpoint serves, for as long as the lock that is returned is held.

    Args:
        folder: Of the endpoint; made if it is not there.
        refs: As it was asked for; None for one of its workers.
    """
    lock = FileLock(folder / ALIVE, is_shared=True)
    lock.acquire()
    if refs is not None:
        note(folder, refs)
    return lock


def note(folder: Path, refs: Sequence[str]) -> None:
    """Notes what an endpoint serves, in the place of what was noted before."""
    with suppress(OSError):  # a full disk is no reason not to serve
        write_private(folder / _REFS, json.dumps(list(refs)))


def in_use(store: Store) -> set[str]:
    """Returns the digests of the artifacts that running endpoints serve."""
    found: set[str] = set()
    for folder in _running(store):
        found.update(_artifacts(store, folder / _REFS))
    return found


def served_by(store: Store, name: str, number: int) -> list[str]:
    """Returns the ids of the running endpoints that serve a version by its number.

    Not those that follow an alias to it: while the alias points at it, that protects it.

    Raises:
        IntegrityError: What one of them serves cannot be known.
    """
    return [
        folder.name
        for folder in sorted(_running(store))
        if (name, number) in _versions(store, folder)
    ]


def refuse_if_served(store: Store, name: str, number: int) -> None:
    """Refuses what would take a version away under an endpoint.

    Raises:
        StateError: A running endpoint serves it by its number.
    """
    found = served_by(store, name, number)
    if found:
        endpoints = ", ".join(f"endpoint:{id_}" for id_ in found)
        raise StateError(
            f"Version {number} of '{name}' is served by {endpoints}.",
            hint="Stop it or unload the version first; with force=True (--force) it goes all the "
            "same: what is in memory answers on, but cannot be loaded again.",
        )


def _running(store: Store) -> Iterator[Path]:
    for lock in store.home.endpoints.glob(f"*/{ALIVE}"):
        if is_locked(lock):
            yield lock.parent


def _versions(store: Store, folder: Path) -> Iterator[tuple[str, int]]:
    """Yields name and number of what was asked for, loaded or given traffic by its number."""
    refs = _noted(folder / _REFS)
    with suppress(FileNotFoundError):
        state = read_state(folder / FILE, store.seals)
        refs += [ref for ref, item in state.get("models", {}).items() if item.get("is_wanted")]
        for traffic in state.get("traffic", {}).values():
            names = {parse_ref(ref).name for ref in refs if ref.startswith(_MODEL)}
            chosen = filter(None, [*traffic.get("weights", {}), traffic.get("shadow")])
            refs += [f"{_MODEL}{name}@{selector}" for selector in chosen for name in names]
    for ref in refs:
        parsed = parse_ref(ref) if ref.startswith(_MODEL) else None
        if parsed is not None and (parsed.selector or "").isdecimal():
            yield parsed.name, version_number(parsed.selector or "")


def _artifacts(store: Store, path: Path) -> set[str]:
    found: set[str] = set()
    for ref in _noted(path):
        if ref.startswith(_MODEL) or ref.lower().endswith(".onnx"):
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
