"""Quantization-aware training: the network learns with the rounding of int8, then becomes int8.

Weights and the inputs of their layers are rounded in the forward pass; gradients pass straight
through inside the range (Jacob et al. 2018, arXiv:1712.05877; straight-through: Bengio et al. 2013,
arXiv:1308.3432). Weights are rounded symmetrically per output channel, so rounding before
BatchNorm's scale is the same as after it is folded in. The float weights that come out go through
`quantize_static`, with ranges calibrated on them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workbench.compression.method import GraphMethod, Restructured, StructureMethod
from workbench.compression.methods import quantize_static
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import onnx

    from workbench.compression import fine_tuning
    from workbench.compression.method import Edited
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
else:
    fine_tuning = lazy("workbench.compression.fine_tuning")

_FOR = "quantization-aware training"


class QatConfig(Config):
    """Options of `qat`."""

    bits: Literal[8] = Field(8, description="Bits of weights and activations")
    epochs: int = Field(4, ge=1, le=1000, description="Epochs of fine-tuning")
    lr: float = Field(5e-4, gt=0, le=1, description="Highest learning rate of the fine-tuning")
    samples: int = Field(256, ge=8, le=100_000, description="Training samples for the ranges")
    reduce_range: bool | None = Field(
        None, description="7-bit weights, against saturation; by default where there is no VNNI"
    )


class Qat(StructureMethod, GraphMethod):
    """See the module's docstring. It trains first, and edits the graph in its turn."""

    summary = "fine-tunes with int8 rounding in the forward pass, then quantizes statically"
    requires = ("torch", "onnx", "onnxruntime")
    produces = "int8"
    trains = True
    Config = QatConfig

    def supports(self, subject: Subject, config: QatConfig) -> str | None:
        """Needs the module, and what `quantize_static` needs."""
        reason = super().supports(subject, config)
        return reason or quantize_static.PLUGIN.supports(subject, _static(config))

    def change_structure(
        self, subject: Subject, layers: tuple[Layer, ...], config: QatConfig, tools: Tools
    ) -> Restructured:
        """Fine-tunes a copy of the module with rounding in `layers`; its shape stays."""
        rounding = optional.require("workbench.compression.rounding", for_=_FOR)
        learner = copy.deepcopy(subject.module)
        reduce = tools.cpu.saturates if config.reduce_range is None else config.reduce_range
        with rounding.rounded(learner, [layer.name for layer in layers], reduce_range=reduce):
            fine_tuning.fine_tune(
                learner, tools, config.epochs, config.lr, "training with int8 rounding"
            )
        module = copy.deepcopy(subject.module)
        module.load_state_dict(learner.state_dict())
        bits = "7-bit weights" if reduce else "8-bit weights"
        note = f"trained for {config.epochs} epochs with {bits} and 8-bit activations"
        return Restructured(module.eval(), {}, (note,))

    def rebuild(self, module: Any, history: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        """Returns a copy: the shape is the same."""
        return copy.deepcopy(module).eval()

    def change_graph(
        self, subject: Subject, layers: tuple[Layer, ...], config: QatConfig, tools: Tools
    ) -> onnx.ModelProto | Edited:
        """Quantizes `layers` as `quantize_static` does."""
        return quantize_static.PLUGIN.change_graph(subject, layers, _static(config), tools)


def _static(config: QatConfig) -> quantize_static.QuantizeStaticConfig:
    return quantize_static.QuantizeStaticConfig(
        bits=config.bits, samples=config.samples, reduce_range=config.reduce_range
    )


PLUGIN = Qat()
