"""Structured pruning: whole channels go, with all that depends on them, then a short fine-tuning.

Dependencies are followed by torch-pruning (Fang et al. 2023, DepGraph, arXiv:2301.12900); a group
of channels is worth the L2 norm of its weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from workbench.compression.method import Restructured, StructureMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.errors import UnsupportedError
from workbench.core.lazy import lazy
from workbench.exporting.quiet import quiet

if TYPE_CHECKING:
    from torch import nn

    from workbench.compression import fine_tuning
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
else:
    fine_tuning = lazy("workbench.compression.fine_tuning")

_FOR = "structured pruning"
_TRACED_BATCH = 2
_WIDE, _MEDIUM = 32, 16
_HALF = 0.5  # of a channel, so that products of fractions do not fall below a whole number


class PruneStructuredConfig(Config):
    """Options of `prune_structured`."""

    amount: float = Field(gt=0, lt=1, description="Fraction of each layer's channels removed")
    epochs: int = Field(4, ge=0, le=1000, description="Epochs of fine-tuning afterwards")
    lr: float = Field(2e-3, gt=0, le=1, description="Highest learning rate of the fine-tuning")
    round_to: int | None = Field(
        None, ge=1, le=64, description="Keep multiples of this; by default 8, 4 or 1 by width"
    )


class PruneStructured(StructureMethod):
    """See the module's docstring."""

    summary = "removes whole channels and fine-tunes; smaller and faster on any hardware"
    requires = ("torch", "torch_pruning")
    trains = True
    Config = PruneStructuredConfig

    def supports(self, subject: Subject, config: PruneStructuredConfig) -> str | None:
        """Needs the module, and a layer besides the last."""
        reason = super().supports(subject, config)
        if reason is None and len(subject.layers) < 2:
            return "the model has one layer, whose channels are its outputs"
        return reason

    def change_structure(
        self,
        subject: Subject,
        layers: tuple[Layer, ...],
        config: PruneStructuredConfig,
        tools: Tools,
    ) -> Restructured:
        """Prunes a copy of the module and fine-tunes it on the train split."""
        module = copy.deepcopy(subject.module).eval()
        before = _width(module)
        rows = _prune(module, subject, layers, config)
        if not rows:
            raise UnsupportedError(
                f"prune_structured:{config.amount} removes no channel of this model.",
                hint="The layers are too narrow; ask for more, or for round_to=1.",
            )
        _remember(module, subject.module, rows)
        fine_tuning.fine_tune(
            module, tools, config.epochs, config.lr, "fine-tuning the pruned network"
        )
        note = f"{before} → {_width(module)} channels, fine-tuned for {config.epochs} epochs"
        return Restructured(module.eval(), {"pruned": rows}, (note,))

    def kept(self, subject: Subject, config: PruneStructuredConfig) -> float | None:
        """Counts the parameters of a copy whose channels are removed."""
        module = copy.deepcopy(subject.module).eval()
        before = _parameters(module)
        _prune(module, subject, subject.layers, config)
        return _parameters(module) / before

    def rebuild(self, module: Any, history: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        """Replays the removal of channels on a copy of `module`."""
        torch = optional.require("torch", for_=_FOR)
        pruning = optional.require("torch_pruning", for_=_FOR)
        twin = copy.deepcopy(module).eval()
        graph = pruning.DependencyGraph().build_dependency(
            twin, example_inputs=torch.zeros(_TRACED_BATCH, *shape)
        )
        graph.load_pruning_history([tuple(row) for row in history["pruned"]])
        _remember(twin, module, history["pruned"])
        return twin


def _prune(
    module: nn.Module,
    subject: Subject,
    layers: tuple[Layer, ...],
    config: PruneStructuredConfig,
) -> list[Any]:
    torch = optional.require("torch", for_=_FOR)
    pruning = optional.require("torch_pruning", for_=_FOR)
    shape = subject.description.signature.inputs[0].shape[1:]
    kept = _ignored(module, subject, layers)
    chosen = [part for part in _prunable(module) if part not in kept]
    multiple = config.round_to or _round_to(chosen)
    try:
        with quiet():
            pruner = pruning.pruner.BasePruner(
                module,
                torch.zeros(_TRACED_BATCH, *shape),
                importance=pruning.importance.GroupMagnitudeImportance(p=2),
                pruning_ratio=config.amount,
                pruning_ratio_dict=_capped(chosen, config.amount, multiple),
                ignored_layers=kept,
                round_to=multiple,
            )
            pruner.step()
            history = pruner.DG.pruning_history()
            module(torch.zeros(_TRACED_BATCH, *shape))
    except Exception as error:
        raise UnsupportedError(
            f"The channels of this model cannot be removed: {error}",
            hint="torch-pruning must be able to follow them; try 'prune' or 'quantize_static'.",
        ) from error
    return [[str(name), bool(out), [int(i) for i in rows]] for name, out, rows in history]


def _ignored(module: nn.Module, subject: Subject, layers: tuple[Layer, ...]) -> list[Any]:
    """Returns the layers that stay: those not asked for, and those that give the outputs."""
    parts = dict(module.named_modules())
    wanted = {layer.name for layer in layers}
    outputs = subject.description.signature.outputs[0].shape[-1]
    placed = [layer for layer in subject.layers if layer.node] or subject.layers
    last = placed[-1].name
    return [
        part
        for name, part in parts.items()
        if any(part is one for one in _prunable(module))
        and (name not in wanted or name == last or _channels(part) == outputs)
    ]


def _prunable(module: nn.Module) -> Iterator[Any]:
    nn = optional.require("torch.nn", for_=_FOR)
    conv = optional.require("torch.nn.modules.conv", for_=_FOR)._ConvNd
    for part in module.modules():
        if isinstance(part, conv | nn.Linear):
            yield part


def _channels(part: Any) -> int:
    return int(getattr(part, "out_channels", 0) or part.out_features)


def _width(module: nn.Module) -> int:
    return sum(_channels(part) for part in _prunable(module))


def _parameters(module: nn.Module) -> int:
    return sum(part.numel() for part in module.parameters())


def _round_to(parts: list[Any]) -> int:
    """Returns 8 where every layer has channels to spare: narrower widths run slower on CPUs."""
    narrowest = min((_channels(part) for part in parts), default=1)
    if narrowest >= _WIDE:
        return 8
    return 4 if narrowest >= _MEDIUM else 1


def _capped(parts: list[Any], amount: float, multiple: int) -> dict[Any, float]:
    """Returns lower amounts for narrow layers, which else would be left whole.

    torch-pruning rounds what is kept down to the multiple, and leaves a layer alone that would
    lose all its channels by that.
    """
    widths = {part: _channels(part) for part in parts}
    return {
        part: max(0.0, 1 - (multiple + _HALF) / width)
        for part, width in widths.items()
        if int(width * (1 - amount)) < multiple
    }


def _remember(module: Any, before: Any, rows: list[Any]) -> None:
    if hasattr(before, "pruning_history"):
        module.pruning_history = [*before.pruning_history, *rows]


PLUGIN = PruneStructured()
