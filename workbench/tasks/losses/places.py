"""What is lost at every place: by class indices where targets are whole numbers, else by values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.core.errors import InputError
from workbench.tasks.losses.labels import CrossEntropy
from workbench.tasks.losses.values import SquaredError


class AtPlaces:
    """Cross-entropy of class indices [N, *places], squared error of values [N, k, *places].

    Args:
        class_weights: Weight of each class; None weighs all alike.
        label_smoothing: Share of the target spread evenly over all classes.
        target_std: Spread of values.
    """

    def __init__(
        self, class_weights: Sequence[float] | None, label_smoothing: float, target_std: Any
    ) -> None:
        self._has_options = class_weights is not None or label_smoothing > 0
        self._of_classes = CrossEntropy(class_weights, label_smoothing)
        self._of_values = SquaredError(target_std)

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean over samples and places.

        Raises:
            InputError: Options for classes were given, and the targets are values.
        """
        if not targets.dtype.is_floating_point:
            return self._of_classes(outputs, targets)
        if self._has_options:
            raise InputError(
                "The targets are values, not classes.",
                hint="Leave class_weights and label_smoothing out: they are for classes.",
            )
        return self._of_values(outputs, targets)
