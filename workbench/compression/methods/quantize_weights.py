"""Weights in blocks of 4- or 8-bit integers, each block with a scale.

Symmetric, round to nearest (blocks: Dettmers et al. 2022, arXiv:2110.02861). The value of largest
magnitude is the most negative integer, as in ggml's Q4_0, so that no level is lost. MatMul and Gemm
become ONNX Runtime's MatMulNBits, by default with int8 arithmetic (inputs rounded in blocks as they
come): one row times 1024×1024 takes 0.07 ms, where float takes 0.12, and 9.4 with 8-bit weights and
float arithmetic (ONNX Runtime 1.31, AVX2). A convolution has no such operator: its integers are
widened by Cast and Mul when the file is loaded. DequantizeLinear would do so in each call, as it is
never folded, and a 16→32 convolution took twice as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workbench.compression.method import Edited, GraphMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.errors import UnsupportedError
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np

    from workbench.compression import edit
    from workbench.compression.edit import Editor
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
else:
    np = lazy("numpy")
    edit = lazy("workbench.compression.edit")

_FOR = "packing weights"
_MATRICES = frozenset({"Gemm", "MatMul"})
_DOMAIN = "com.microsoft"
_FLOAT = 1
_ACCURACY_LEVELS = {"float32": 1, "int8": 4}
_WIDENED = "weights of {} are widened when the file is loaded: smaller, not faster"


class QuantizeWeightsConfig(Config):
    """Options of `quantize_weights`."""

    bits: Literal[4, 8] = Field(8, description="Bits of a weight; 4 or 8")
    block: Literal[16, 32, 64, 128] = Field(
        32, description="Weights that share a scale; about so many in a convolution"
    )
    compute: Literal["int8", "float32"] = Field(
        "int8", description="Arithmetic of MatMul and Gemm; float32 is exact and often slow"
    )


class QuantizeWeights(GraphMethod):
    """See the module's docstring."""

    summary = (
        "weights packed in 4 or 8 bits with a scale a block; needs no data, and no int8 activations"
    )
    requires = ("onnx", "ml_dtypes")
    produces = "blocks"
    is_local = True
    Config = QuantizeWeightsConfig

    def supports(self, subject: Subject, config: QuantizeWeightsConfig) -> str | None:
        """Needs a layer whose weight is one constant of the graph."""
        return edit.why_no_weights(subject)

    def change_graph(
        self,
        subject: Subject,
        layers: tuple[Layer, ...],
        config: QuantizeWeightsConfig,
        tools: Tools,
    ) -> Edited:
        """Packs the weights of those of `layers` that get smaller by it."""
        graph, has_int4 = subject.graph, config.bits == 8
        if not has_int4:
            newer = edit.with_int4(graph)
            graph, has_int4 = newer or graph, newer is not None
        editor = edit.Editor(graph)
        widened: list[str] = []
        stayed: list[str] = []
        for layer in layers:
            tools.context.check()
            if _takes_packed(editor, layer) and _as_packed_matmul(editor, layer, config):
                continue
            is_done = layer.initializer and has_int4 and _widened(editor, layer, config)
            (widened if is_done else stayed).append(layer.name)
        return Edited(editor.graph, _notes(layers, widened, stayed, has_int4, config))


def _notes(
    layers: tuple[Layer, ...],
    widened: list[str],
    stayed: list[str],
    has_int4: bool,
    config: QuantizeWeightsConfig,
) -> tuple[str, ...]:
    why = "too small to gain, or no constant"
    if not has_int4:
        why += "; the file's version of ONNX has no 4-bit integers for convolutions"
    if len(stayed) == len(layers):
        raise UnsupportedError(
            f"quantize_weights:{config.bits} makes no layer smaller: {why}.",
            hint="Try quantize_weights:8, larger blocks, or 'half'.",
        )
    notes = [_WIDENED.format(", ".join(widened))] if widened else []
    if stayed:
        notes.append(f"quantize_weights leaves {', '.join(stayed)}: {why}")
    return tuple(notes)


