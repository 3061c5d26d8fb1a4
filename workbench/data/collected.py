"""What a source hands over: samples not yet decoded, their targets, and where each came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from workbench.core.records import Finding

Progress = Callable[[int, int, str], None]
"""Called with the number done, the total, and what is being done."""

UNDECIDED = -1
"""Part code of a sample that no given split names."""


@runtime_checkable
class Takes(Protocol):
    """Samples that can be picked together faster than one by one."""

    def take(self, indices: np.ndarray) -> Any:
        """Returns the samples at `indices`, again as samples."""


@dataclass(frozen=True)
class Collected:
    """Everything a source found.

    Attributes:
        modality: Key of the modality that decodes the samples.
        task: What is to be predicted.
        labels: Names of what is told apart; empty where values are predicted.
        samples: N raw values as a person would give them; files stay unread.
        targets: Shape (N, …), as the task stores them: indices into `labels`, values, ….
        place: Where sample i came from, in words: a file, a row.
        given: int8, shape (N,): 0 train, 1 val, 2 test, -1 undecided; None if no split is given.
        groups: Shape (N,): samples of one group stay in one split.
        time: Shape (N,), sortable: train is older than val, val older than test.
        shapes: int64, shape (N, 3): height, width, channels of images not yet decoded.
        problems: Bad places already seen; told together with those seen while decoding.
        findings: What was noticed so far.
        options: Options for the fit of the modality.
        remedy: What to do about problems, if there is more to say than to mend them.
    """

    modality: str
    task: str
    labels: tuple[str, ...]
    samples: Sequence[Any] | np.ndarray
    targets: np.ndarray
    place: Callable[[int], str]
    given: np.ndarray | None = None
    groups: np.ndarray | None = None
    time: np.ndarray | None = None
    shapes: np.ndarray | None = None
    problems: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""


class Reader(ABC):
    """One opened source. The fingerprint is cheap; collecting may be skipped when it is known."""

    name: str

    @abstractmethod
    def fingerprint(self, progress: Progress) -> str:
        """Returns the SHA-256 of everything that was given: each byte counts."""

    @abstractmethod
    def collect(self, progress: Progress) -> Collected:
        """Reads what was given.

        Raises:
            InputError: Nothing can be read; single bad places go to `Collected.problems`.
        """

    def close(self) -> None:  # noqa: B027 - most readers hold nothing
        """Lets go of scratch files."""


def take(samples: Any, indices: np.ndarray) -> Any:
    """Returns the samples at `indices`, as an array or a list."""
    if isinstance(samples, np.ndarray):
        return samples[indices]
    if isinstance(samples, Takes):
        return samples.take(indices)
    return [samples[int(index)] for index in indices]


def no_progress(done: int, total: int, note: str) -> None:
    """Takes progress and shows nothing."""
