"""The options of a training run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from workbench.core.errors import InputError, did_you_mean
from workbench.engine.batch_size import affordable_batch
from workbench.engine.config import FitConfig
from workbench.families import FAMILIES

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
        None,
        ge=1,
        description="Samples in a batch; by default 64, fewer if samples are few or large.",
    )
    class_weights: Literal["balanced"] | tuple[float, ...] | None = Field(
        None, description="Weight of each class in the loss; 'balanced' weighs rare ones more."
    )
    standardize: bool = Field(
        True,
        description="Whether a module of one's own gets standardized inputs and learns "
        "standardized values, both inside the exported graph; False for one that was trained "
        "before.",
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

    def batch_size_for(self, samples: int, sample_shape: tuple[int, ...]) -> int:
        """Returns the batch size: as given, or 64, fewer if samples are few or large.

        Args:
            samples: Samples in the training split: at least 10 batches are made of them.
            sample_shape: Shape of one of them.
        """
        if self.batch_size is not None:
            return self.batch_size
        tenth = 1 << max(0, (samples // 10).bit_length() - 1)
        return affordable_batch(sample_shape, min(_LARGEST_BATCH, max(_SMALLEST_BATCH, tenth)))


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


def train_config(family: str | None, options: dict[str, Any]) -> TrainConfig:
    """Returns the checked config of a training; options it does not know go to the family.

    Raises:
        InputError: With every option that neither the training nor the family knows.
    """
    own = {k: v for k, v in options.items() if k in TrainConfig.model_fields}
    rest = {k: v for k, v in options.items() if k not in own}
    if family is None and rest:
        known = ", ".join(TrainConfig.model_fields)
        raise InputError(
            "Some options of train are not known.",
            problems=[f"'{name}'{did_you_mean(name, TrainConfig.model_fields)}" for name in rest],
            hint=f"Options: {known}; a family's own options need family=….",
        )
    options_of_family = {**own.pop("options", {}), **rest}
    problems: list[str] = []
    try:
        config = TrainConfig.parse(
            {**own, "family": family, "options": options_of_family}, what="train"
        )
    except InputError as error:
        problems += error.problems
    try:
        if family is not None:
            _check_family_options(family, options_of_family)
    except InputError as error:
        if not problems:
            raise
        problems += error.problems
    if problems:
        raise InputError("The options of train are not valid.", problems=problems)
    return config


def _check_family_options(family: str, options: dict[str, Any]) -> None:
    fields = FAMILIES.get(family).Config.model_fields
    known = [*TrainConfig.model_fields, *fields]
    unknown = [name for name in options if name not in fields]
    if unknown:
        raise InputError(
            f"Some options of train with family '{family}' are not known.",
            problems=[f"'{name}'{did_you_mean(name, known)}" for name in unknown],
            hint=f"Options: {', '.join(known)}.",
        )
    FAMILIES.parse(family, options)
