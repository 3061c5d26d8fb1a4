"""Samples that stay what they are, one by one: their digest, and what a modality says of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.data.modality import Modality
from workbench.data.named_arrays import Place

_SHOWN = 1000


def digest_of(samples: Sequence[Any]) -> str:
    """Returns the SHA-256 of the content of samples: arrays, files, numbers, texts, nested."""
    sha = hashlib.sha256()
    for sample in samples:
        _update(sha, sample)
    return sha.hexdigest()


def measured(
    modality: Modality, samples: Sequence[Any], options: Mapping[str, Any], place: Place
) -> np.ndarray:
    """Returns what the modality measures of each sample, int64 (n, k).

    Raises:
        InputError: With every sample that it cannot take.
    """
    sizes, problems = [], []
    for index, sample in enumerate(samples):
        try:
            sizes.append(modality.measure(sample, options, is_read=False))
        except InputError as error:
            problems.append(f"{place(index)}: {'; '.join(error.problems) or error.message}")
    if problems:
        raise InputError(
            f"{len(problems)} of {len(samples)} {modality.what} cannot be read; nothing was "
            "stored.",
            problems=problems[:_SHOWN],
            hint=f"Give {modality.array_words}.",
        )
    return np.array(sizes, np.int64)


def _update(sha: Any, value: Any) -> None:
    """Adds a value and its kind, so that no two contents give the same bytes."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        value = sorted((str(name), item) for name, item in value.items())
    if isinstance(value, np.ndarray):
        _add(sha, f"{value.dtype.str}{value.shape}", np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _add(sha, "bytes", bytes(value))
    elif isinstance(value, Path) or (isinstance(value, str) and _is_file(value)):
        _add(sha, "bytes", _content(Path(value)))
    elif isinstance(value, (list, tuple)):
        _add(sha, f"{len(value)} items", b"")
        for item in value:
            _update(sha, item)
    else:
        _add(sha, type(value).__name__, repr(value).encode())


def _add(sha: Any, kind: str, content: bytes) -> None:
    sha.update(f"{kind}\0{len(content)}\0".encode())
    sha.update(content)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with a null
        return False


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The file '{path}' cannot be read: {error.strerror}.") from error
