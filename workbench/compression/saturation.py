"""Whether int8 products saturate on this CPU: some are computed, and with 7-bit weights once more.

Without VNNI, x86 adds two products of an unsigned and a signed byte in 16 bits: 255·127·2 does not
fit, 255·63·2 does (ONNX Runtime's documentation of quantization, "reduce_range").
"""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core import optional
from workbench.exporting.graph import save_graph
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    import onnx

_FOR = "trying int8 products"
_ROWS, _DEPTH, _COLUMNS = 64, 256, 64
_DEVIATIONS = 3.0
_OPSET, _IR_VERSION = 17, 8


@dataclass(frozen=True)
class Saturation:
    """Shares of sums of products that came out wrong, on numbers as networks have them.

    Attributes:
        full: With 8-bit weights.
        reduced: With 7-bit weights, the remedy.
    """

    full: float
    reduced: float

    @property
    def words(self) -> str:
        """What was found, as a sentence."""
        if not self.full:
            return "tried here: sums of int8 products are exact"
        left = f"{self.reduced:.0%}" if self.reduced else "none"
        return (
            f"tried here: {self.full:.0%} of sums are wrong with 8-bit weights, {left} with 7-bit"
        )


@functools.cache
def measure_saturation() -> Saturation:
    """Computes sums of 256 products with ONNX Runtime and compares them with exact ones.

    Raises:
        MissingDependencyError: `onnx` is not installed.
    """
    return Saturation(_wrong(8), _wrong(7))


def _wrong(bits: int) -> float:
    """Returns the share of wrong sums of evenly spread inputs and bell-shaped weights."""
    rng = np.random.default_rng(0)
    top = 2 ** (bits - 1) - 1
    inputs = rng.integers(0, 256, (_ROWS, _DEPTH)).astype(np.uint8)
    bell = rng.normal(0, top / _DEVIATIONS, (_DEPTH, _COLUMNS)).round()
    weights = np.clip(bell, -top, top).astype(np.int8)
    exact = inputs.astype(np.int64) @ weights.astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = save_graph(_product(weights), Path(folder) / "product.onnx")
        found = open_session(path).run(inputs)
    return float((found != exact).mean())


def _product(weights: np.ndarray) -> onnx.ModelProto:
    helper: Any = optional.require("onnx.helper", for_=_FOR)
    arrays: Any = optional.require("onnx.numpy_helper", for_=_FOR)
    types: Any = optional.require("onnx", for_=_FOR).TensorProto
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["inputs", "weights"], ["sums"])],
        "product",
        [helper.make_tensor_value_info("inputs", types.UINT8, [_ROWS, _DEPTH])],
        [helper.make_tensor_value_info("sums", types.INT32, [_ROWS, _COLUMNS])],
        [arrays.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    return model
