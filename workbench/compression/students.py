"""Students for distillation: which network, how large, and its way back from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.subject import Subject
from workbench.compression.tools import Tools
from workbench.core import optional
from workbench.core.batch import tensors
from workbench.core.config import Config, saved_config
from workbench.core.errors import InputError, UnsupportedError
from workbench.families import FAMILIES, Family
from workbench.tasks import TASKS

if TYPE_CHECKING:
    from torch import nn

_FOR = "distillation"
_WIDTHS = ("width", "hidden")
_DEPTHS = ("depth", "stages")
_ROUND_FROM, _ROUND_TO = 16, 4
_MOST_STAGES = 64
_SAMPLES = 512


def plan(subject: Subject, width: float, depth: float, family: str | None) -> dict[str, Any]:
    """Returns the saved config of the student's family: options of the model's, made smaller.

    Args:
        subject: The model.
        width: Share of channels and hidden units.
        depth: Share of layers.
        family: Key of another family; its default options are made smaller.

    Raises:
        UnsupportedError: There is no such student, and why.
    """
    own = dict(_family_of(subject) or {})
    key = family or own.get("kind")
    if not key:
        raise UnsupportedError(
            "The model belongs to no family of which a smaller network could be built.",
            hint="Name the student's, as in 'distill:0.5,family=cnn'.",
        )
    plugin = FAMILIES.get(key)
    reason = plugin.supports(_shape(subject), subject.description.task)
    if reason:
        raise UnsupportedError(reason)
    options = {k: v for k, v in own.items() if k not in {"kind", "version"}}
    config = FAMILIES.parse(key, options if own.get("kind") == key else {})
    smaller = _narrowed(config, width)
    if depth < 1:
        smaller = _shortened(key, plugin, smaller, depth, subject)
    if family is None and smaller == config:
        raise UnsupportedError(
            f"A network of family '{key}' cannot be made smaller than it is by width {width:g}.",
            hint="Name another family for the student, as in 'distill:0.5,family=mlp'.",
        )
    return saved_config(key, smaller)


def build(planned: Mapping[str, Any], subject: Subject, tools: Tools) -> nn.Module:
    """Returns a freshly initialised student, drawn from `tools.seed`, with its normalisation."""
    torch = optional.require("torch", for_=_FOR)
    with torch.random.fork_rng():
        torch.manual_seed(tools.seed)
        net = _network(planned, _shape(subject), _outputs(subject))
    return _normalized(net, subject.module, _statistics(subject, tools))


def rebuild(history: Mapping[str, Any], module: Any, shape: tuple[int, ...]) -> nn.Module:
    """Returns a student of the recorded form; its weights are loaded later.

    Args:
        history: `family` (saved config), `outputs`, and `statistics` as `record` gives them.
        module: The teacher.
        shape: Of one sample.
    """
    net = _network(history["family"], shape, history["outputs"])
    return _normalized(net, module, history["statistics"])


def record(planned: Mapping[str, Any], subject: Subject, tools: Tools) -> dict[str, Any]:
    """Returns what `rebuild` needs, JSON-able."""
    return {
        "family": dict(planned),
        "outputs": _outputs(subject),
        "statistics": _statistics(subject, tools),
    }


def parameters(module: nn.Module) -> int:
    """Returns how many values `module` learns."""
    return sum(part.numel() for part in module.parameters())


def _family_of(subject: Subject) -> Mapping[str, Any] | None:
    """Returns the family of the model as it is now: of its last student, or its own."""
    for row in reversed(subject.history):
        if "family" in row:
            found: Mapping[str, Any] = row["family"]
            return found
    return subject.description.family


def _narrowed(config: Config, share: float) -> Config:
    values = config.to_json()
    for name in _WIDTHS:
        value = values.get(name)
        if isinstance(value, int):
            values[name] = _part(value, share)
        elif isinstance(value, list):
            values[name] = [_part(item, share) for item in value]
    return type(config).parse(values, what="the student")


def _part(value: int, share: float) -> int:
    """Returns `share` of a width; a multiple of 4 where it is wide, which CPUs like."""
    part = value * share
    if part >= _ROUND_FROM:
        return min(value, max(_ROUND_TO, round(part / _ROUND_TO) * _ROUND_TO))
    return max(1, round(part))


def _shortened(key: str, family: Family, config: Config, share: float, subject: Subject) -> Config:
    values = config.to_json()
    hidden = values.get("hidden")
    if isinstance(hidden, list):
        kept = max(1, round(len(hidden) * share))
        return type(config).parse({**values, "hidden": hidden[:kept]}, what="the student")
    for name in _DEPTHS:
        if name in values:
            layers = values[name] or _stages(family, config, name, subject)
            for depth in range(round(layers * share), 0, -1):
                try:
                    return type(config).parse({**values, name: depth}, what="the student")
                except InputError:
                    continue
            raise UnsupportedError(
                f"There is no '{key}' with {share:g} of {layers} layers.",
                hint="Ask for less width instead, as in 'distill:0.25'.",
            )
    raise UnsupportedError(
        f"The family '{key}' has no depth to reduce.", hint="Leave 'depth' at 1."
    )


def _stages(family: Family, config: Config, name: str, subject: Subject) -> int:
    """Returns the number that an automatic depth stands for: the one that gives the same net."""
    torch = optional.require("torch", for_=_FOR)

    def shapes(made: Config) -> list[tuple[int, ...]]:
        with torch.device("meta"):
            net = family.build(made, _shape(subject), _outputs(subject))
        return [tuple(value.shape) for value in net.state_dict().values()]

    wanted = shapes(config)
    for count in range(1, _MOST_STAGES):
        explicit = type(config).parse({**config.to_json(), name: count}, what="the student")
        if shapes(explicit) == wanted:
            return count
    raise UnsupportedError(f"The model's '{name}' is automatic and could not be found out.")


def _network(planned: Mapping[str, Any], shape: tuple[int, ...], outputs: int) -> nn.Module:
    options = {k: v for k, v in planned.items() if k not in {"kind", "version"}}
    key = planned["kind"]
    return FAMILIES.get(key).build(FAMILIES.parse(key, options), shape, outputs)


def _statistics(subject: Subject, tools: Tools) -> dict[str, Any] | None:
    """Returns mean and spread of the training data where the teacher does not hold them."""
    if hasattr(subject.module, "mean") and hasattr(subject.module, "std"):
        return None
    (inputs,) = tensors(tools.train_inputs(_SAMPLES))
    found: dict[str, Any] = {"mean": float(inputs.mean()), "std": float(inputs.std())}
    targets = np.asarray(tools.data.train.targets)
    scale = TASKS.get(subject.description.task).scale(targets)
    if scale is not None:
        found |= {"target_mean": scale[0].tolist(), "target_std": scale[1].tolist()}
    return found


def _normalized(net: nn.Module, teacher: Any, statistics: Mapping[str, Any] | None) -> nn.Module:
    normalized = optional.require("workbench.families.network", for_=_FOR).Normalized
    if statistics is None:
        names = ("mean", "std", "target_mean", "target_std")
        values = [getattr(teacher, name, None) for name in names]
        wrapped: nn.Module = normalized(
            net, *(None if v is None else v.detach().numpy() for v in values)
        )
        return wrapped
    made: nn.Module = normalized(net, **statistics)
    return made


def _shape(subject: Subject) -> tuple[int, ...]:
    return tuple(int(size) for size in subject.description.signature.inputs[0].shape[1:])


def _outputs(subject: Subject) -> int:
    return int(subject.description.signature.outputs[0].shape[1])
