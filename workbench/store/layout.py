"""Files that belong together, side by side under their own names: a graph finds its weights there.

The store keeps each file under its digest. Who opens a model of several files gets a folder of
links to them, which goes with the process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from workbench.core.errors import NotFoundError, StorageError
from workbench.core.files import private_folder
from workbench.store.artifacts import MODEL_FILE
from workbench.store.home import Home
from workbench.store.scratch import scratch_name

_LAID: dict[tuple[tuple[str, Path], ...], Path] = {}
_LOCK = Lock()


def model_path(home: Home, paths: Mapping[str, Path]) -> Path:
    """Returns the path of a model's graph, with the model's other files beside it.

    Args:
        home: Where the links may lie; where nothing can be written, a temporary folder is taken.
        paths: Verified stored files by their names.

    Raises:
        NotFoundError: There is no graph among them.
    """
    if MODEL_FILE not in paths:
        raise NotFoundError(
            f"Got a model without {MODEL_FILE}; it holds {', '.join(paths) or 'nothing'}.",
            hint="Only models in ONNX can be opened.",
        )
    if len(paths) == 1:
        return paths[MODEL_FILE]
    key = tuple(sorted(paths.items()))
    with _LOCK:
        folder = _LAID.get(key)
        if folder is None or not folder.is_dir():
            folder = _LAID[key] = _lay_out(_new_folder(home), paths)
    return folder / MODEL_FILE


def _lay_out(folder: Path, paths: Mapping[str, Path]) -> Path:
    for name, path in paths.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)  # not a symbolic one: ONNX Runtime reads no weights elsewhere
        except OSError:
            shutil.copyfile(path, place)
    return folder


def _new_folder(home: Home) -> Path:
    try:
        folder = private_folder(home.folder(home.scratch) / scratch_name())
    except (OSError, StorageError):  # read-only, full or moved
        folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
