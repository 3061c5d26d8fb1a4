"""Makes an ONNX file from elsewhere ready for compression, and proves that it still answers alike.

Every node gets a name, constants become weights, a fixed batch size becomes free, BatchNorm is
folded by ONNX Runtime, old operators are converted. What cannot be done is left and said. No torch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.core import optional
from workbench.core.batch import Batch, count, each, rows
from workbench.core.errors import UnsupportedError
from workbench.exporting.graph import copy_graph, load_graph, strip
from workbench.exporting.model_files import check_fits_one_graph
from workbench.exporting.parity import ParityError, Predict, check_parity
from workbench.runtime.session import Session, open_session

if TYPE_CHECKING:
    import onnx

_FOR = "preparing an ONNX file"
_BATCH = "batch"
_STANDARD = ("", "ai.onnx")
_OPSET = 17
_OLDEST_OPSET = 13
_SAMPLES = 8


@dataclass(frozen=True)
class Prepared:
    """A graph ready for compression, and what was done to it or could not be."""

    graph: onnx.ModelProto
    notes: tuple[str, ...]


_Change = Callable[["onnx.ModelProto"], "onnx.ModelProto | None"]


def prepare(path: Path, samples: Batch) -> Prepared:
    """Returns the graph of the file at `path`, prepared step by step; each step is proven.

    Args:
        path: An ONNX file.
        samples: Inputs [N, …]; a few are enough.

    Raises:
        UnsupportedError: Its weights lie beside it and are too large.
    """
    check_fits_one_graph(path)
    samples = each(np.ascontiguousarray, rows(samples, slice(_SAMPLES)))
    reference = one_by_one(open_session(path))
    graph = _with_names(_with_initializers(strip(load_graph(path))))
    notes: list[str] = []
    steps: tuple[tuple[str, _Change], ...] = (
        ("its batch size was fixed and is free now", _with_free_batch),
        (f"its operators were converted to opset {_OPSET}", _with_newer_operators),
        ("BatchNorm was folded into the weights before it", _with_folded_batch_norm),
    )
    for done, change in steps:
        changed, problem = _proven(graph, change, reference, samples)
        if changed is not None:
            graph = changed
            notes.append(done)
        elif problem:
            notes.append(f"not possible: {done} ({problem})")
    return Prepared(_with_names(graph), tuple(notes))


def one_by_one(session: Session) -> Predict:
    """Returns the session as a function of any batch, also where its batch size is fixed."""
    size = session.signature.inputs[0].shape[0]
    if not isinstance(size, int):
        return session.run

    def predict(batch: Batch) -> np.ndarray:
        parts = []
        for start in range(0, count(batch), size):
            own = np.arange(start, start + size) % count(batch)
            parts.append(session.run(each(np.ascontiguousarray, rows(batch, own))))
        return np.concatenate(parts)[: count(batch)]

    return predict


def _proven(
    graph: onnx.ModelProto, change: _Change, reference: Predict, samples: Batch
) -> tuple[onnx.ModelProto | None, str]:
    """Returns the changed graph if there was something to do and it answers alike, else why not."""
    try:
        changed = change(copy_graph(graph))
        if changed is None:
            return None, ""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "changed.onnx"
            file.write_bytes(strip(changed).SerializeToString())
            candidate = one_by_one(open_session(file))
            check_parity(reference, candidate, samples, batch_sizes=(1, 3), what="The changed file")
    except (ParityError, UnsupportedError) as error:
        return None, error.message
    except Exception as error:  # noqa: BLE001 - ONNX's converter and runtime raise their own classes
        return None, str(error).strip().split("\n")[0]
    return changed, ""


def _with_names(graph: onnx.ModelProto) -> onnx.ModelProto:
    taken: set[str] = set()
    for index, node in enumerate(graph.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{index}"
        taken.add(node.name)
    return graph


def _with_initializers(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Turns Constant nodes that hold a tensor into initializers."""
    kept = []
    for node in graph.graph.node:
        values = [a.t for a in node.attribute if a.name == "value" and a.HasField("t")]
        if node.op_type != "Constant" or node.domain not in _STANDARD or not values:
            kept.append(node)
            continue
        tensor = graph.graph.initializer.add()
        tensor.CopyFrom(values[0])
        tensor.name = node.output[0]
    copies = [copy for node in kept for copy in [type(node).FromString(node.SerializeToString())]]
    del graph.graph.node[:]
    graph.graph.node.extend(copies)
    return graph


def _with_free_batch(graph: onnx.ModelProto) -> onnx.ModelProto | None:
    first = graph.graph.input[0].type.tensor_type.shape.dim
    if not first or not first[0].HasField("dim_value"):
        return None
    size = first[0].dim_value
    for item in (*graph.graph.input, *graph.graph.output):
        dims = item.type.tensor_type.shape.dim
        if dims and dims[0].HasField("dim_value") and dims[0].dim_value == size:
            dims[0].dim_param = _BATCH
    _free_reshapes(graph, size)
    return graph


def _free_reshapes(graph: onnx.ModelProto, size: int) -> None:
    """In Reshape to (size, …) the first number becomes 0, which means: as it comes."""
    helper = optional.require("onnx.numpy_helper", for_=_FOR)
    shapes = {node.input[1] for node in graph.graph.node if node.op_type == "Reshape"}
    for item in graph.graph.initializer:
        if item.name not in shapes:
            continue
        shape = helper.to_array(item).copy()
        if shape.size > 1 and shape[0] == size:
            shape[0] = 0
            item.CopyFrom(helper.from_array(shape, item.name))


def _with_newer_operators(graph: onnx.ModelProto) -> onnx.ModelProto | None:
    version = max((o.version for o in graph.opset_import if o.domain in _STANDARD), default=0)
    if version >= _OLDEST_OPSET:
        return None
    converter = optional.require("onnx.version_converter", for_=_FOR)
    converted: onnx.ModelProto = converter.convert_version(graph, _OPSET)
    return converted


def _with_folded_batch_norm(graph: onnx.ModelProto) -> onnx.ModelProto | None:
    if not any(node.op_type == "BatchNormalization" for node in graph.graph.node):
        return None
    ort = optional.require("onnxruntime", for_=_FOR)
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 3
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = load_graph(options.optimized_model_filepath)
    used = {node.domain for node in folded.graph.node}
    kept = [o for o in folded.opset_import if o.domain in used or o.domain in _STANDARD]
    del folded.opset_import[:]
    folded.opset_import.extend(kept)
    return folded
