"""Garbage collection: files that no version, run, study or dataset needs.

Deciding and removing are one step against everybody who begins to use something: both hold the
database's write lock. Records go first and files after them, so that an end in between leaves
files without a record, which go the next time, and never a record without its files.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import InputError, IntegrityError, StorageError
from workbench.core.host import is_read_only
from workbench.store.blobs import Blob
from workbench.store.checkpoints import FILE, forget_checkpoint
from workbench.store.findings import untrusted_roots
from workbench.store.in_use import in_use
from workbench.store.leftovers import find_leftovers, remove, size_of
from workbench.store.loss import accept_loss as accept
from workbench.store.reading import UNREADABLE
from workbench.store.reserve import Reserve
from workbench.store.seals import CHECKPOINT, FORGETTABLE

if TYPE_CHECKING:
    from workbench.store import Store

_YOUNG_S = 3600.0
_AT_ONCE = 256  # files removed while others wait for the lock


def collect(
    store: Store,
    *,
    dry_run: bool = False,
    young_s: float = _YOUNG_S,
    endpoints: Collection[str] = (),
    accept_loss: bool = False,
) -> dict[str, int]:
    """Removes what nothing needs: first what ended processes left, which needs no space itself.

    Args:
        store: The workspace.
        dry_run: Only tells what would go.
        young_s: Files younger than that are left.
        endpoints: Ids of those that run.
        accept_loss: Forgets what is gone or broken for good, once the log names it, and goes on.

    Returns:
        Of files that nothing refers to "files" and "bytes" that were (or would be) freed, and
        "artifacts"; of what processes left behind "leftovers" and "leftover_bytes"; and "lost", how
        much was accepted as lost.

    Raises:
        IntegrityError: Something that tells what is needed was changed behind the workspace's back.
        StorageError: The workspace can only be read, or was moved.
    """
    store.home.check()
    if dry_run and accept_loss:
        raise InputError(
            "Got both a dry run and the acceptance of a loss.",
            hint="`workbench doctor` lists what is lost.",
        )
    if not dry_run and is_read_only(store.home.root):
        raise StorageError(
            f"Nothing can be removed from {store.home.root}: it can only be read.",
            hint="Ask its owner to run `workbench gc`; with --dry-run it tells what would go.",
            context={"reason": "read_only", "path": str(store.home.root)},
        )
    lost = accept(store) if accept_loss else 0
    _refuse_untrusted(store)
    found = find_leftovers(store, young_s=young_s, endpoints=endpoints)
    left = {"leftovers": len(found), "leftover_bytes": sum(map(size_of, found)), "lost": lost}
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


def _refuse_untrusted(store: Store) -> None:
    for found in untrusted_roots(store):
        raise IntegrityError(
            f"Nothing was removed, since what is needed cannot be known: {found.words}",
            hint=f"{found.remedy} `workbench doctor` lists all that is wrong. If it is lost for "
            "good, `workbench gc --accept-loss` notes that in the log, forgets it and goes on.",
            context={"kind": found.kind},
        )


def _collect(store: Store, *, dry_run: bool, young_s: float) -> dict[str, int]:
    """Removes what nothing needs.

    An artifact is needed by runs (inputs, outputs), studies, variants and datasets; a file by
    needed artifacts and by versions. What running endpoints serve stays, too. Files younger than
    `young_s` are left, since somebody may be about to refer to them. Remembered results and
    variants whose seal does not hold are forgotten.

    Returns:
        "files" and "bytes" that were (or would be) freed, "artifacts"; "in_use", files that stay
        only since a running endpoint serves them; and "changed", results that were forgotten since
        they had been changed.
    """
    served = in_use(store)
    with store.db.snapshot() if dry_run else store.db.transaction() as connection:
        changed = 0 if dry_run else _forget_changed(store, connection)
        if not dry_run:
            _forget_checkpoints(store, connection)
        roots = set(_roots(store))
        gone = _unneeded(store, roots | served, young_s)
        only_served = _kept(store, set(gone)) - _kept(store, {*gone, *(served - roots)})
        if not dry_run:
            _forget(store, connection, gone)
    doomed = _doomed(store, set(gone), young_s)
    sizes = [size for batch in _batches(doomed) for size in _remove(store, batch, young_s, dry_run)]
    return {
        "artifacts": len(gone),
        "files": len(sizes),
        "bytes": sum(sizes),
        "in_use": len(only_served),
        "changed": changed,
    }


def _unneeded(store: Store, needed: set[str], young_s: float) -> list[str]:
    rows = store.db.query("SELECT digest, files FROM artifacts")
    return [
        row["digest"]
        for row in rows
        if row["digest"] not in needed
        and not any(_is_young(store.blobs.path(blob), young_s) for blob in _files(row))
    ]


def _forget(store: Store, connection: sqlite3.Connection, gone: Sequence[str]) -> None:
    for digest in gone:
        connection.execute("DELETE FROM artifacts WHERE digest = ?", (digest,))
        store.seals.drop(connection, "artifact", digest)
    rows = connection.execute(
        "SELECT key FROM cache WHERE json_type(value, '$.artifact') = 'text' AND "
        "json_extract(value, '$.artifact') NOT IN (SELECT digest FROM artifacts)"
    ).fetchall()
    for row in rows:
        connection.execute("DELETE FROM cache WHERE key = ?", (row["key"],))
        store.seals.drop(connection, "result", row["key"])


def _forget_changed(store: Store, connection: sqlite3.Connection) -> int:
    """Forgets what was changed behind the workspace's back and can be computed again."""
    count = 0
    for kind in FORGETTABLE:
        for row, problem in list(store.seals.broken(kind)):
            store.seals.forget(connection, kind, row)
            store.audit.add(connection, "forget", kind, {"reason": problem})
            count += 1
    for kind in FORGETTABLE:
        miscounted = store.seals.census.problem(connection, kind)
        if miscounted is not None:
            store.seals.census.renew(connection, kind)
            store.audit.add(connection, "forget", kind, {"reason": miscounted})
    return count


