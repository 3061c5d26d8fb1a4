"""Everything stored against its seal, its hash and the audit log: what was tampered with, in words.

Reads every stored byte, at some 1.5 GB a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.core.errors import IntegrityError, WorkbenchError
from workbench.store.endpoint_state import STATE, changed_states
from workbench.store.reading import RESTORE, UNREADABLE
from workbench.store.schema import HINT
from workbench.store.seals import CHECKPOINT, FORGETTABLE, KINDS
from workbench.store.trail import VERSION_START

if TYPE_CHECKING:
    from workbench.store import Artifact, Store

_LIVES = f"'register', 'delete', 'lose', '{VERSION_START}'"
_PUT_RIGHT = f"{RESTORE} Registering another version under the name puts it right, too."


@dataclass(frozen=True)
class Tampered:
    """One thing that is not what the workspace wrote: the kind, what is wrong, what to do."""

    kind: str
    words: str
    remedy: str


def tampered(store: Store) -> Iterator[Tampered]:
    """Yields each thing that is not what the workspace wrote; without the key, only that."""
    try:
        store.seals.check_key()
        store.signer.mac(b"")
    except IntegrityError as missing:
        yield _said("key", missing)
        return
    for kind, check in CHECKS.items():
        yield from _finished(kind, (_said(kind, error) for error in check(store)))
    for kind in KINDS:
        yield from _finished(kind, _sealed(store, kind))


def untrusted_roots(store: Store) -> Iterator[Tampered]:
    """Yields what says falsely which files are needed: gc would remove others than it should.

    Reads no stored file, but every record. What gc itself forgets, and only that, is left out.
    """
    store.seals.check_key()
    store.signer.mac(b"")  # without the key nothing can be trusted
    for kind, check in _ROOTS.items():
        yield from _finished(kind, (_said(kind, error) for error in check(store)))
    for kind in KINDS:
        if kind not in FORGETTABLE:
            yield from _finished(kind, _sealed(store, kind))
    yield from (Tampered("variant", words, RESTORE) for words in store.seals.removed("variant"))


def _sealed(store: Store, kind: str) -> Iterator[Tampered]:
    remedy = KINDS[kind].remedy
    yield from (Tampered(kind, words, remedy) for _, words in store.seals.broken(kind))
    yield from (Tampered(kind, words, RESTORE) for words in store.seals.removed(kind))


def _finished(kind: str, found: Iterator[Tampered]) -> Iterator[Tampered]:
    """Yields findings; a check that cannot go on is one itself, and the others go on."""
    try:
        yield from found
    except WorkbenchError as error:
        yield Tampered(kind, error.message, error.hint or RESTORE)
    except UNREADABLE as error:
        yield Tampered(kind, f"The {kind} records cannot be read: {error}.", RESTORE)


def _schema(store: Store) -> Iterator[IntegrityError]:
    for words in store.db.schema_problems():
        yield IntegrityError(words, hint=HINT)


def _audit(store: Store) -> Iterator[IntegrityError]:
    yield from _raised(store.audit.verify)


def _aliases(store: Store) -> Iterator[IntegrityError]:
    with store.db.snapshot() as connection:
        moved = "SELECT subject FROM audit WHERE action IN ('promote', 'rollback')"
        rows = connection.execute(
            "SELECT 'model:' || name || '@' || alias AS subject FROM aliases UNION "
            f"SELECT 'model:' || name || '@' || alias FROM alias_revoked UNION {moved}"
        ).fetchall()
        for row in rows:
            name, _, alias = row["subject"].removeprefix("model:").rpartition("@")
            yield from _raised(store.models.trail.check_state, connection, name, alias)


def _versions(store: Store) -> Iterator[IntegrityError]:
    models = store.models
    for _, error in _each_version(store, lambda *key: models.verify(models.proven(*key))):
        yield error
    for _, error in _lost_versions(store):
        yield error


def broken_versions(store: Store) -> Iterator[tuple[str, IntegrityError]]:
    """Yields each version, by its ref, whose record is gone or not what was registered.

    But for those whose loss was accepted: they are not what was registered still.
    """
    accepted = {
        row["subject"]
        for row in store.db.query(
            f"SELECT subject, max(id) AS id, action FROM audit WHERE action IN ({_LIVES}) "
            "GROUP BY subject HAVING action = 'lose'"
        )
    }
    for ref, error in (*_each_version(store, store.models.proven), *_lost_versions(store)):
        if ref not in accepted:
            yield ref, error


def _manifests(store: Store) -> Iterator[IntegrityError]:
    for _, error in broken_versions(store):
        yield error


def _each_version(
    store: Store, check: Callable[[str, int], object]
) -> Iterator[tuple[str, IntegrityError]]:
    for row in store.db.query("SELECT name, number FROM versions ORDER BY name, number"):
        for error in _raised(check, row["name"], row["number"]):
            yield f"model:{row['name']}@{row['number']}", error


def _models(store: Store) -> Iterator[IntegrityError]:
    """Yields models that are hidden, and counters that are not what the log says."""
    with store.db.snapshot() as connection:
        counters = dict(connection.execute("SELECT name, last_number FROM models").fetchall())
        for name, said in store.models.trail.numbers(connection).items():
            if counters.get(name, said) != said:
                words = f"says that its last version was {counters[name]}; it was {said}"
            elif name not in counters:
                words = f"had {said} versions and is gone from the list"
            else:
                continue
            yield IntegrityError(f"Model '{name}' {words}.", hint=_PUT_RIGHT)


def _lost_versions(store: Store) -> Iterator[tuple[str, IntegrityError]]:
    """Yields versions that were registered, were not deleted, and are gone."""
    rows = store.db.query(
        f"SELECT subject, max(id) AS id, action FROM audit WHERE action IN ({_LIVES}) "
        "GROUP BY subject HAVING action NOT IN ('delete', 'lose') AND subject NOT IN "
        "(SELECT 'model:' || name || '@' || number FROM versions)"
    )
    for row in rows:
        yield (
            row["subject"],
            IntegrityError(
                f"{row['subject']} was registered (audit entry {row['id']}) and never deleted, "
                "but is gone.",
                hint="Restore workbench.db from a backup.",
            ),
        )


def _files(store: Store) -> Iterator[IntegrityError]:
    for row in store.db.query("SELECT digest FROM artifacts"):
        for artifact in _whole(store, row["digest"]):
            for blob in artifact.files.values():
                for error in _raised(store.blobs.verify, blob):
                    what = f"{artifact.kind} artifact {artifact.digest[:12]}"
                    yield IntegrityError(f"{what}: {error.message}", hint=error.hint)


def _whole(store: Store, digest: str) -> Iterator[Artifact]:
    try:
        yield store.artifacts.get(digest)
    except IntegrityError:
        return  # its seal tells


def _checkpoints(store: Store) -> Iterator[IntegrityError]:
    for path in store.checkpoints.all():
        yield from _raised(store.checkpoints.check, path)
    words = store.seals.miscounted(CHECKPOINT)
    if words is not None:
        yield IntegrityError(words, hint=RESTORE)


def _states(store: Store) -> Iterator[IntegrityError]:
    yield from changed_states(store.home, store.seals)


def _raised(check: Callable[..., object], *values: object) -> Iterator[IntegrityError]:
    try:
        check(*values)
    except IntegrityError as error:
        yield error


def _said(kind: str, error: IntegrityError) -> Tampered:
    return Tampered(kind, error.message, error.hint)


CHECKS: dict[str, Callable[[Store], Iterator[IntegrityError]]] = {
    "schema": _schema,
    "audit": _audit,
    "model": _models,
    "alias": _aliases,
    "version": _versions,
    "file": _files,
    "checkpoint": _checkpoints,
    STATE: _states,
}
_ROOTS: dict[str, Callable[[Store], Iterator[IntegrityError]]] = {
    "schema": _schema,
    "audit": _audit,
    "version": _manifests,
}
