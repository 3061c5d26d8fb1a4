"""Does the exported file take other sizes of each free dimension, as the module does?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.core.batch import Batch, count, named, rows
from workbench.core.resizing import enlarged
from workbench.core.signature import TensorSpec, free_dimensions, free_sizes
from workbench.exporting.parity import TOLERANCE, ParityError, Predict, check_parity

_ROWS = 2
_FAILS = (RuntimeError, ValueError, IndexError, TypeError)


def check_sizes(
    reference: Predict,
    candidate: Predict,
    samples: Batch,
    specs: Sequence[TensorSpec],
    *,
    tolerance: float = TOLERANCE,
    what: str = "The exported ONNX file",
) -> tuple[str, ...]:
    """Compares two implementations on larger sizes of each free dimension, one after the other.

    Args:
        reference: A batch → outputs, usually the torch module.
        candidate: The same, usually an ONNX Runtime session.
        samples: Inputs that both answer alike at their own sizes.
        specs: What they are.
        tolerance: Allowed largest error, as in `check_parity`.
        what: Subject of the error message.

    Returns:
        Which dimensions could not be tried, since the module itself fails, each in a sentence.

    Raises:
        ParityError: The file takes or answers only one size, or answers differently; the message
            names the dimension.
    """
    notes = []
    few = rows(samples, np.arange(_ROWS) % count(samples))
    sizes = free_sizes(named(few, [spec.name for spec in specs]), specs)
    for dim in free_dimensions(specs):
        for size in (sizes[dim] + 1, 2 * sizes[dim] + 3):
            other = enlarged(few, specs, {dim: size})
            try:
                reference(other)
            except _FAILS as error:
                notes.append(f"'{dim}' = {size} is not proven: the model itself fails ({error})")
                break
            _compare(reference, candidate, other, f"'{dim}'", (sizes[dim], size), tolerance, what)
    return tuple(notes)


def _compare(
    reference: Predict,
    candidate: Predict,
    batch: Batch,
    dim: str,
    sizes: tuple[int, int],
    tolerance: float,
    what: str,
) -> None:
    try:
        check_parity(
            reference, candidate, batch, tolerance=tolerance, batch_sizes=(_ROWS,), what=what
        )
    except ParityError as error:
        raise _frozen(what, dim, sizes, (error.message, *error.problems)) from error
    except Exception as error:  # ONNX Runtime raises classes of its own
        raise _frozen(what, dim, sizes, (str(error).strip().split("\n")[0],)) from error


def _frozen(what: str, dim: str, sizes: tuple[int, int], problems: Sequence[str]) -> ParityError:
    return ParityError(
        f"{what} has the dimension {dim} frozen at {sizes[0]}: at {sizes[1]} it does not answer as "
        "the model does.",
        problems=problems,
        hint="Does the model take a size as a Python number, or loop over it? Use x.shape and "
        "tensor operations only.",
    )