def _forget_checkpoints(store: Store, connection: sqlite3.Connection) -> None:
    """Drops the seals of checkpoints that went, since their run is done or deleted."""
    for run in {key.partition("/")[0] for key in store.seals.keys(CHECKPOINT)}:
        is_there = (store.runs.directory(run) / FILE).exists()
        if not is_there and (not store.runs.has(run) or store.runs.made_something(run)):
            forget_checkpoint(connection, store.seals, run)


def _doomed(store: Store, gone: set[str], young_s: float) -> list[Path]:
    kept = _kept(store, gone)
    return [
        path
        for path in store.blobs.all()
        if store.blobs.digest_of(path) not in kept and not _is_young(path, young_s)
    ]


def _remove(store: Store, batch: Sequence[Path], young_s: float, dry_run: bool) -> Iterator[int]:
    """Removes the files that are still not needed, and yields the size of each."""
    if dry_run:
        yield from (path.stat().st_size for path in batch)
        return
    with store.db.transaction():
        kept = _kept(store)
        for path in batch:
            is_used = store.blobs.digest_of(path) in kept or _is_young(path, young_s)
            if is_used or not path.exists():
                continue  # somebody has begun to use it, or another gc was faster
            size = path.stat().st_size
            path.unlink()
            yield size


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
        with suppress(*UNREADABLE):  # its loss was accepted, or nothing would be removed
            yield (json.loads(row["manifest"]).get("data") or {}).get("artifact") or ""


def _kept(store: Store, gone: set[str] | None = None) -> set[str]:
    """Returns the digests of files that an artifact, but for those `gone`, or a version has."""
    kept: set[str] = set()
    for row in store.db.query("SELECT digest, files FROM artifacts"):
        if row["digest"] not in (gone or ()):
            kept.update(blob.digest for blob in _files(row))
    for row in store.db.query("SELECT manifest FROM versions"):
        with suppress(*UNREADABLE):  # as above
            files = json.loads(row["manifest"])["files"]
            kept.update(blob["digest"] for blob in files.values())
    return kept


def _files(row: sqlite3.Row) -> list[Blob]:
    return [Blob.from_json(blob) for blob in json.loads(row["files"]).values()]


def _is_young(path: Path, young_s: float) -> bool:
    """Returns whether a file is there and younger than that; one from the future is."""
    try:
        return time.time() - path.stat().st_mtime < young_s
    except FileNotFoundError:
        return False


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    rest = iter(paths)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch
