"""Latency of a mixture from two measured totals: float and int8, split by operator profile.

Each layer's share of the float and of the int8 latency comes from the profile, rescaled so that
the sums are the totals that were measured (a profile inflates small nodes). A layer that stays in
float between int8 ones pays for crossing over and back, by the activations that cross. NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from workbench.core.records import Interval
from workbench.runtime.profile import OperatorTime

INT8 = "int8"
MARGINS = {"known": 0.04, "mixed": 0.12, "unknown": 0.35}
_BOUNDARY = ("QuantizeLinear", "DequantizeLinear")
_FIRST_PRICE_MS = 2.5e-6
_RIDGE = 4.0


@dataclass
class LatencyTable:
    """Milliseconds by layer and format.

    Attributes:
        float_ms: Measured total of the baseline.
        int8_ms: Measured total with all layers in int8; None if it was not measured.
        float_layers: Share of each layer in `float_ms`.
        int8_layers: Likewise.
        crossing: Values that cross if a layer alone changes its format.
        price_ms: For each value that crosses.
        factors: By method, measured over baseline latency where neither int8 nor float explains it.
    """

    float_ms: float
    int8_ms: float | None = None
    float_layers: dict[str, float] = field(default_factory=dict)
    int8_layers: dict[str, float] = field(default_factory=dict)
    crossing: dict[str, float] = field(default_factory=dict)
    price_ms: float = _FIRST_PRICE_MS
    factors: dict[str, float] = field(default_factory=dict)

    def of(self, int8: Sequence[str], methods: Sequence[str] = ()) -> Interval:
        """Returns the latency of a model with these layers in int8.

        Args:
            int8: Names of the layers in int8.
            methods: Further methods, of which a measured factor is applied if there is one.
        """
        value, margin = self._mixture(int8)
        for method in methods:
            if method in self.factors:
                value *= self.factors[method]
            else:
                margin = max(margin, MARGINS["unknown"])
        return Interval(value, value * (1 - margin), value * (1 + margin))

    def learn(self, mixtures: Sequence[tuple[Sequence[str], float]]) -> None:
        """Fits the price of crossing to measured mixtures (int8 layers, milliseconds)."""
        top, bottom = _RIDGE * _FIRST_PRICE_MS, _RIDGE
        scale = max((sum(self.crossing.values())), 1.0)
        for int8, measured in mixtures:
            values = self._crossed(int8) / scale
            if values and self.int8_ms is not None:
                top += values * (measured - self._sum(int8)) / scale * _RIDGE * 16
                bottom += values * values * _RIDGE * 16
        self.price_ms = max(top / bottom, 0.0)

    def _mixture(self, int8: Sequence[str]) -> tuple[float, float]:
        if not int8:
            return self.float_ms, MARGINS["known"]
        if self.int8_ms is None:
            return self.float_ms, MARGINS["unknown"]
        if len(set(int8)) == len(self.float_layers):
            return self.int8_ms, MARGINS["known"]
        return self._sum(int8) + self.price_ms * self._crossed(int8), MARGINS["mixed"]

    def _sum(self, int8: Sequence[str]) -> float:
        chosen = set(int8)
        total = float(self.int8_ms or 0.0)
        for name, ms in self.float_layers.items():
            if name not in chosen:
                total += ms - self.int8_layers.get(name, ms)
        return total

    def _crossed(self, int8: Sequence[str]) -> float:
        chosen = set(int8)
        return float(sum(size for name, size in self.crossing.items() if name not in chosen))

    def to_json(self) -> dict[str, Any]:
        """Returns the table as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatencyTable:
        """Rebuilds a table from `to_json`."""
        return cls(**data)


def layer_times(
    rows: Sequence[OperatorTime], nodes: Mapping[str, str], total_ms: float
) -> dict[str, float]:
    """Returns each layer's milliseconds, rescaled so that all operators add up to `total_ms`.

    ONNX Runtime fuses nodes and keeps the name of one; its own nodes around int8 operators carry
    the name of the node within theirs.

    Args:
        rows: The operator profile.
        nodes: Node name by layer name.
        total_ms: Measured latency.
    """
    scale = total_ms / max(sum(row.ms for row in rows), 1e-12)
    found = dict.fromkeys(nodes, 0.0)
    by_length = sorted(nodes.items(), key=lambda item: -len(item[1]))
    for row in rows:
        if any(row.op_type.startswith(kind) for kind in _BOUNDARY):
            continue
        for name, node in by_length:
            if node in row.node and not row.node[row.node.index(node) + len(node) :][:1].isdigit():
                found[name] += row.ms * scale
                break
    return found


def crossing_values(
    shapes: Mapping[str, tuple[int, ...]], ends: Mapping[str, tuple[str, str]]
) -> dict[str, float]:
    """Returns the values each layer reads and writes for one sample.

    Args:
        shapes: Of tensors, batch 1.
        ends: Input and output tensor by layer name.
    """
    return {
        name: float(sum(np.prod(shapes.get(tensor, (0,))) for tensor in tensors))
        for name, tensors in ends.items()
    }