def in_blocks(rows: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (integers int8, scales float32 [n, 1]) of blocks [n, size]; value = integer · scale.

    Args:
        rows: One block a row, float32.
        bits: Of an integer, 4 or 8.
    """
    most = 2 ** (bits - 1)
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1, keepdims=True), axis=1)
    scale = (largest / -most).astype(np.float32)
    ratio = np.divide(rows, scale, out=np.zeros_like(rows), where=scale != 0)
    return np.clip(np.rint(ratio), -most, most - 1).astype(np.int8), scale


def _takes_packed(editor: Editor, layer: Layer) -> bool:
    if layer.op_type not in _MATRICES or not layer.node:
        return False
    attributes = edit.attributes_of(editor.node(layer))
    is_plain = not attributes.get("transA") and attributes.get("beta", 1.0) == 1.0
    return is_plain and editor.value(layer.initializer).ndim == 2


def _as_packed_matmul(editor: Editor, layer: Layer, config: QuantizeWeightsConfig) -> bool:
    """Replaces a MatMul or Gemm by MatMulNBits if the file gets smaller by it."""
    node = editor.node(layer)
    attributes = edit.attributes_of(node)
    weight = editor.value(layer.initializer)
    weight = weight if attributes.get("transB") else np.ascontiguousarray(weight.T)
    packed, scales = _packed(weight * np.float32(attributes.get("alpha", 1.0)), config)
    name = layer.initializer
    values = [editor.tensor(f"{name}.b", packed), editor.tensor(f"{name}.s", scales)]
    inputs = [node.input[0], f"{name}.b", f"{name}.s"]
    bias = editor.bias(node)
    if bias is not None:
        full = np.broadcast_to(bias.reshape(-1), len(weight))
        values.append(editor.tensor(f"{name}.bias", full))
        inputs += ["", "", f"{name}.bias"]
    elif len(node.input) > 2:
        return False
    sizes = {"K": weight.shape[1], "N": weight.shape[0]}
    new = editor.make(
        "MatMulNBits", inputs, node.output[0], node.name,
        domain=_DOMAIN, bits=config.bits, block_size=config.block,
        accuracy_level=_ACCURACY_LEVELS[config.compute], **sizes,
    )  # fmt: skip
    before = weight.nbytes + (0 if bias is None else bias.nbytes) + node.ByteSize()
    if editor.uses(name) > 1 or before <= sum(v.ByteSize() for v in values) + new.ByteSize():
        return False
    old = list(node.input[1:])
    editor.graph.graph.initializer.extend(values)
    editor.replace(node, [new])
    editor.drop_unused(old)
    editor.use_domain(_DOMAIN)
    return True


def _packed(weight: np.ndarray, config: QuantizeWeightsConfig) -> tuple[np.ndarray, np.ndarray]:
    """Returns integers uint8 [N, blocks, bytes] and scales [N, blocks] of a weight [N, K]."""
    outputs, inputs = weight.shape
    padded = np.pad(weight, [(0, 0), (0, -inputs % config.block)])
    integers, scales = in_blocks(padded.reshape(-1, config.block), config.bits)
    unsigned = (integers.astype(np.int16) + 2 ** (config.bits - 1)).astype(np.uint8)
    unsigned = unsigned.reshape(outputs, -1, config.block)
    if config.bits == 4:
        unsigned = unsigned[..., 0::2] | (unsigned[..., 1::2] << 4)
    return unsigned, scales.reshape(outputs, -1)


def _widened(editor: Editor, layer: Layer, config: QuantizeWeightsConfig) -> bool:
    """Stores integers and scales that become the weight when the file is loaded."""
    name = layer.initializer
    if name not in {item.name for item in editor.graph.graph.initializer}:
        return True  # shared with a layer that is done
    weight = editor.value(name)
    size = _block_size(weight[0].size, config.block)
    integers, scales = in_blocks(weight.reshape(-1, size), config.bits)
    kinds: Any = optional.require("ml_dtypes", for_=_FOR)
    dtype = kinds.int4 if config.bits == 4 else np.int8
    values = [
        editor.tensor(f"{name}.i", integers.astype(dtype)),
        editor.tensor(f"{name}.s", scales),
        editor.tensor(f"{name}.shape", np.array(weight.shape, np.int64)),
    ]
    nodes = [
        editor.make("Cast", [f"{name}.i"], f"{name}.f", to=_FLOAT),
        editor.make("Mul", [f"{name}.f", f"{name}.s"], f"{name}.m"),
        editor.make("Reshape", [f"{name}.m", f"{name}.shape"], name),
    ]
    return editor.compute_constant(name, values, nodes) > 0


def _block_size(length: int, wanted: int) -> int:
    """Returns the divisor of `length` nearest to `wanted` (as a ratio): blocks fill a row."""
    divisors = [size for size in range(1, length + 1) if length % size == 0]
    return min(divisors, key=lambda size: abs(np.log(size / wanted)))


PLUGIN = QuantizeWeights()
