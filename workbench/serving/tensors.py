"""Named tensors checked against a signature: every problem at once, with what would be right."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError
from workbench.core.signature import LENGTHS, Signature, TensorSpec
from workbench.serving.errors import NOT_FINITE, ModelError
from workbench.serving.jsonbody import shown
from workbench.serving.problems import MOST_TOLD, Problems
from workbench.serving.shapes import check_dims

_MAX_DEPTH = 32
_PACKED = {"float32": "f", "float64": "d"}


class TensorCheck:
    """Checks tensors against one signature: most of the time by a few comparisons.

    `rows` leaves it to `finite` to look at the values, which is done once for a whole batch.

    Args:
        signature: What they have to fit.

    Attributes:
        is_fixed: Whether tensors that fit differ in their number of rows alone.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._fitting: list[tuple[str, np.dtype[Any], tuple[int | str, ...]]] = []
        specs = signature.inputs
        self.is_fixed = bool(specs) and all(
            spec.is_batched
            and spec.dtype != "str"
            and all(isinstance(dim, int) for dim in spec.shape[1:])
            and spec.shape[0] == specs[0].shape[0]
            for spec in specs
        )
        if self.is_fixed:
            self._fitting = [(s.name, np.dtype(s.dtype), s.shape[1:]) for s in specs]

    def rows(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        """Returns the number of rows; see `check_tensors`, but values may be not finite."""
        if not self.is_fixed or len(inputs) != len(self._fitting):
            return check_tensors(self._signature, inputs)
        rows = 0
        for name, dtype, tail in self._fitting:
            value = inputs.get(name)
            if value is None or value.dtype != dtype or value.shape[1:] != tail:
                return check_tensors(self._signature, inputs)
            count = len(value)
            if not count or (rows and rows != count):
                return check_tensors(self._signature, inputs)
            rows = count
        return rows

    def finite(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Refuses tensors that fit but hold NaN or infinity; cheap for many rows at once.

        Raises:
            InputError: They do.
        """
        for value in inputs.values():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                check_tensors(self._signature, inputs)


def has_free_sizes(signature: Signature) -> bool:
    """Returns whether a sample's inputs may differ in size from another's."""
    return any(isinstance(dim, str) for spec in signature.inputs for dim in spec.shape[1:])


def check_tensors(signature: Signature, inputs: Mapping[str, NDArray[Any]]) -> int:
    """Returns the number of rows: the common first dimension, or 1 if the model takes no batch.

    Raises:
        InputError: A tensor is missing, unknown, of another dtype or shape, empty, or not finite.
    """
    problems = Problems()
    sizes: dict[str, int] = {}
    for spec in signature.inputs:
        value = inputs.get(spec.name)
        if value is not None:
            problems.add_all(_problems(spec, value, sizes))
    problems.add_all(_wrong_lengths(inputs, sizes))
    _note_names(inputs, signature, problems)
    if problems:
        raise input_error(problems, signature)
    first = signature.inputs[0] if signature.inputs else None
    return len(inputs[first.name]) if first is not None and first.is_batched else 1


def check_names(names: Collection[str], signature: Signature) -> None:
    """Checks that tensors are those of a model, by name.

    Raises:
        InputError: One is missing or unknown.
    """
    problems = Problems()
    _note_names(names, signature, problems)
    if problems:
        raise input_error(problems, signature)


def _note_names(names: Collection[str], signature: Signature, problems: Problems) -> None:
    known = {spec.name: spec for spec in signature.inputs}
    for name, spec in known.items():
        if name not in names:
            problems.add(f"{name}: missing; {describe(spec)} would be right")
    for name in names:
        if name not in known:
            near = problems.near(name, known)
            problems.add(f"{name[:60]}: the model has no such input{near}")


def input_error(problems: Problems | Sequence[str], signature: Signature) -> InputError:
    """Returns the error for tensors that do not fit, with the whole signature as the hint."""
    told = problems.told() if isinstance(problems, Problems) else problems
    takes = "; ".join(f"{spec.name}: {describe(spec)}" for spec in signature.inputs)
    return InputError(
        "The inputs do not fit the model.", problems=told, hint=f"The model takes {takes}."
    )


def first_few(
    what: str, items: Sequence[Any], specs: Sequence[TensorSpec], problems: Problems
) -> Sequence[Any]:
    """Returns as many of the tensors that a request names as can be right or are told.

    A model has each of its tensors once, so what comes behind these is wrong, whatever it is.
    """
    most = len(specs) + MOST_TOLD
    if len(items) <= most:
        return items
    problems.add(f"{what}: got {len(items)} tensors; the model has {len(specs)}, each goes once")
    return items[:most]


def check_output(
    name: Any, known: Sequence[str], seen: set[str], problems: Problems
) -> TypeGuard[str]:
    """Returns whether the model gives an output, asked for the first time; else notes it.

    Args:
        name: As asked for: anything.
        known: Names of the model's outputs.
        seen: Those asked for before; this one is added.
        problems: Told to the caller.
    """
    if not isinstance(name, str) or name not in known:
        near = problems.near(name, known) if isinstance(name, str) else ""
        gives = f"it gives {', '.join(known)}"
        problems.add(f"outputs: the model has no {shown(name)}{near}; {gives}")
        return False
    if name in seen:
        problems.add(f"outputs: {name} is given twice; once would be right")
        return False
    seen.add(name)
    return True


def describe(spec: TensorSpec) -> str:
    """Returns a tensor in words, as in "float32 [batch, 1, 8, 8]"."""
    return f"{spec.dtype} [{', '.join(str(dim) for dim in spec.shape)}]"


def as_tensor(data: Any, spec: TensorSpec, shape: Sequence[int] | None = None) -> NDArray[Any]:
    """Returns JSON values as an array of the signature's dtype; see `cast_to`.

    Args:
        data: Nested or flat lists, or an array of numbers.
        spec: The tensor it is meant for.
        shape: The shape announced for flat data; None takes the nesting as it is.

    Raises:
        InputError: Ragged, the wrong sort of values, or another count than the shape says.
    """
    if isinstance(data, np.ndarray):
        return _shaped(cast_to(data, spec), spec, shape)
    if shape is not None and spec.dtype in _PACKED and isinstance(data, list):
        packed = _pack(data, spec.dtype, shape)
        if packed is not None:
            return packed
    if spec.dtype == "str":
        array = _text_array(data, spec)
    else:
        array = cast_to(_number_array(data, spec), spec)
    return _shaped(array, spec, shape)


def _shaped(array: NDArray[Any], spec: TensorSpec, shape: Sequence[int] | None) -> NDArray[Any]:
    if shape is None:
        return array
    wanted = math.prod(shape)
    if array.size != wanted:
        raise InputError(
            f"{spec.name}: got {array.size} values for the shape {list(shape)}; "
            f"{wanted} would be right"
        )
    return array.reshape(shape)


def _pack(data: list[Any], dtype: str, shape: Sequence[int]) -> NDArray[Any] | None:
    """Returns flat, finite numbers in one pass; None if `data` needs a second look."""
    count = len(data)
    if math.prod(shape) != count:
        return None
    try:
        values = _packer(count, dtype).pack(*data)
    except (struct.error, OverflowError):
        return None
    return np.ndarray(shape, dtype, values)


@lru_cache(maxsize=64)
def _packer(count: int, dtype: str) -> struct.Struct:
    return struct.Struct(f"={count}{_PACKED[dtype]}")


def check_finite(name: str, value: NDArray[Any]) -> None:
    """Refuses to write an output as JSON that JSON cannot carry.

    Raises:
        ModelError: A value is NaN or infinite.
    """
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise ModelError(
            f"The output '{name}' holds values that are not finite (NaN or infinity), "
            "which JSON cannot carry.",
            hint="Ask for it as a binary tensor, or check the model on this input.",
            context=NOT_FINITE,
        )


def cast_to(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Returns `array` as the signature's dtype where nothing is lost in kind.

    Integers and booleans become floats, a float64 becomes a float32; a float never becomes an
    integer, nor a number one that does not fit.

    Raises:
        InputError: The kinds do not go together or a number is out of range.
    """
    if array.dtype == spec.dtype:
        return np.asarray(array, order="C")
    kind, wanted = array.dtype.kind, np.dtype(spec.dtype)
    allowed = {"f": "fiub", "i": "iu", "u": "iu", "b": "b"}.get(wanted.kind, "")
    if array.size and kind not in allowed:
        raise InputError(
            f"{spec.name}: got {_kind_in_words(kind)}; {_kind_in_words(wanted.kind)} would be right"
        )
    if wanted.kind in "iu" and array.size:
        bounds = np.iinfo(wanted)
        low, high = array.min(), array.max()
        if low < bounds.min or high > bounds.max:
            raise InputError(
                f"{spec.name}: got {low if low < bounds.min else high}; "
                f"{bounds.min} to {bounds.max} fit in {wanted}"
            )
    with np.errstate(over="ignore"):
        return array.astype(wanted)


def _number_array(data: Any, spec: TensorSpec) -> NDArray[Any]:
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{spec.name}: {_ragged(data)}") from error
    if array.dtype.kind in "OUS":
        raise InputError(f"{spec.name}: {_first_wrong(data)}")
    check_dims(array.ndim, spec.name)
    return array


def _text_array(data: Any, spec: TensorSpec) -> NDArray[Any]:
    array = np.asarray(data, dtype=object)
    check_dims(array.ndim, spec.name)
    for value in array.flat:
        if not isinstance(value, str):
            raise InputError(f"{spec.name}: got {shown(value)}; text would be right")
    return array


def _ragged(data: Any) -> str:
    if isinstance(data, list) and data:
        lengths = [len(item) if isinstance(item, list) else None for item in data]
        odd = next((i for i, n in enumerate(lengths) if n != lengths[0]), None)
        if odd is not None:
            got = "a number" if lengths[odd] is None else f"{lengths[odd]} values"
            first = "a number" if lengths[0] is None else f"{lengths[0]}"
            return f"ragged: row {odd} has {got}, row 0 has {first}; equal rows would be right"
    return "ragged: the nested lists have different lengths; equal ones would be right"


def _first_wrong(data: Any, place: str = "") -> str:
    if place.count("[") > _MAX_DEPTH:
        return f"got lists nested deeper than {_MAX_DEPTH}; the model's shape would be right"
    if isinstance(data, list):
        for index, item in enumerate(data):
            found = _first_wrong(item, f"{place}[{index}]")
            if found:
                return found
        return ""
    if isinstance(data, (int, float)):
        return ""
    return f"got {shown(data)} at {place or 'the top'}; a number would be right"


def _wrong_lengths(inputs: Mapping[str, NDArray[Any]], sizes: Mapping[str, int]) -> Iterator[str]:
    """Yields what is wrong with tensors that tell the true sizes of a free dimension."""
    for dim, size in sizes.items():
        told = inputs.get(LENGTHS.format(dim))
        if told is None or told.dtype.kind not in "iu" or not told.size:
            continue
        low, high = int(told.min()), int(told.max())
        if low < 1 or high > size:
            yield (
                f"{LENGTHS.format(dim)}: got {low if low < 1 else high}; 1 to {size} would be "
                f"right, since {dim} = {size}"
            )


def _problems(spec: TensorSpec, value: NDArray[Any], sizes: dict[str, int]) -> list[str]:
    problems: list[str] = []
    if value.dtype != spec.dtype and not (spec.dtype == "str" and value.dtype.kind in "OU"):
        problems.append(f"{spec.name}: got {value.dtype}; {spec.dtype} would be right")
    fits, others = _fits(spec, value.shape, sizes)
    if not fits:
        wanted = ", ".join(str(others.get(str(dim), dim)) for dim in spec.shape)
        why = "".join(f", since {dim} = {size} in another input" for dim, size in others.items())
        problems.append(
            f"{spec.name}: got shape {list(value.shape)}; [{wanted}] would be right{why}"
        )
    elif not value.size:
        problems.append(
            f"{spec.name}: got no values (shape {list(value.shape)}); "
            "sizes of at least 1 would be right"
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        count = int(value.size - np.count_nonzero(np.isfinite(value)))
        where = np.argwhere(~np.isfinite(value))[0].tolist()
        problems.append(
            f"{spec.name}: {count} of {value.size} values are not finite (NaN or infinity), "
            f"the first at {where}; finite numbers would be right"
        )
    return problems


def _fits(
    spec: TensorSpec, shape: Sequence[int], sizes: dict[str, int]
) -> tuple[bool, dict[str, int]]:
    """Returns whether a shape fits, and the symbolic sizes that another input has otherwise.

    A symbolic size met for the first time is noted in `sizes`.
    """
    fits = len(shape) == len(spec.shape)
    others: dict[str, int] = {}
    for got, dim in zip(shape, spec.shape, strict=False):
        if isinstance(dim, int):
            fits = fits and got == dim
        elif sizes.setdefault(dim, got) != got:
            others[dim] = sizes[dim]
    return fits and not others, others


def _kind_in_words(kind: str) -> str:
    return {"f": "fractions", "i": "whole numbers", "u": "whole numbers", "b": "true or false"}.get(
        kind, "text"
    )
