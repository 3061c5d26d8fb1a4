"""What a method may use besides the model: data, calibration, CPU, progress. Nothing global."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.core.batch import Batch
from workbench.runtime.cpu import Cpu
from workbench.store import Context

if TYPE_CHECKING:
    import onnx

Ranges = Mapping[str, tuple[float, float]]


class Split(Protocol):
    """The part of a data split that compression uses."""

    def __len__(self) -> int:
        """Returns the number of samples."""
        ...

    @property
    def targets(self) -> np.ndarray:
        """All targets."""
        ...

    def batch(self, indices: Any) -> tuple[Batch, np.ndarray]:
        """Returns prepared inputs [n, …], not augmented, and targets."""
        ...

    def batches(
        self, batch_size: int, *, seed: int | None = None
    ) -> Iterator[tuple[Batch, np.ndarray]]:
        """Returns batches; in order if `seed` is None, else shuffled (and augmented on train)."""
        ...


class Data(Protocol):
    """The part of a dataset that compression uses."""

    @property
    def train(self) -> Split:
        """Calibration, BatchNorm statistics and fine-tuning."""
        ...

    @property
    def val(self) -> Split:
        """Scores."""
        ...

    @property
    def test(self) -> Split:
        """For confirming what was chosen, never for choosing; may be empty."""
        ...

    @property
    def task(self) -> Any:
        """What is predicted: classification or regression."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes with any byte of the data."""
        ...


class Calibrates(Protocol):
    """Gives activation ranges."""

    def ranges(
        self, graph: onnx.ModelProto, structure: str, *, kind: str, percentile: float, samples: int
    ) -> Ranges:
        """Returns (low, high) of each float tensor of `graph` over training samples."""
        ...


@dataclass(frozen=True)
class Tools:
    """See the module's docstring.

    Attributes:
        data: Train and validation splits.
        context: Progress, stop and pause.
        cpu: The CPU the variant is made for.
        calibrator: Activation ranges, remembered.
        seed: For everything random.
        loss: Of outputs and targets, for fine-tuning; None means that of the task.
    """

    data: Data
    context: Context
    cpu: Cpu
    calibrator: Calibrates
    seed: int = 0
    loss: Any = None

    def train_inputs(self, count: int) -> Batch:
        """Returns `count` training inputs (or all there are), spread evenly over the split."""
        return spread(self.data.train, count)


def spread(split: Split, count: int) -> Batch:
    """Returns `count` prepared inputs spread evenly over `split` [count, …]."""
    total = len(split)
    indices = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    return split.batch(np.unique(indices))[0]
