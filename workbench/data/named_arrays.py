"""Arrays by name, of any type and each of its own shape: samples that are several tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.batch import Tensor
from workbench.core.errors import InputError
from workbench.core.signature import TensorSpec, dtype_name

KINDS = "buifU"
BATCH = "batch"
LENGTHS = "{}_lengths"
Column = Tensor | list[Tensor]
Axes = Mapping[str, Sequence[str | None]]
Place = Callable[[int], str]


class NamedArrays(Sequence[dict[str, Tensor]]):
    """N samples, held by tensor: an array (N, …), or a list of N arrays that differ in size.

    Args:
        columns: Arrays by name.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)

    def take(self, indices: np.ndarray) -> NamedArrays:
        """Returns the samples at `indices`."""
        return NamedArrays({name: _picked(c, indices) for name, c in self.columns.items()})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        return {name: np.asarray(column[index]) for name, column in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[index] for index in range(len(self)))


def as_column(name: str, values: Any, place: Place) -> tuple[Column, list[str]]:
    """Returns the arrays that were given for one tensor, and what is wrong with them.

    Arrays keep their type; numbers in lists, which have none, become float32, int64 or bool.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind in KINDS and values.ndim:
        return values, []
    if not isinstance(values, (list, tuple)) and not _is_object(values):
        got = f"{values.dtype}" if hasattr(values, "dtype") else type(values).__name__
        return [], [f"'{name}' is {got}; an array (N, …) or a list of N arrays is right"]
    items = [_item(value) for value in values]
    problems = _type_problems(name, items, place) or _rank_problems(name, items, place)
    if problems or not items:
        return items, problems
    items = [item.astype(np.result_type(*items), copy=False) for item in items]
    is_one_shape = len({item.shape for item in items}) == 1
    return (np.stack(items) if is_one_shape else items), []


def specs_of(columns: Mapping[str, Column], axes: Axes, place: Place) -> list[TensorSpec]:
    """Returns what the tensors are: an axis in which samples differ, or that has a name, is free.

    Args:
        columns: Arrays by name.
        axes: Names of the axes of one sample by tensor; None leaves an axis as it is.
        place: Where sample i came from.

    Raises:
        InputError: Names, sizes or axes are wrong; all of it at once.
    """
    problems = [*_name_problems(columns), *_axes_problems(columns, axes)]
    specs = [_spec(name, column, axes.get(name)) for name, column in columns.items()]
    problems += [p for name, column in columns.items() for p in _empty(name, column, place)]
    problems += _dimension_problems(specs, columns, place)
    if problems:
        raise InputError(
            f"The arrays have {len(problems)} problems; nothing was stored.",
            problems=problems[:1000],
            hint="Names are as in Python; axes={'x': ('time', None)} names the axes of one sample.",
        )
    return specs


def shapes_of(column: Column) -> Tensor:
    """Returns the shape of each sample, int64 (N, axes)."""
    if isinstance(column, np.ndarray):
        return np.broadcast_to(np.array(column.shape[1:], np.int64), (len(column), column.ndim - 1))
    return np.array([item.shape for item in column], np.int64).reshape(len(column), -1)


def _picked(column: Column, indices: np.ndarray) -> Column:
    if isinstance(column, np.ndarray):
        picked: Tensor = column[indices]
        return picked
    return [column[int(index)] for index in indices]


def _is_object(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "O" and values.ndim > 0


def _item(value: Any) -> Tensor:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return np.empty(0, object)
    is_typed = hasattr(value, "dtype")
    return array if is_typed or array.dtype != np.float64 else array.astype(np.float32)


def _type_problems(name: str, items: Sequence[Tensor], place: Place) -> list[str]:
    is_text = bool(items) and items[0].dtype.kind == "U"
    return [
        f"{place(i)}: '{name}' is {item.dtype}; numbers, truth values or texts are right, "
        "the same in all samples"
        for i, item in enumerate(items)
        if item.dtype.kind not in KINDS or (item.dtype.kind == "U") != is_text
    ]


def _rank_problems(name: str, items: Sequence[Tensor], place: Place) -> list[str]:
    usual = Counter(item.ndim for item in items).most_common(1)
    return [
        f"{place(i)}: '{name}' has shape {item.shape}; most have {usual[0][0]} axes"
        for i, item in enumerate(items)
        if item.ndim != usual[0][0]
    ]


def _name_problems(columns: Mapping[str, Column]) -> list[str]:
    return [
        f"{name!r} is no name of a tensor"
        for name in columns
        if not (isinstance(name, str) and name.isidentifier())
    ]


def _axes_problems(columns: Mapping[str, Column], axes: Axes) -> list[str]:
    problems = []
    for name, names in axes.items():
        if name not in columns:
            problems.append(f"axes names '{name}', which is none of the inputs")
        elif len(names) != shapes_of(columns[name]).shape[1]:
            count = shapes_of(columns[name]).shape[1]
            problems.append(f"axes has {len(names)} names for '{name}', a sample has {count} axes")
        problems += [
            f"axes calls an axis of '{name}' {dim!r}, which is no name for one"
            for dim in names
            if dim is not None and not (isinstance(dim, str) and dim.isidentifier())
        ]
        if BATCH in names:
            problems.append(f"axes calls an axis of '{name}' 'batch', as the samples are counted")
    return problems


def _spec(name: str, column: Column, names: Sequence[str | None] | None) -> TensorSpec:
    shapes = shapes_of(column)
    dims: list[int | str] = []
    for axis, sizes in enumerate(shapes.T):
        given = names[axis] if names is not None and axis < len(names) else None
        varies = bool((sizes != sizes[0]).any())
        dims.append(given or (f"{name}_{axis}" if varies else int(sizes[0])))
    first = column if isinstance(column, np.ndarray) else column[0]
    return TensorSpec(name, dtype_name(first), (BATCH, *dims))


def _empty(name: str, column: Column, place: Place) -> list[str]:
    shapes = shapes_of(column)
    return [
        f"{place(int(i))}: '{name}' has shape {tuple(shapes[i].tolist())}, which holds no value"
        for i in np.flatnonzero((shapes == 0).any(axis=1))
    ]


def _dimension_problems(
    specs: Sequence[TensorSpec], columns: Mapping[str, Column], place: Place
) -> list[str]:
    problems: list[str] = []
    known: dict[str, tuple[str, Tensor]] = {}
    for spec in specs:
        if spec.free and spec.dtype == "str":
            problems.append(f"'{spec.name}' holds texts in samples of different sizes")
        for axis, dim in spec.free.items():
            sizes = shapes_of(columns[spec.name])[:, axis - 1]
            first, before = known.setdefault(dim, (spec.name, sizes))
            problems += [
                f"{place(int(i))}: '{dim}' = {before[i]} in '{first}' and {sizes[i]} in "
                f"'{spec.name}'"
                for i in np.flatnonzero(before != sizes)
            ]
            if LENGTHS.format(dim) in columns:
                problems.append(
                    f"'{LENGTHS.format(dim)}' is what the lengths of '{dim}' are called; "
                    "give this input another name"
                )
    return problems
