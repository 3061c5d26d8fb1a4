"""Files whose weights lie beside them, which is how PyTorch exports by default, made one file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from workbench.core import optional
from workbench.core.errors import InputError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    import onnx

_FOR = "reading ONNX files"
_MOST_BYTES = 2_000_000_000  # protobuf holds no more in one message


def in_one_file(path: Path, folder: Path) -> Path:
    """Returns `path` if its weights are inside, else a file in `folder` that holds all of them.

    Raises:
        InputError: It is no ONNX file, or names files outside its own folder.
        NotFoundError: A file with weights is not beside it.
        UnsupportedError: Together they are larger than an ONNX file can be.
    """
    graph = _read(path)
    names = _names(graph)
    if not names:
        return path
    _check(path, names)
    data = optional.require("onnx.external_data_helper", for_=_FOR)
    data.load_external_data_for_model(graph, str(path.parent))
    whole = folder / path.name
    whole.write_bytes(graph.SerializeToString())
    return whole


def _read(path: Path) -> onnx.ModelProto:
    library = optional.require("onnx", for_=_FOR)
    try:
        graph: onnx.ModelProto = library.load(str(path), load_external_data=False)
    except Exception as error:
        raise InputError(
            f"'{path.name}' is not an ONNX file that can be read: {error}",
            hint="Was it written completely?",
        ) from error
    return graph


def _names(graph: onnx.ModelProto) -> list[str]:
    """Returns the files that hold weights, as the graph names them."""
    data = optional.require("onnx.external_data_helper", for_=_FOR)
    tensors = list(data._get_all_tensors(graph))
    found = (
        entry.value
        for tensor in tensors
        if data.uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    )
    return list(dict.fromkeys(found))


def _check(path: Path, names: list[str]) -> None:
    outside = [name for name in names if _is_outside(name)]
    if outside:
        raise InputError(
            f"'{path.name}' keeps its weights outside its own folder: {', '.join(outside)}.",
            hint="Export it again with its weights inside, or beside it.",
        )
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise NotFoundError(
            f"'{path.name}' keeps its weights in {', '.join(missing)}, which is not beside it.",
            hint="Put both files into one folder.",
        )
    total = sum(file.stat().st_size for file in (path, *(path.parent / name for name in names)))
    if total > _MOST_BYTES:
        raise UnsupportedError(
            f"'{path.name}' and its weights are {total / 1e9:.1f} GB; up to "
            f"{_MOST_BYTES / 1e9:.0f} GB can be imported.",
            hint="Quantize it first, or serve it as it is: workbench serve FILE.onnx",
        )


def _is_outside(name: str) -> bool:
    parts = PurePosixPath(name)
    return parts.is_absolute() or ".." in parts.parts or "\\" in name
