"""The baseline's outputs on the validation split, kept in the store for the next process.

Every paired comparison needs them; on a large split they take longer than anything else there is.
"""

from __future__ import annotations

import io

import numpy as np

from workbench.store import Store

_KIND, _FILE = "outputs", "outputs.npy"
_MOST_BYTES = 64_000_000


class KeptOutputs:
    """See the module's docstring.

    Args:
        store: The workspace's store.
        key: What they depend on: model, data, libraries, machine.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = f"{_KIND}:{key}"
        self._found: np.ndarray | None = None

    def get(self) -> np.ndarray | None:
        """Returns the outputs float32 [N, …]; None if they are not known."""
        if self._found is None:
            known = self._store.cache.get(self._key)
            self._found = None if known is None else self._read(str(known["artifact"]))
        return self._found

    def put(self, outputs: np.ndarray) -> np.ndarray:
        """Keeps outputs, in the store unless they are very large, and returns them."""
        self._found = outputs
        if outputs.nbytes <= _MOST_BYTES:
            file = io.BytesIO()
            np.save(file, outputs, allow_pickle=False)
            artifact = self._store.artifacts.save(_KIND, {_FILE: file.getvalue()}, {})
            self._store.cache.put(self._key, {"artifact": artifact.digest})
        return outputs

    def _read(self, digest: str) -> np.ndarray | None:
        artifact = self._store.artifacts.adopt(digest)
        if artifact is None:
            return None
        found: np.ndarray = np.load(self._store.artifacts.path(artifact, _FILE), allow_pickle=False)
        return found
