"""The load verb of this floor: finds the source that fits what was given, and prepares it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, NotFoundError, did_you_mean
from workbench.data.collected import Progress, no_progress
from workbench.data.dataset import Dataset, open_dataset
from workbench.data.file_kinds import known_suffixes, modality_of
from workbench.data.folder_reader import FolderSource
from workbench.data.prepare import prepare
from workbench.data.sources import SOURCES
from workbench.store import Store

_FOLDER = "folder"
_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")


def load(store: Store, source: Any, *, progress: Progress | None = None, **config: Any) -> Dataset:
    """Returns the prepared dataset of `source`; the second time it is only opened.

    Args:
        store: The workspace that keeps it.
        source: The key of a source ("digits", "arrays", "images", "table", …), a CSV or Parquet
            file, a folder of pictures or clips by class, a DataFrame, a torch `Dataset` or
            `DataLoader`, the ref of a dataset, or a `Dataset`, which passes through.
        progress: Called with done, total and a note.
        config: Options of the source.

    Raises:
        InputError: All that is wrong with data and options, at once; nothing is stored then.
        NotFoundError: No such source, file or dataset.
    """
    if isinstance(source, Dataset) or (isinstance(source, str) and source.startswith("dataset:")):
        _refuse_options(config)
        return source if isinstance(source, Dataset) else open_dataset(store, source)
    key, found = sniff(source)
    plugin = SOURCES.get(key)
    _refuse_twice(found, config, key)
    options = plugin.Config.parse({**found, **config}, what=f"source '{key}'")
    reader = plugin.open(options, store)
    try:
        return prepare(store, key, options, reader, progress or no_progress)
    finally:
        reader.close()


def sniff(source: Any) -> tuple[str, dict[str, Any]]:
    """Returns the key of the source that fits, and the option that holds what was given.

    Raises:
        NotFoundError: Text that is neither a source nor a path.
        InputError: An object that no source takes.
    """
    if isinstance(source, (str, Path)):
        return _sniff_path(source)
    if hasattr(source, "columns") and hasattr(source, "shape"):
        return "table", {"frame": source}
    if is_torch_data(source):
        return "torch_dataset", {"dataset": source}
    raise InputError(
        f"A {type(source).__name__} is not a source.",
        hint="Give a source's key, a path, a DataFrame, a torch Dataset or DataLoader; arrays go "
        "by load('arrays', inputs=X, targets=y).",
    )


def is_torch_data(value: Any) -> bool:
    """Returns whether `value` is a torch `Dataset` or `DataLoader`, without importing torch."""
    return any(cls.__module__.startswith("torch.utils.data") for cls in type(value).__mro__)


def _sniff_path(source: str | Path) -> tuple[str, dict[str, Any]]:
    if isinstance(source, str) and source in SOURCES:
        return source, {}
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder_source(path), {"path": path}
    if path.suffix.lower() in _TABLES:
        return "table", {"path": path}
    if path.is_file():
        raise InputError(
            f"The file '{path.name}' is no table that can be read.",
            hint=f"Known suffixes: {', '.join(_TABLES)}; a folder may hold {known_suffixes()}.",
        )
    raise NotFoundError(
        f"'{source}' is neither a source nor a path{did_you_mean(str(source), SOURCES.keys())}",
        hint=f"Sources: {', '.join(SOURCES)}; or a CSV or Parquet file, or a folder by class.",
    )


def _folder_source(path: Path) -> str:
    """Returns the source of the modality that most files of a folder belong to."""
    modality = modality_of(path)
    own = (
        key
        for key in SOURCES
        if SOURCES.info(key).summary
        and isinstance(plugin := SOURCES.get(key), FolderSource)
        and plugin.modality is not None
        and plugin.modality == modality
    )
    return next(own, _FOLDER)


def _refuse_options(config: Mapping[str, Any]) -> None:
    if config:
        raise InputError(
            f"A prepared dataset takes no options, got {', '.join(config)}.",
            hint="Load it from its source with these options instead.",
        )


def _refuse_twice(found: Mapping[str, Any], config: Mapping[str, Any], key: str) -> None:
    twice = sorted(set(found) & set(config))
    if twice:
        raise InputError(f"{', '.join(twice)} of source '{key}' is given twice.")
