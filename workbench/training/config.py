"""The options of a training run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.core.errors import InputError
from workbench.engine.config import FitConfig

_SMALLEST_BATCH = 8
_LARGEST_BATCH = 64


class TrainConfig(FitConfig):
    """What to train and how. `options` are the family's own knobs, checked by its `Config`."""

    family: str | None = Field(
        None, description="Family of the network; by default cnn for images, mlp for tables."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the family, such as width or hidden."
    )
    batch_size: int | None = Field(
        None, ge=1, description="Samples in a batch; by default 64, fewer for small datasets."
    )
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        None, description="Weight of each class in the loss; 'balanced' weighs rare ones more."
    )

    def fit_config(self, rate: float | None = None) -> FitConfig:
        """Returns the part that the training loop reads.

        Args:
            rate: AdamW's learning rate if the user gave none; None leaves it to the loop.
        """
        values = {name: getattr(self, name) for name in FitConfig.model_fields}
        if self.lr is None and self.optimizer == "adamw":
            values["lr"] = rate
        return FitConfig(**values)

    def batch_size_for(self, samples: int) -> int:
        """Returns the batch size: as given, or a power of two from 8 to 64 with ≥ 10 batches."""
        if self.batch_size is not None:
            return self.batch_size
        tenth = 1 << max(0, (samples // 10).bit_length() - 1)
        return min(_LARGEST_BATCH, max(_SMALLEST_BATCH, tenth))


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
