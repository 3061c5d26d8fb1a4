"""The options of a training run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.core.errors import InputError
from workbench.engine.config import FitConfig


class TrainConfig(FitConfig):
    """What to train and how. `options` are the family's own knobs, checked by its `Config`."""

    family: str | None = Field(
        None, description="Family of the network; by default cnn for images, mlp for tables."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the family, such as width or hidden."
    )
    batch_size: int = Field(64, ge=1, description="Samples in a batch.")
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        None, description="Weight of each class in the loss; 'balanced' weighs rare ones more."
    )

    def fit_config(self) -> FitConfig:
        """Returns the part that the training loop reads."""
        return FitConfig(**{name: getattr(self, name) for name in FitConfig.model_fields})


def checked_class_weights(weights: tuple[float, ...], classes: int) -> tuple[float, ...]:
    """Returns `weights` if there is one, not negative, for each class.

    Raises:
        InputError: There are more or fewer, one is negative, or all are zero.
    """
    problems = []
    if len(weights) != classes:
        problems.append(f"got {len(weights)} weights for {classes} classes")
    problems += [f"weight {i} is {w}, not ≥ 0" for i, w in enumerate(weights) if not w >= 0]
    if not problems and not any(weights):
        problems.append("all weights are zero")
    if problems:
        raise InputError(
            "The class_weights are not valid.",
            problems=problems,
            hint="Give one weight a class in the order of the labels, or 'balanced'.",
        )
    return weights
