"""From what the user names (a ref, a digest, a file) to a verified model file to load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, NotFoundError, UnsupportedError
from workbench.core.records import Description
from workbench.core.refs import parse_ref
from workbench.serving.follow import Follower
from workbench.serving.served import Source
from workbench.store import MODEL_FILE, Store, Version

_DEFAULT_ALIAS = "champion"


def find_source(ref: str, store: Store | None, name: str | None = None) -> Source:
    """Returns the source of `ref`, its bytes verified.

    Args:
        ref: `model:NAME[@ALIAS|@NUMBER]`, the digest of an ONNX artifact, or an .onnx file.
        store: The workspace; None if only files are served.
        name: The name to serve it under; by default the registered name or the file's stem.

    Raises:
        NotFoundError: No such file, model, version or artifact.
        IntegrityError: The stored bytes are not what was registered.
    """
    if ref.lower().endswith(".onnx"):
        return _from_file(Path(ref).expanduser(), name)
    if store is None:
        raise InputError(f"Got '{ref}', which needs a workspace.", hint="Give an .onnx file.")
    if ref.startswith("model:"):
        return _from_registry(ref, store, name)
    return _from_artifact(ref, store, name)


def fixed_ref(source: Source) -> str:
    """Returns what a source was asked for by, with the number where no alias is followed."""
    if source.alias is not None or not source.ref.startswith("model:"):
        return source.ref
    return f"model:{parse_ref(source.ref).name}@{source.version}"


def version_source(
    store: Store, version: Version, *, ref: str, alias: str | None, name: str
) -> Source:
    """Returns the source of a registry version after checking its hashes and signature.

    Raises:
        IntegrityError: Something is not what was registered.
        UnsupportedError: The version has no ONNX file.
    """
    verified = store.models.verify(version)
    if MODEL_FILE not in verified.files:
        raise UnsupportedError(
            f"{verified.ref} has no {MODEL_FILE}; it holds {', '.join(verified.files)}.",
            hint="Export it to ONNX before it is registered.",
        )
    stored = verified.manifest.get("description")
    return Source(
        name=name,
        version=str(verified.number),
        path=store.model_path(verified.files),
        description=_said(stored),
        ref=ref,
        alias=alias,
    )


def _from_registry(ref: str, store: Store, name: str | None) -> Source:
    parsed = parse_ref(ref)
    version = store.models.resolve(ref)
    alias = parsed.selector
    if alias is None and store.models.alias(parsed.name, _DEFAULT_ALIAS) == version.number:
        alias = _DEFAULT_ALIAS
    if alias is not None and alias.isdecimal():
        alias = None
    return version_source(store, version, ref=ref, alias=alias, name=name or parsed.name)


def _from_artifact(ref: str, store: Store, name: str | None) -> Source:
    artifact = store.artifacts.get(ref.partition(":")[2] or ref)
    if MODEL_FILE not in artifact.files:
        raise UnsupportedError(
            f"The artifact {artifact.digest[:12]} is a '{artifact.kind}'; only ONNX can be served.",
            hint="Serve the exported model: wb.export(model).",
        )
    store.artifacts.verify(artifact)
    stored = artifact.meta.get("description")
    return Source(
        name=name or artifact.digest[:12],
        version="1",
        path=store.model_path(artifact.files),
        description=_said(stored),
        ref=ref,
    )


def _said(stored: Mapping[str, Any] | None) -> Description | None:
    """Returns what a model says of itself; None if nothing is known but its tensors."""
    return Description.from_json(stored) if stored and stored.get("task") else None


def _from_file(path: Path, name: str | None) -> Source:
    if not path.is_file():
        raise NotFoundError(
            f"No file '{path}'.", hint="Give the path of an .onnx file, or model:NAME@ALIAS."
        )
    absolute = path.absolute()
    return Source(name or path.stem, "1", absolute, None, str(absolute))


class StoreRegistry:
    """The registry as following needs it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def number(self, model: str, alias: str) -> int | None:
        """Returns what an alias points at."""
        return self._store.models.alias(model, alias)

    def source(self, follower: Follower, number: int) -> Source:
        """Returns the verified source of a version.

        Raises:
            IntegrityError: Something is not what was registered.
        """
        version = self._store.models.get(follower.model, number)
        return version_source(
            self._store, version, ref=follower.ref, alias=follower.alias, name=follower.name
        )

    def find(self, ref: str, name: str) -> Source:
        """Returns the verified source of a ref, to be served under a name.

        Raises:
            NotFoundError: No such version or alias.
            IntegrityError: Something is not what was registered.
        """
        return _from_registry(ref, self._store, name)

    def roll_back(self, model: str, alias: str, version: str, reason: str) -> bool:
        """Takes an alias back if it still points at `version`; returns whether it did.

        Raises:
            StateError: There is no earlier version.
        """
        if self._store.models.alias(model, alias) != int(version):
            return False
        self._store.models.rollback(model, alias, reason=reason, actor="endpoint")
        return True

    def note(self, action: str, subject: str, data: dict[str, Any], by: str = "endpoint") -> None:
        """Writes to the audit log."""
        self._store.audit.record(action, subject, data, actor=by)
