"""Does the exported file answer as the torch module does? A gate that fails loudly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.core.batch import Batch, count, rows, tensors
from workbench.core.errors import InputError, WorkbenchError

BATCH_SIZES = (1, 2, 7, 32)
TOLERANCE = 1e-4
_BATCH_HINT = "Does the model reshape with a fixed batch size? Use x.shape[0] or flatten(1)."

Predict = Callable[[Any], Any]
"""A batch → the output of N rows, or several by name."""


class ParityError(WorkbenchError):
    """The exported file answers differently from the model it came from."""

    code = "parity"


@dataclass(frozen=True)
class Parity:
    """How far two implementations of one model were apart.

    Attributes:
        max_error: Largest absolute difference of any output.
        scale: Largest absolute output of the reference, at least 1; errors are judged against it.
            Of several outputs, that with the largest share of error counts.
        tolerance: Allowed `max_error / scale`.
        samples: Inputs compared.
        batch_sizes: Sizes of the batches they came in.
    """

    max_error: float
    scale: float
    tolerance: float
    samples: int
    batch_sizes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON-able values."""
        return {**asdict(self), "batch_sizes": list(self.batch_sizes)}


def check_parity(
    reference: Predict,
    candidate: Predict,
    samples: Batch,
    *,
    tolerance: float = TOLERANCE,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    what: str = "The exported ONNX file",
) -> Parity:
    """Compares two implementations on several batches of several sizes, 1 among them.

    Args:
        reference: A batch → one output or several in order, usually the torch module.
        candidate: The same, usually an ONNX Runtime session.
        samples: Inputs, N rows; used again from the start when there are too few.
        tolerance: Allowed largest error, relative to the largest reference output (at least 1).
        batch_sizes: Sizes to try.
        what: Subject of the error message.

    Raises:
        ParityError: Shapes differ, an output is not a number, or the error is too large; names the
            sample, both answers and the error.
    """
    if not count(samples):
        raise InputError("There are no samples to compare; at least one would be right.")
    errors, scales = defaultdict[int, float](float), defaultdict[int, float](lambda: 1.0)
    for indices in _batches(count(samples), batch_sizes):
        batch = rows(samples, indices)
        pairs = output_pairs(reference(batch), candidate(batch), what)
        for output, (expected, got) in enumerate(pairs):
            _check_shapes(expected, got, len(indices), what)
            scales[output] = max(scales[output], _scale(expected))
            error = _check_values(expected, got, tolerance * scales[output], indices, what)
            errors[output] = max(errors[output], error)
    worst = max(errors, key=lambda output: errors[output] / scales[output])
    sizes = tuple(batch_sizes)
    return Parity(errors[worst], scales[worst], tolerance, sum(sizes), sizes)


def output_pairs(expected: Batch, got: Batch, what: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the outputs of two implementations side by side.

    Raises:
        ParityError: One has more than the other.
    """
    wanted, found = tensors(expected), tensors(got)
    if len(wanted) != len(found):
        raise ParityError(f"{what} gives {len(found)} outputs; the model gives {len(wanted)}.")
    return list(zip(wanted, found, strict=True))


def _scale(expected: np.ndarray) -> float:
    finite = expected[np.isfinite(expected)].astype(np.float64)
    return float(np.abs(finite).max(initial=0.0))


def _check_values(
    expected: np.ndarray, got: np.ndarray, allowed: float, indices: np.ndarray, what: str
) -> float:
    """Returns the largest error."""
    errors = _errors(expected, got)
    row = int(errors.argmax())
    if not errors[row] <= allowed:
        raise _failure(
            what, expected[row], got[row], float(errors[row]), allowed, int(indices[row]),
            len(indices),
        )  # fmt: skip
    return float(errors.max())


def _batches(count: int, batch_sizes: Sequence[int]) -> Iterator[np.ndarray]:
    start = 0
    for size in batch_sizes:
        yield np.arange(start, start + size) % count
        start += size


def _errors(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        difference = np.abs(expected.astype(np.float64) - got.astype(np.float64))
    difference = np.where(np.isnan(difference), np.inf, difference)
    return np.asarray(difference.reshape(len(expected), -1).max(axis=1, initial=0.0))


def _check_shapes(expected: np.ndarray, got: np.ndarray, size: int, what: str) -> None:
    if len(expected) != size:
        raise ParityError(
            f"The model gives {len(expected)} answers for a batch of {size}; "
            "one for each sample would be right.",
            hint=_BATCH_HINT,
        )
    if expected.shape != got.shape:
        raise ParityError(
            f"{what} gives outputs of shape {got.shape} for a batch of {size}; "
            f"the model gives {expected.shape}.",
            hint=_BATCH_HINT,
        )


def _failure(
    what: str,
    expected: np.ndarray,
    got: np.ndarray,
    error: float,
    allowed: float,
    sample: int,
    size: int,
) -> ParityError:
    return ParityError(
        f"{what} answers differently from the model: error {error:.3g} at sample {sample} "
        f"(batch of {size}), allowed {allowed:.3g}.",
        problems=[
            f"model: {np.array2string(expected.ravel()[:8], precision=5)}",
            f"file: {np.array2string(got.ravel()[:8], precision=5)}",
        ],
        hint="Does the model branch on values, use random numbers, or keep state between calls?",
        context={"max_error": error if np.isfinite(error) else None, "sample": sample},
    )
