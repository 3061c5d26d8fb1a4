"""What a metric is: one number from outputs and targets, and what there is to know of it."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from workbench.core.plugins import Plugin


class Metric(Plugin):
    """Base of every metric. NumPy only.

    Attributes:
        tasks: Keys of the tasks it judges.
        labeled: Whether it judges labels or values; None for both.
        higher_is_better: Whether a larger value is a better model.
        bounds: Smallest and largest value there can be.
        is_share: Whether it is a share, shown in percent and points.
    """

    tasks: ClassVar[tuple[str, ...]]
    labeled: ClassVar[bool | None] = None
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    is_share: ClassVar[bool] = False

    def supports(self, task: str, *, labeled: bool) -> str | None:
        """Returns why models of this task cannot be judged; None if they can."""
        if task not in self.tasks:
            return f"{self.key} judges {' and '.join(self.tasks)}, the model does {task}."
        if self.labeled is not None and self.labeled != labeled:
            words = ("labels", "values") if self.labeled else ("values", "labels")
            return f"{self.key} judges {words[0]}, the model answers {words[1]}."
        return None

    @abstractmethod
    def compute(self, outputs: NDArray[np.floating], targets: NDArray[Any]) -> float:
        """Returns the metric over all samples.

        Args:
            outputs: float [N, …], the model's first output: [N, classes] logits or probabilities,
                values [N], [N, 1] or [N, k], or either of them at every place.
            targets: N stored targets of the task.

        Raises:
            InputError: The shapes do not fit together.
        """

    def hits(
        self, outputs: NDArray[np.floating], targets: NDArray[Any]
    ) -> NDArray[np.bool_] | None:
        """Returns which samples are right [N], if the metric is their share; else None.

        Two models can then be compared sample by sample.
        """
        return None

    def chance(self, targets: NDArray[Any]) -> float | None:
        """Returns the score of the best answer that is always the same; None if it can be worse."""
        return None

    def unit(self, targets: NDArray[Any]) -> float:
        """Returns what counts as one whole, of which a point is a hundredth: 1 for shares."""
        return 1.0
