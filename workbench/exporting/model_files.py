"""The files of a model as they lie on the user's disk: a graph, and what is read beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from workbench.core import optional
from workbench.core.errors import InputError, NotFoundError, UnsupportedError
from workbench.store import MODEL_FILE

if TYPE_CHECKING:
    import onnx

_FOR = "reading ONNX files"
_MOST_BYTES = 2_000_000_000  # protobuf holds no more in one message
_GRAPH = ".onnx"
_BESIDE = frozenset(
    {
        "config.json",
        "generation_config.json",
        "labels.txt",
        "merges.txt",
        "preprocessor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)  # as Hugging Face's exporters and tokenizers name them


@dataclass(frozen=True)
class ModelFiles:
    """A model to be stored.

    Attributes:
        files: Where each file is, by the name under which it is kept; the graph is `MODEL_FILE`.
        left_out: Names of files that lay beside them and are no part of a model.
    """

    files: dict[str, Path]
    left_out: tuple[str, ...] = ()

    @property
    def graph(self) -> Path:
        """The file of the graph."""
        return self.files[MODEL_FILE]


def find_model_files(path: Path, folder: Path) -> ModelFiles:
    """Returns the files of a model.

    Weights beside a graph go into it where a graph can hold them; else they stay files.

    Args:
        path: An ONNX file; or a folder with one, or with several of which one is `MODEL_FILE`, and
            with vocabularies and the like.
        folder: Takes graphs that are written anew.

    Raises:
        NotFoundError: There is no such file, or no graph in the folder.
        InputError: It is not clear which graph answers, or a file cannot be read.
    """
    if path.is_dir():
        return _in_folder(path, folder)
    if not path.is_file():
        raise NotFoundError(f"There is no file '{path}'.", hint="Give the path of an ONNX file.")
    return ModelFiles(_graph(path, MODEL_FILE, folder)[0])


def check_fits_one_graph(path: Path) -> None:
    """Refuses a graph whose weights are too large to be worked on together with it.

    Raises:
        UnsupportedError: They are.
    """
    weights = _weights(_read(path))
    size = sum(file.stat().st_size for file in (path, *(path.parent / name for name in weights)))
    if weights and size > _MOST_BYTES:
        raise UnsupportedError(
            f"The model keeps its weights in {', '.join(weights)}: {size / 1e9:.1f} GB in all, and "
            f"up to {_MOST_BYTES / 1e9:.0f} GB can be compressed.",
            hint="Serve it as it is, or give a smaller export of it.",
        )


def _in_folder(path: Path, folder: Path) -> ModelFiles:
    names = sorted(item.name for item in path.iterdir() if item.is_file())
    graphs = [name for name in names if name.lower().endswith(_GRAPH)]
    main = _main_graph(path, graphs)
    files: dict[str, Path] = {}
    used: set[str] = set()
    for name in graphs:
        found, weights = _graph(path / name, MODEL_FILE if name == main else name, folder)
        files |= found
        used.update(weights)
    files |= {name: path / name for name in names if name in _BESIDE}
    known = {*graphs, *files, *used}
    return ModelFiles(files, tuple(name for name in names if name not in known))


def _main_graph(path: Path, graphs: list[str]) -> str:
    if not graphs:
        raise NotFoundError(
            f"There is no ONNX file in '{path}'.", hint=f"Put the graph there, as {MODEL_FILE}."
        )
    if len(graphs) == 1:
        return graphs[0]
    if MODEL_FILE not in graphs:
        raise InputError(
            f"'{path.name}' holds several graphs: {', '.join(graphs)}.",
            hint=f"Name the one that answers a request {MODEL_FILE}; the others go with it.",
        )
    return MODEL_FILE


def _graph(path: Path, name: str, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Returns a graph's files by name, and the names of the files that hold its weights now."""
    graph = _read(path)
    weights = _weights(graph)
    _check(path, weights)
    beside = {weight: path.parent / weight for weight in weights}
    size = sum(file.stat().st_size for file in (path, *beside.values()))
    if not weights or size > _MOST_BYTES:
        return {name: path, **beside}, weights
    data = optional.require("onnx.external_data_helper", for_=_FOR)
    data.load_external_data_for_model(graph, str(path.parent))
    whole = folder / name
    whole.write_bytes(graph.SerializeToString())
    return {name: whole}, weights


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


def _weights(graph: onnx.ModelProto) -> list[str]:
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


def _is_outside(name: str) -> bool:
    parts = PurePosixPath(name)
    return parts.is_absolute() or ".." in parts.parts or "\\" in name
