"""What a metric is: one number from outputs and targets."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from workbench.core.plugins import Plugin
from workbench.core.records import Task


class Metric(Plugin):
    """Base of every metric. NumPy only.

    Attributes:
        task: The task it judges.
        higher_is_better: Whether a larger value is a better model.
        mean_of_hits: Whether it is the share of samples that are right, so that two models can be
            compared sample by sample.
    """

    task: ClassVar[Task]
    higher_is_better: ClassVar[bool] = True
    mean_of_hits: ClassVar[bool] = False

    def supports(self, task: Task) -> str | None:
        """Returns why models of this task cannot be judged; None if they can."""
        if task == self.task:
            return None
        return f"{self.key} judges {self.task}, the model does {task}."

    @abstractmethod
    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the metric over all samples.

        Args:
            outputs: float [N, classes] (logits or probabilities), or values [N] or [N, 1].
            targets: int64 [N] class indices, or float32 [N] values.

        Raises:
            InputError: The shapes do not fit together.
        """
