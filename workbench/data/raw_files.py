"""Raw samples that are kept beside the prepared ones: one file a part, written one by one."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from workbench.data.modality import Modality
from workbench.data.part_files import npy
from workbench.store import Blob, Store

OFFSETS = "offsets.npy"


def keep(store: Store, modality: Modality, config: Any, samples: Any) -> dict[str, bytes | Blob]:
    """Stores raw samples as the modality packs them, and where each begins.

    Args:
        store: The workspace.
        modality: Of the samples.
        config: Its preprocessing.
        samples: Those of one part, in order.

    Returns:
        Files by name, without the part's.
    """
    sizes = [0]
    suffix = PurePath(modality.raw_file).suffix
    with store.blobs.writer(suffix) as pending, pending.path.open("wb") as file:
        for index in range(len(samples)):
            sizes.append(file.write(modality.pack(samples[index], config)))
    offsets = npy(np.cumsum(sizes, dtype=np.int64))
    return {OFFSETS: offsets} | ({} if pending.blob is None else {modality.raw_file: pending.blob})
