"""Dense networks: affine layers on the flattened sample."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def dense(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    dropout: float = 0.0,
    activation: str = "relu",
) -> nn.Sequential:
    """Returns flatten, then affine layers with `activation` and dropout between them.

    Args:
        inputs: Values in one sample.
        hidden: Sizes of the hidden layers; none gives one affine layer.
        outputs: Values in one output.
        dropout: Share zeroed in training; without hidden layers it acts on the inputs.
        activation: "relu", "gelu" or "tanh".
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for size in hidden:
        layers += [nn.Linear(inputs, size), _ACTIVATIONS[activation](), *_dropout(dropout)]
        inputs = size
    if not hidden:
        layers += _dropout(dropout)
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share > 0 else []
