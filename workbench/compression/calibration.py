"""Activation ranges for static quantization: computed once per structure, then remembered."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.tools import Ranges, Split, spread
from workbench.core import optional
from workbench.core.batch import Batch, count, rows, tensors
from workbench.core.errors import InputError
from workbench.core.ids import digest_json
from workbench.exporting.graph import copy_graph
from workbench.runtime.session import Session, open_session

if TYPE_CHECKING:
    import onnx

    from workbench.store.cache import Cache

_FOR = "calibrating a quantized model"
_BINS = 2048
_BATCH = 64
_BYTES_AT_ONCE = 64_000_000
_VERSION = 1
FEWEST = 8


class Calibrator:
    """Ranges by structure and options, in memory and in the store's cache.

    Args:
        train: Where samples come from.
        fingerprint: Of the data.
        cache: The store's cache; None remembers in memory only.
    """

    def __init__(self, train: Split, fingerprint: str, cache: Cache | None = None) -> None:
        self._train = train
        self._fingerprint = fingerprint
        self._cache = cache
        self._known: dict[str, Ranges] = {}

    def ranges(
        self, graph: onnx.ModelProto, structure: str, *, kind: str, percentile: float, samples: int
    ) -> Ranges:
        """Returns (low, high) of each float tensor of `graph`.

        Args:
            graph: The float graph; it is run only if the ranges are not known yet.
            structure: Its identity: structure, weights and where they came from.
            kind: "minmax", or "percentile" for the central `percentile` % of all values.
            percentile: See `kind`.
            samples: Training samples to use.
        """
        key = self._key(structure, kind, percentile, samples)
        if key not in self._known:
            stored = None if self._cache is None else self._cache.get(key)
            if stored is None:
                inputs = _checked(self._train, samples)
                stored = {
                    name: list(pair)
                    for name, pair in observe(
                        graph, inputs, kind=kind, percentile=percentile
                    ).items()
                }
                if self._cache is not None:
                    self._cache.put(key, stored)
            self._known[key] = {name: (low, high) for name, (low, high) in stored.items()}
        return self._known[key]

    def _key(self, structure: str, kind: str, percentile: float, samples: int) -> str:
        return "ranges:" + digest_json(
            {
                "version": _VERSION,
                "structure": structure,
                "data": self._fingerprint,
                "kind": kind,
                "percentile": percentile if kind == "percentile" else None,
                "samples": samples,
            }
        )


def _checked(train: Split, wanted: int) -> Batch:
    """Returns training samples to calibrate on.

    Raises:
        InputError: They are too few, or hold values that are no numbers.
    """
    if len(train) < FEWEST:
        raise InputError(
            f"{len(train)} training sample{'s' * (len(train) != 1)} cannot show which values "
            f"occur; at least {FEWEST} would be right.",
            hint="Give the training split more samples, or take a method that needs no data "
            "(quantize_weights, quantize_dynamic, half).",
        )
    inputs = spread(train, wanted)
    bad = np.flatnonzero(~_are_finite(inputs))
    if len(bad):
        places = np.unique(np.linspace(0, len(train) - 1, min(wanted, len(train))).round())[bad]
        named = ", ".join(str(int(place)) for place in places[:5])
        raise InputError(
            f"{len(bad)} of {count(inputs)} calibration samples hold NaN or infinite values: "
            f"train {named}{', …' * (len(places) > 5)}.",
            hint="Repair or remove these samples; ranges found on them would be meaningless.",
        )
    return inputs


def _are_finite(inputs: Batch) -> np.ndarray:
    """Returns which samples hold numbers only [N]."""
    floats = [tensor for tensor in tensors(inputs) if tensor.dtype.kind == "f"]
    fine = [np.isfinite(tensor).reshape(len(tensor), -1).all(axis=1) for tensor in floats]
    return np.asarray(np.logical_and.reduce([np.ones(count(inputs), bool), *fine]))


def observe(
    graph: onnx.ModelProto, inputs: Batch, *, kind: str = "minmax", percentile: float = 99.99
) -> dict[str, tuple[float, float]]:
    """Runs `graph` on `inputs` and returns (low, high) of each float tensor in it."""
    names = float_tensors(graph)
    with tempfile.TemporaryDirectory() as folder:
        found = _extremes(graph, names, inputs, Path(folder))
        if kind == "percentile":
            found = _central(graph, found, inputs, percentile, Path(folder))
    return found


def observe_values(
    graph: onnx.ModelProto, names: list[str], inputs: Batch, folder: Path
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the values of the tensors `names` batch by batch, few enough to fit in memory."""
    session = _open(with_outputs(graph, names), folder / "values.onnx")
    one = _run(session, rows(inputs, slice(1)))
    size = max(1, sum(value.nbytes for value in one.values()))
    step = int(np.clip(_BYTES_AT_ONCE // size, 1, _BATCH))
    for start in range(0, count(inputs), step):
        yield _run(session, rows(inputs, slice(start, start + step)))


def float_tensors(graph: onnx.ModelProto) -> list[str]:
    """Returns the names of all float32 activations: graph inputs and node outputs."""
    inference = optional.require("onnx.shape_inference", for_=_FOR)
    elem = optional.require("onnx", for_=_FOR).TensorProto.FLOAT
    inferred = inference.infer_shapes(graph).graph
    fixed = {item.name for item in inferred.initializer}
    known = (*inferred.input, *inferred.value_info, *inferred.output)
    names = [v.name for v in known if v.type.tensor_type.elem_type == elem]
    return [name for name in dict.fromkeys(names) if name not in fixed]


def with_outputs(graph: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    """Returns a copy of `graph` whose outputs are `tensors`, in this order."""
    helper = optional.require("onnx.helper", for_=_FOR)
    elem = optional.require("onnx", for_=_FOR).TensorProto.FLOAT
    twin = copy_graph(graph)
    inputs = {item.name for item in twin.graph.input}
    del twin.graph.output[:]
    for name in tensors:
        output = name
        if name in inputs:
            output = f"{name}__seen"
            twin.graph.node.append(helper.make_node("Identity", [name], [output]))
        twin.graph.output.append(helper.make_tensor_value_info(output, elem, None))
    _drop_unneeded(twin)
    return twin


def _drop_unneeded(graph: onnx.ModelProto) -> None:
    """Removes nodes that no output needs: ONNX Runtime fused some into an output, and failed."""
    needed = {item.name for item in graph.graph.output}
    kept = []
    for node in reversed(graph.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            needed.update(_inner_inputs(node))
    kept.reverse()
    del graph.graph.node[:]
    graph.graph.node.extend(kept)


def _inner_inputs(node: onnx.NodeProto) -> set[str]:
    """Returns the names that subgraphs of `node` (If, Loop, Scan) take."""
    inner = [part for item in node.attribute if item.HasField("g") for part in item.g.node]
    return {name for part in inner for name in (*part.input, *_inner_inputs(part))}


def _extremes(
    graph: onnx.ModelProto, names: list[str], inputs: Batch, folder: Path
) -> dict[str, tuple[float, float]]:
    helper = optional.require("onnx.helper", for_=_FOR)
    elem = optional.require("onnx", for_=_FOR).TensorProto.FLOAT
    twin = copy_graph(graph)
    del twin.graph.output[:]
    for name in names:
        for operator in ("ReduceMin", "ReduceMax"):
            output = f"{name}__{operator}"
            twin.graph.node.append(helper.make_node(operator, [name], [output], keepdims=0))
            twin.graph.output.append(helper.make_tensor_value_info(output, elem, []))
    session = _open(twin, folder / "extremes.onnx")
    found = []
    for start in range(0, count(inputs), _BATCH):
        found.append(list(_run(session, rows(inputs, slice(start, start + _BATCH))).values()))
    values = np.asarray(found, np.float64).reshape(len(found), -1, 2)
    lows, highs = values[:, :, 0].min(axis=0), values[:, :, 1].max(axis=0)
    return {name: (float(lo), float(hi)) for name, lo, hi in zip(names, lows, highs, strict=True)}


def _central(
    graph: onnx.ModelProto,
    extremes: Mapping[str, tuple[float, float]],
    inputs: Batch,
    percentile: float,
    folder: Path,
) -> dict[str, tuple[float, float]]:
    names = [name for name, (low, high) in extremes.items() if high > low]
    counts = {name: np.zeros(_BINS, np.int64) for name in names}
    for values in observe_values(graph, names, inputs, folder):
        for name, value in zip(names, values.values(), strict=True):
            counts[name] += np.histogram(value, bins=_BINS, range=extremes[name])[0]
    central = {name: _cut(counts[name], extremes[name], percentile) for name in names}
    return {name: central.get(name, pair) for name, pair in extremes.items()}


def _cut(
    counts: np.ndarray, extremes: tuple[float, float], percentile: float
) -> tuple[float, float]:
    edges = np.linspace(*extremes, _BINS + 1)
    share = np.cumsum(counts) / counts.sum()
    tail = (100.0 - percentile) / 200.0
    low = int(np.searchsorted(share, tail, side="right"))
    high = int(np.searchsorted(share, 1.0 - tail, side="left"))
    return float(edges[low]), float(edges[min(high + 1, _BINS)])


def _open(graph: onnx.ModelProto, path: Path) -> Session:
    path.write_bytes(graph.SerializeToString())
    return open_session(path)


def _run(session: Session, batch: Batch) -> dict[str, Any]:
    return session.run_named(session.feeds(batch))
