"""Fills the latency table from what was measured and from the operator profiles of two files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.compression.latency_table import LatencyTable, crossing_values, layer_times
from workbench.compression.macs import free_sizes, tensor_shapes
from workbench.compression.measure import measuring_lock
from workbench.compression.measured import Measured
from workbench.compression.study import StudyEngine
from workbench.compression.subject import Layer, Subject
from workbench.compression.tools import spread
from workbench.runtime.profile import profile_session

_WHOLE = "quantize_static"


def latency_table(
    engine: StudyEngine, subject: Subject, baseline: Measured, measured: Mapping[str, Measured]
) -> LatencyTable:
    """Returns the table; profiles are taken once and remembered with the measurement."""
    table = LatencyTable(float_ms=baseline.latency_ms)
    known = [layer for layer in subject.layers if layer.node]
    layers = {layer.name: layer.node for layer in known}
    whole = next((m for m in measured.values() if _is_wholly_int8(m)), None)
    if whole is None:
        return table
    by_name: dict[str, Any] = {node.name: node for node in subject.graph.graph.node}
    ends = {layer.name: _ends(layer, by_name[layer.node]) for layer in known}
    free = free_sizes(subject.graph, spread(engine.dataset.val, 1))
    table.crossing = crossing_values(tensor_shapes(subject.graph, free), ends)
    table.float_layers = _times(engine, baseline, layers)
    table.int8_layers = _times(engine, whole, layers)
    table.int8_ms = whole.latency_ms
    return table


def _ends(layer: Layer, node: Any) -> tuple[str, str]:
    return node.input[layer.data_place(node)], node.output[0]


def _is_wholly_int8(measured: Measured) -> bool:
    steps = measured.recipe_json.get("steps", [])
    return bool(steps) and steps[-1]["kind"] == _WHOLE


def _times(engine: StudyEngine, measured: Measured, layers: Mapping[str, str]) -> dict[str, float]:
    key = f"profile:{measured.artifact}:{engine.threads}:{engine.batch}:{engine.cpu.name}"
    found = engine.store.cache.get(key)
    if found is None:
        batch = spread(engine.dataset.val, engine.batch)
        with measuring_lock():
            rows = profile_session(engine.path(measured), batch, threads=engine.threads)
        found = layer_times(rows, layers, 1.0)
        engine.store.cache.put(key, found)
    return {name: share * measured.latency_ms for name, share in found.items()}
