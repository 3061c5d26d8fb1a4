"""Which files the modalities take, and what a folder of them is. Opens no file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePath

from workbench.core.errors import InputError
from workbench.data.modalities import MODALITIES
from workbench.data.modality import FileKind

_LOOKED_AT = 200


def file_kinds() -> dict[str, FileKind]:
    """Returns the kinds of files by modality; a plug-in that cannot be imported has none."""
    found = {}
    for key in MODALITIES:
        if MODALITIES.info(key).summary:
            kind = MODALITIES.get(key).files
            if kind is not None:
                found[key] = kind
    return found


def file_kind(modality: str) -> FileKind:
    """Returns what a modality's files are.

    Raises:
        NotFoundError: No such modality.
        InputError: It takes none.
    """
    kind = MODALITIES.get(modality).files
    if kind is None:
        raise InputError(
            f"Samples of the modality '{modality}' are no files.",
            hint=f"Those of {', '.join(file_kinds())} are.",
        )
    return kind


def modality_of(folder: Path) -> str | None:
    """Returns the modality that most files of a folder belong to; None if they belong to none."""
    owners = {suffix: key for key, kind in file_kinds().items() for suffix in kind.suffixes}
    counts: Counter[str] = Counter()
    for _, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        suffixes = (PurePath(name).suffix.lower() for name in names if not name.startswith("."))
        counts.update(owners[suffix] for suffix in suffixes if suffix in owners)
        if counts.total() >= _LOOKED_AT:
            break
    return max(counts, key=lambda key: counts[key], default=None)


def known_suffixes() -> str:
    """Returns every kind of file with its suffixes, in words."""
    kinds = file_kinds().values()
    return "; ".join(f"{kind.noun}s: {', '.join(sorted(kind.suffixes))}" for kind in kinds)
