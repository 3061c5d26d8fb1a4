"""A version of a model as the user holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.shown import Shown
from workbench.core.storage import bordered
from workbench.store import Store, Version


@bordered(root=lambda version: version._store.home.root)
class ModelVersion(Shown):
    """A registered version. It never changes; only the aliases that point at it do."""

    shown_as = "version"

    def __init__(self, store: Store, version: Version) -> None:
        self._store: Store = store
        self._version = version

    def __repr__(self) -> str:
        chips = "".join(f" ⟨{alias}⟩" for alias in self.aliases)
        return f"ModelVersion({self.ref!r}{chips}, {self.size_bytes:,} B)"

    @property
    def name(self) -> str:
        """The model's name."""
        return self._version.name

    @property
    def number(self) -> int:
        """The version's number, from 1."""
        return self._version.number

    @property
    def ref(self) -> str:
        """Its ref, as in "model:digits-cnn@3"."""
        return self._version.ref

    @property
    def digest(self) -> str:
        """SHA-256 of its manifest."""
        return self._version.digest

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Files, signature, preprocessing, labels, data, metrics, parent, recipe, environment."""
        return self._version.manifest

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What was measured when it was registered."""
        return dict(self.manifest.get("metrics") or {})

    @property
    def created(self) -> str:
        """When it was registered."""
        return self._version.created

    @property
    def size_bytes(self) -> int:
        """Sum of its files."""
        return sum(blob.size_bytes for blob in self._version.files.values())

    @property
    def path(self) -> Path:
        """Its ONNX file; read-only."""
        return self._store.model_path(self._version.files)

    @property
    def aliases(self) -> list[str]:
        """The aliases that point at it now."""
        pointing = self._store.models.aliases(self.name)
        return [alias for alias, number in pointing.items() if number == self.number]

    def to_json(self) -> dict[str, Any]:
        """Returns the version as JSON-able values."""
        return {
            "ref": self.ref,
            "name": self.name,
            "number": self.number,
            "digest": self.digest,
            "aliases": self.aliases,
            "size_bytes": self.size_bytes,
            "created": self.created,
            "metrics": dict(self.metrics),
            "recipe": self.manifest.get("recipe"),
            "parent": self.manifest.get("parent"),
        }
