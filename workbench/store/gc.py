"""Garbage collection: files that no version, run, study or dataset needs."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.store.artifacts import Artifact
from workbench.store.leftovers import find_leftovers, remove, size_of
from workbench.store.reserve import Reserve

if TYPE_CHECKING:
    from workbench.store import Store

_YOUNG_S = 3600.0


def collect(
    store: Store,
    *,
    dry_run: bool = False,
    young_s: float = _YOUNG_S,
    endpoints: Collection[str] = (),
) -> dict[str, int]:
    """Removes what nothing needs: first what ended processes left, which needs no space itself.

    Args:
        store: The workspace.
        dry_run: Only tells what would go.
        young_s: Files younger than that are left.
        endpoints: Ids of those that run.

    Returns:
        Of files that nothing refers to "files" and "bytes" that were (or would be) freed, and
        "artifacts"; of what processes left behind "leftovers" and "leftover_bytes".

    Raises:
        StorageError: The workspace can only be read.
    """
    found = find_leftovers(store, young_s=young_s, endpoints=endpoints)
    left = {"leftovers": len(found), "leftover_bytes": sum(map(size_of, found))}
    reserve = Reserve(store.home.root)
    if dry_run:
        return {**_collect(store, dry_run=True, young_s=young_s), **left}
    for path in found:
        remove(path)
    reserve.release()  # on a full disk the database has no other space to forget something in
    try:
        return {**_collect(store, dry_run=False, young_s=young_s), **left}
    finally:
        reserve.keep()


def _collect(store: Store, *, dry_run: bool, young_s: float) -> dict[str, int]:
    """Removes what nothing needs.

    An artifact is needed by runs (inputs, outputs), studies, variants and datasets; a file by
    needed artifacts and by versions. Files younger than `young_s` are left, since somebody may be
    about to refer to them.

    Returns:
        "files" and "bytes" that were (or would be) freed, and "artifacts".
    """
    needed = set(_roots(store))
    rows = store.db.query("SELECT digest FROM artifacts")
    unneeded = [row["digest"] for row in rows if row["digest"] not in needed]
    kept = _blob_names(store, needed)
    doomed = [path for path in store.blobs.all() if _is_doomed(path, kept, young_s)]
    freed = {
        "artifacts": 0,
        "files": len(doomed),
        "bytes": sum(path.stat().st_size for path in doomed),
    }
    young = {p.parent.name + p.stem for p in store.blobs.all()} - {
        p.parent.name + p.stem for p in doomed
    }
    gone = [d for d in unneeded if not _has_young_file(store.artifacts.get(d), young)]
    freed["artifacts"] = len(gone)
    if not dry_run:
        for digest in gone:
            store.db.execute("DELETE FROM artifacts WHERE digest = ?", digest)
            store.db.execute(
                "DELETE FROM cache WHERE json_extract(value, '$.artifact') = ?", digest
            )
        for path in doomed:
            path.unlink(missing_ok=True)
    return freed


def _roots(store: Store) -> Iterator[str]:
    for row in store.db.query("SELECT inputs, outputs FROM runs"):
        yield from json.loads(row["inputs"]).values()
        yield from json.loads(row["outputs"]).values()
    for row in store.db.query("SELECT model, dataset FROM studies"):
        yield from (row["model"], row["dataset"])
    for row in store.db.query("SELECT digest, measured FROM variants"):
        yield row["digest"]
        yield from (v for v in json.loads(row["measured"]).values() if isinstance(v, str))
    for row in store.db.query("SELECT artifact FROM datasets"):
        yield row["artifact"]
    for row in store.db.query("SELECT manifest FROM versions"):
        yield (json.loads(row["manifest"]).get("data") or {}).get("artifact") or ""


def _blob_names(store: Store, needed: set[str]) -> set[str]:
    names: set[str] = set()
    for row in store.db.query("SELECT digest, files FROM artifacts"):
        if row["digest"] in needed:
            names.update(blob["digest"] for blob in json.loads(row["files"]).values())
    for row in store.db.query("SELECT manifest FROM versions"):
        files = json.loads(row["manifest"])["files"]
        names.update(blob["digest"] for blob in files.values())
    return names


def _is_doomed(path: Path, kept: set[str], young_s: float) -> bool:
    is_kept = (path.parent.name + path.stem) in kept
    return not is_kept and time.time() - path.stat().st_mtime >= young_s


def _has_young_file(artifact: Artifact, young: set[str]) -> bool:
    return any(blob.digest in young for blob in artifact.files.values())
