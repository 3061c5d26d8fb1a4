"""Versions of models as rows: read, signed, and checked against their digest and signature."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import IntegrityError
from workbench.core.ids import canonical_json, digest_bytes
from workbench.store.blobs import Blob
from workbench.store.reading import mapping, reading, text
from workbench.store.signing import Signer


@dataclass(frozen=True)
class Version:
    """A version of a model. `digest` is the SHA-256 of its canonical-JSON manifest."""

    name: str
    number: int
    digest: str
    manifest: Mapping[str, Any]
    created: str

    @property
    def ref(self) -> str:
        """The version's ref."""
        return f"model:{self.name}@{self.number}"

    @property
    def files(self) -> dict[str, Blob]:
        """Its files by name."""
        with reading(self.ref):
            return {name: Blob.from_json(item) for name, item in self.manifest["files"].items()}


def read_version(row: sqlite3.Row) -> Version:
    """Returns a row as a version, unchecked.

    Raises:
        IntegrityError: It cannot be read.
    """
    with reading(f"model:{row['name']}@{row['number']}"):
        manifest, created = mapping(row["manifest"]), text(row["created"])
    return Version(row["name"], row["number"], row["digest"], manifest, created)


def sign_version(signer: Signer, name: str, number: int, digest: str) -> str:
    """Returns the signature of a version."""
    return signer.sign(_signed(name, number, digest))


def check_version(signer: Signer, row: sqlite3.Row) -> Version:
    """Returns a row as a version whose manifest and signature are what was registered.

    Raises:
        IntegrityError: They are not.
    """
    version = read_version(row)
    if digest_bytes(canonical_json(dict(version.manifest))) != version.digest:
        raise IntegrityError(
            f"The manifest of {version.ref} was changed.",
            hint="Roll back to a version that verifies.",
        )
    message = _signed(version.name, version.number, version.digest)
    signer.check(message, row["signature"], what=version.ref)
    return version


def _signed(name: str, number: int, digest: str) -> bytes:
    return canonical_json({"name": name, "number": number, "digest": digest})
