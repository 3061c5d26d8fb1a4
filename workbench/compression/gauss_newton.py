"""Gauss-Newton projections: a first answer for any change of weights, from one backward pass.

The loss changes by about ½ Δwᵀ Jᵀ S J Δw, where J is the Jacobian of the outputs and S the task's
covariance of them (Schraudolph 2002, doi:10.1162/08997660260028683). With v = S^½ r for random r,
one vector Jᵀv a sample turns that into a square of dot products, unbiased over r.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compression.batch_norm import with_state
from workbench.compression.sensitivity import TEMPERATURE
from workbench.core import optional
from workbench.core.batch import Batch, count, each, tensors
from workbench.core.module_call import OUTPUT, call, named_outputs
from workbench.tasks import TASKS

if TYPE_CHECKING:
    from workbench.compression.subject import Layer, Subject
    from workbench.core.records import Description

_FOR = "Gauss-Newton projections"
_PLANE = 4


class Projections:
    """Per-sample gradients of a random projection of the outputs, by layer.

    Args:
        subject: The model; needs its module.
        layers: Layers with one initializer each.
        inputs: Samples [N, …].
        outputs: The model's outputs on them.
        seed: For the projection.
    """

    def __init__(
        self,
        subject: Subject,
        layers: Sequence[Layer],
        inputs: Batch,
        outputs: np.ndarray,
        seed: int = 0,
    ) -> None:
        self._scale = 1.0 / np.sqrt(count(inputs))
        self._vectors = _random_vectors(subject.description, outputs, seed)
        self._gradients = _gradients(subject, layers, inputs, self._vectors)

    def __contains__(self, layer: object) -> bool:
        return layer in self._gradients

    def feature(self, layer: str, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """Returns the projection [N] of a change of weight and bias, as the file has them."""
        by_weight, by_bias, is_flipped = self._gradients[layer]
        rows = weight.T if is_flipped else weight
        change = by_weight @ rows.ravel()
        if bias is not None:
            change = change + by_bias @ bias.ravel()
        return np.asarray(change * self._scale, np.float32)

    def of_outputs(self, change: np.ndarray) -> np.ndarray:
        """Returns the projection [N] of a known change of the outputs [M, C], M ≥ N."""
        flat = change[: len(self._vectors)].reshape(len(self._vectors), -1)
        return np.asarray((flat * self._vectors).sum(axis=1) * self._scale, np.float32)


def _random_vectors(about: Description, outputs: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = TASKS.get(about.task).probes(outputs, about.output, TEMPERATURE, rng)
    return np.asarray(vectors.reshape(len(outputs), -1), np.float32)


def _gradients(
    subject: Subject, layers: Sequence[Layer], inputs: Batch, vectors: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, bool]]:
    torch = optional.require("torch", for_=_FOR)
    twin = with_state(subject.module, subject.state)
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    parts = dict(twin.named_modules())
    seen: dict[str, Any] = {}
    made: dict[str, Any] = {}
    known = [layer for layer in layers if _is_known(parts.get(layer.name))]
    for layer in known:
        parts[layer.name].register_forward_pre_hook(_keeper(seen, layer.name))
        parts[_last(subject, layer)].register_forward_hook(_output_keeper(made, layer.name))
    given: Any = each(lambda array: torch.from_numpy(np.ascontiguousarray(array)), inputs)
    sources: Sequence[Any] = tensors(given)
    for source in sources:
        source.requires_grad_(source.is_floating_point())
    answers = named_outputs(call(twin, given))[OUTPUT].reshape(count(inputs), -1)
    known = [layer for layer in known if layer.name in seen and layer.name in made]
    known = [layer for layer in known if made[layer.name].requires_grad]
    names = [layer.name for layer in known]  # attention reads its last weight without a call
    found = torch.autograd.grad(
        (answers * torch.from_numpy(vectors)).sum(), [made[name] for name in names]
    )
    slopes = dict(zip(names, found, strict=True))
    return {
        layer.name: (
            *_products(parts[layer.name], seen[layer.name], slopes[layer.name]),
            _is_flipped(subject, layer),
        )
        for layer in known
    }


def _is_known(part: Any) -> bool:
    nn = optional.require("torch.nn", for_=_FOR)
    if isinstance(part, nn.Conv2d):
        return bool(part.groups == 1 and part.padding_mode == "zeros" and part.padding != "same")
    return isinstance(part, nn.Linear)


def _last(subject: Subject, layer: Layer) -> str:
    """Returns the module whose output is that of the folded operator."""
    norm = subject.fold_map.rules[layer.initializer].batch_norm
    return layer.name if norm is None else norm.name


def _is_flipped(subject: Subject, layer: Layer) -> bool:
    return subject.fold_map.rules[layer.initializer].kind == "transpose"


def _keeper(kept: dict[str, Any], name: str) -> Any:
    def keep(part: Any, args: Any) -> None:
        kept[name] = args[0].detach()

    return keep


def _output_keeper(kept: dict[str, Any], name: str) -> Any:
    def keep(part: Any, args: Any, output: Any) -> Any:
        kept[name] = output
        return output.clone()  # a later in-place operator must not touch what is kept

    return keep


def _products(part: Any, values: Any, slopes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns each sample's gradient of weight [N, size] and bias [N, out]."""
    torch = optional.require("torch", for_=_FOR)
    if values.ndim == _PLANE and hasattr(part, "kernel_size"):
        unfold = optional.require("torch.nn.functional", for_=_FOR).unfold
        rows = unfold(values, part.kernel_size, part.dilation, part.padding, part.stride)
        flat = slopes.flatten(2)
    else:
        rows = values.reshape(len(values), -1, values.shape[-1]).transpose(1, 2)
        flat = slopes.reshape(len(slopes), -1, slopes.shape[-1]).transpose(1, 2)
    by_weight = torch.bmm(flat, rows.transpose(1, 2)).flatten(1)
    return np.asarray(by_weight), np.asarray(flat.sum(dim=2))
