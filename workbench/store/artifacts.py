"""Artifacts: named files plus a self-describing record, identified by the digest of both."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import (
    InputError,
    IntegrityError,
    NotFoundError,
    StorageError,
    UnsafeError,
)
from workbench.core.ids import digest_json
from workbench.store.audit import Audit
from workbench.store.blobs import Blob, Blobs
from workbench.store.database import Database
from workbench.store.reading import mapping, reading
from workbench.store.seals import KINDS, Seals

MODEL_FILE = "model.onnx"
"""Name of the graph in every artifact and version that can be served."""


@dataclass(frozen=True)
class Artifact:
    """Files and what they say of themselves. `digest` is the SHA-256 of kind, files and meta."""

    digest: str
    kind: str
    files: Mapping[str, Blob]
    meta: Mapping[str, Any]
    created: str

    @property
    def size_bytes(self) -> int:
        """Sum of the files' sizes."""
        return sum(blob.size_bytes for blob in self.files.values())


class Artifacts:
    """All artifacts of one workspace."""

    def __init__(self, db: Database, blobs: Blobs, seals: Seals, audit: Audit) -> None:
        self._db = db
        self._audit = audit
        self._blobs = blobs
        self._seals = seals

    def save(
        self, kind: str, files: Mapping[str, Path | bytes | Blob], meta: Mapping[str, Any]
    ) -> Artifact:
        """Stores files and their record; the same content twice is the same artifact.

        Args:
            kind: Sort of artifact, as in "network", "onnx", "dataset".
            files: Content by relative name: a path, bytes, or a blob already stored.
            meta: JSON-able record.
        """
        blobs = {_checked(name): self._store(name, content) for name, content in files.items()}
        identity = {
            "kind": kind,
            "files": {name: blob.to_json() for name, blob in blobs.items()},
            "meta": dict(meta),
        }
        digest = digest_json(identity)
        with self._db.transaction() as connection:
            for blob in blobs.values():
                self._require(blob)
            is_new = connection.execute(
                "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?) ON CONFLICT(digest) DO NOTHING",
                (
                    digest,
                    kind,
                    json.dumps(identity["files"], ensure_ascii=False),
                    json.dumps(identity["meta"], ensure_ascii=False),
                    now(),
                ),
            ).rowcount
            if is_new:
                self._seals.seal(connection, "artifact", digest)
            else:
                self._put_right(connection, digest, identity)
        return self.get(digest)

    def _put_right(
        self, connection: sqlite3.Connection, digest: str, identity: Mapping[str, Any]
    ) -> None:
        """Makes the record say what its digest is that of, if it was changed; the log tells."""
        problem = self._seals.problem("artifact", "WHERE digest = ?", digest)
        if problem is None:
            return
        texts = [json.dumps(identity[name], ensure_ascii=False) for name in ("files", "meta")]
        connection.execute(
            "UPDATE artifacts SET kind = ?, files = ?, meta = ? WHERE digest = ?",
            (identity["kind"], *texts, digest),
        )
        self._seals.seal(connection, "artifact", digest)
        self._audit.add(connection, "mend", f"artifact:{digest}", {"reason": problem})

    def adopt(self, digest: str) -> Artifact | None:
        """Returns a remembered artifact that is about to be used; None if it has to be made again.

        It has to if its record or a file was changed. Its files are re-hashed once a process; they
        count as young from now on, so that gc leaves them until something refers to them.
        """
        try:
            if self._is_known(digest):
                for blob in self._files(digest):
                    self._blobs.proven(blob)
        except IntegrityError:
            self._seals.check_key()
            return None
        try:
            with self._db.transaction():
                is_whole = self._renew(digest)
        except (OSError, sqlite3.OperationalError, StorageError):  # it can only be read from here
            is_whole = self._is_whole(digest)
        return self.get(digest) if is_whole else None

    def get(self, digest: str) -> Artifact:
        """Returns the artifact whose digest starts with `digest` (at least 6 digits).

        Raises:
            NotFoundError: There is none.
            InputError: There are several.
            IntegrityError: The record was changed behind the workspace's back.
        """
        if len(digest) == 64:
            rows = self._seals.query("artifact", "WHERE digest = ?", digest)
        else:
            rows = self._by_prefix(digest)
        if not rows:
            raise NotFoundError(f"No artifact '{digest}'.")
        if len(rows) > 1:
            raise InputError(
                f"'{digest}' starts the digest of {len(rows)} artifacts.",
                hint="Give more digits.",
            )
        row = self._seals.checked("artifact", rows[0])
        with reading(f"The artifact {row['digest']!s:.12}", KINDS["artifact"].remedy):
            return Artifact(
                digest=row["digest"],
                kind=row["kind"],
                files={k: Blob.from_json(v) for k, v in mapping(row["files"]).items()},
                meta=mapping(row["meta"]),
                created=row["created"],
            )

    def path(self, artifact: Artifact, name: str) -> Path:
        """Returns the path of one of its files, re-hashed when this process first asks for it.

        Raises:
            NotFoundError: It has no such file.
            IntegrityError: The file is missing, or not what was stored.
        """
        return self._blobs.proven(self._blob(artifact, name))

    def place(self, artifact: Artifact, name: str) -> Path:
        """Returns where one of its files is, unread: for who looks at a little of much.

        Raises:
            NotFoundError: It has no such file.
        """
        return self._blobs.path(self._blob(artifact, name))

    def _blob(self, artifact: Artifact, name: str) -> Blob:
        if name not in artifact.files:
            raise NotFoundError(
                f"The {artifact.kind} artifact {artifact.digest[:12]} has no file '{name}'.",
                hint=f"It has: {', '.join(artifact.files)}.",
            )
        return artifact.files[name]

    def verify(self, artifact: Artifact) -> None:
        """Re-hashes all files.

        Raises:
            IntegrityError: Some bytes are not what was stored.
        """
        for blob in artifact.files.values():
            self._blobs.verify(blob)

    def _by_prefix(self, prefix: str) -> list[Any]:
        if len(prefix) < 6 or not all(c in "0123456789abcdef" for c in prefix):
            raise InputError(
                f"'{prefix}' is not a digest.", hint="Give 6 to 64 hexadecimal digits."
            )
        return self._seals.query("artifact", "WHERE digest GLOB ?", prefix + "*")

    def _renew(self, digest: str) -> bool:
        return self._is_known(digest) and all(map(self._blobs.renew, self._files(digest)))

    def _is_whole(self, digest: str) -> bool:
        paths = map(self._blobs.path, self._files(digest))
        return self._is_known(digest) and all(path.is_file() for path in paths)

    def _is_known(self, digest: str) -> bool:
        return self._db.one("SELECT 1 FROM artifacts WHERE digest = ?", digest) is not None

    def _files(self, digest: str) -> list[Blob]:
        return list(self.get(digest).files.values()) if self._is_known(digest) else []

    def _require(self, blob: Blob) -> None:
        """Renews a file that is about to be referred to; under the database's write lock."""
        if not self._blobs.renew(blob):
            raise IntegrityError(
                f"The stored file {blob.digest[:12]}{blob.suffix} is missing.",
                hint="It was removed since it was stored; do that again.",
                context=blob.to_json(),
            )

    def _store(self, name: str, content: Path | bytes | Blob) -> Blob:
        suffix = PurePosixPath(name).suffix
        if isinstance(content, Blob):
            return content
        if isinstance(content, bytes):
            return self._blobs.put_bytes(content, suffix)
        return self._blobs.put_file(content, suffix)


def _checked(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise UnsafeError(f"'{name}' cannot be the name of a file in an artifact.")
    return name
