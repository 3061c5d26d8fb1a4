"""The base of transforms: what is done to training batches so that less data teaches more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from workbench.core.plugins import Plugin


class Transform(Plugin):
    """Changes a training batch at random, by the generator given and nothing else.

    Attributes:
        modalities: Keys of the modalities whose batches it can change.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    @abstractmethod
    def apply(self, inputs: np.ndarray, rng: np.random.Generator, config: Any) -> np.ndarray:
        """Returns a changed copy of `inputs`, same shape and dtype.

        Args:
            inputs: float32, shape (n, channels, height, width).
            rng: The only source of randomness.
            config: An instance of this transform's `Config`.
        """

    def allowed(self, labels: Sequence[str], config: Any) -> tuple[str, ...]:
        """Returns the labels whose samples may be changed; by default all."""
        return tuple(labels)
