"""Rows of a table, by column name or in order → float32 features. No pandas, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError, did_you_mean
from workbench.core.records import Finding
from workbench.data.cells import LARGEST
from workbench.data.chunks import StoredArray, chunks
from workbench.data.columns import (
    Column,
    encode,
    example_cell,
    feature_names,
    is_indicator,
    scales,
)
from workbench.data.columns_fit import clean_column, fit_column
from workbench.data.modality import ExampleSamples, Normalizing, Sketch, cannot_be_read
from workbench.data.rows import Rows, frame_columns, is_frame
from workbench.data.sketches import row_sketch


class TableConfig(Config):
    """Preprocessing of rows, fitted on train. Normalization is in the model's graph."""

    columns: tuple[Column, ...] = Field(description="The columns in order, each with its coding.")
    layout: Literal["named", "plain"] = Field(
        default="named",
        description="Whether a raw sample has names, or is a plain array of numbers.",
    )
    skipped: tuple[str, ...] = Field(
        default=(), description="Columns that may come along and are not looked at, as the target."
    )


class Table(Normalizing):
    """Rows as mappings, sequences or a DataFrame; see `TableConfig`."""

    summary = "Rows of a table: mappings, sequences or a DataFrame"
    Config = TableConfig
    array_ranks = (2,)
    array_words = "N×F"
    what = "rows"
    is_row = True

    def examples(self, rng: np.random.Generator) -> ExampleSamples:
        """Rows with a number and a category."""
        rows = Rows({"年龄": list(range(20)), "城市": ["北京", "上海"] * 10})
        bad = [{"?": 1}, None, {"年龄": "old"}]
        return ExampleSamples(rows, bad, {"年龄": 3, "城市": "火星"})

    def fit(
        self, samples: Sequence[Any], shapes: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[TableConfig, tuple[Finding, ...]]:
        """Finds the kind of each column, its fill value and its categories, on train alone."""
        if isinstance(samples, np.ndarray):
            return _fit_plain(samples, options.get("columns")), ()
        columns, findings = [], []
        for name in samples.names:  # type: ignore[attr-defined]
            column, noticed = fit_column(name, samples.column(name), options)  # type: ignore[attr-defined]
            columns.append(column)
            findings.extend(noticed)
        config = TableConfig(columns=tuple(columns), skipped=tuple(options.get("skipped", ())))
        if not self.sample_shape(config)[0]:
            raise InputError(
                "No column is left to learn from.",
                problems=[f"column '{c.name}': {c.reason}" for c in columns],
                hint="Give a table with at least one column beside the target that varies.",
            )
        return config, tuple(findings)

    def clean(
        self, samples: Any, config: TableConfig, place: Callable[[int], str]
    ) -> tuple[Any, tuple[Finding, ...]]:
        """Numbers become numbers; a few cells that cannot be read become missing, and are told."""
        if isinstance(samples, np.ndarray):
            return samples, ()
        cleaned, findings = {}, []
        for column in config.columns:
            values, noticed = clean_column(column, samples.column(column.name), place)
            cleaned[column.name] = values
            findings.extend(noticed)
        return samples.replaced(cleaned), tuple(findings)

    def decode(self, value: Any, config: TableConfig) -> np.ndarray:
        """Returns one row as float32 (features,)."""
        row: np.ndarray = self.decode_batch([value], config)[0]
        return row

    def decode_batch(self, values: Sequence[Any], config: TableConfig) -> np.ndarray:
        """Columns that are absent count as missing; columns never seen are an error."""
        problems: list[str] = []
        if isinstance(values, np.ndarray) and _is_plain(values, config):
            return values.astype(np.float32)
        columns = values if isinstance(values, Rows) else _by_column(values, config, problems)
        parts = [np.zeros((len(values), 0), np.float32)]
        for column in config.columns:
            if column.kind != "ignored":
                cells = columns.column(column.name)
                parts.append(encode(column, cells, problems))
        if problems:
            raise InputError(cannot_be_read(len(problems), "value"), problems=problems)
        return np.concatenate(parts, 1)

    def split_batch(self, value: Any, config: TableConfig) -> list[Any]:
        """A DataFrame, a mapping of columns, a list and an array of two axes are batches."""
        if is_frame(value) and not isinstance(value, np.ndarray):
            return list(Rows(frame_columns(value)))
        if isinstance(value, Mapping):
            return _rows_of(value)
        if hasattr(value, "to_dict"):
            return [value.to_dict()]
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray):
            return [value] if value.ndim == 1 else list(value)
        if isinstance(value, (list, tuple)):
            return list(value)
        raise InputError(f"A {type(value).__name__} is no row.", hint=_wanted(config))

    def from_json(self, value: Any, config: TableConfig) -> Any:
        """A list of plain values is one row."""
        is_row = isinstance(value, list) and not any(
            isinstance(item, (list, Mapping)) for item in value
        )
        return [value] if is_row and value else value

    def sample_shape(self, config: TableConfig) -> tuple[int, ...]:
        """Number of features."""
        return (sum(len(feature_names(column)) for column in config.columns),)

    def example(self, config: TableConfig) -> Any:
        """A row of the medians and most frequent categories of train."""
        row = {c.name: example_cell(c) for c in config.columns if c.kind != "ignored"}
        return row if config.layout == "named" else list(row.values())

    def raw(self, prepared: np.ndarray, config: TableConfig) -> np.ndarray:
        """Plain rows are stored as they were given."""
        return prepared

    def keeps_raw(self, config: TableConfig) -> bool:
        """Named rows cannot be rebuilt from their features."""
        return config.layout == "named"

    def shape_words(self, config: TableConfig) -> str:
        """How many features."""
        return f"{self.sample_shape(config)[0]} features"

    def normalization(
        self, train: StoredArray, config: TableConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each number; indicators (0 or 1) are left as they are."""
        mean = sum(train[rows].sum(0, dtype=float) for rows in chunks(train)) / len(train)
        squares = sum(((train[r] - mean) ** 2).sum(0, dtype=float) for r in chunks(train))
        std = np.sqrt(squares / len(train))
        left = np.concatenate([is_indicator(column) for column in config.columns])
        mean[left] = 0
        std[left | (std <= 1e-6 * np.maximum(np.abs(mean), 1e-30))] = 1
        return mean.astype(np.float32), std.astype(np.float32)

    def sketch(self, prepared: np.ndarray, config: TableConfig) -> Sketch:
        """Rounded rows."""
        return row_sketch(prepared, np.concatenate([scales(c) for c in config.columns]))


PLUGIN = Table()


def _fit_plain(samples: np.ndarray, names: Sequence[str] | None) -> TableConfig:
    count = samples.shape[1]
    if names is not None and len(names) != count:
        raise InputError(f"columns names {len(names)} columns, the rows have {count}.")
    known = names or [f"x{i}" for i in range(count)]
    finite = np.where(np.isfinite(samples), samples, 0).astype(np.float64)
    deviations = finite.std(0)
    columns = tuple(
        Column(
            name=name,
            kind="number",
            fill=float(np.median(finite[:, i])),
            scale=float(deviations[i]) or 1.0,
        )
        for i, name in enumerate(known)
    )
    return TableConfig(columns=columns, layout="plain")


def _is_plain(values: np.ndarray, config: TableConfig) -> bool:
    return (
        config.layout == "plain"
        and values.dtype.kind in "uif"
        and values.shape[1:] == (len(config.columns),)
        and bool((np.abs(values) <= LARGEST).all())
    )


def _by_column(values: Sequence[Any], config: TableConfig, problems: list[str]) -> Rows:
    names = [column.name for column in config.columns]
    known = {*names, *config.skipped}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for index, value in enumerate(values):
        where = "" if len(values) == 1 else f"row {index}: "
        row = _as_mapping(value, names, where, problems)
        for name in row:
            if name not in known:
                problems.append(f"{where}unknown column '{name}'{did_you_mean(name, names)}")
        if row and not any(name in row for name in names):
            problems.append(f"{where}none of the columns {', '.join(names[:20])}")
        for name in names:
            columns[name].append(row.get(name))
    return Rows(columns, len(values))


def _as_mapping(
    value: Any, names: Sequence[str], where: str, problems: list[str]
) -> Mapping[str, Any]:
    if hasattr(value, "to_dict") and not isinstance(value, Mapping):
        value = value.to_dict()
    if isinstance(value, Mapping):
        row = {str(name): cell for name, cell in value.items()}
        if not row:
            problems.append(f"{where}the row is empty; its columns are {', '.join(names[:20])}")
        return row
    cells = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(cells, (list, tuple)):
        problems.append(f"{where}a {type(value).__name__} is no row; right is a mapping by column")
        return {}
    if len(cells) != len(names):
        problems.append(
            f"{where}{len(cells)} values, right are {len(names)}: {', '.join(names[:20])}"
        )
        return {}
    return dict(zip(names, cells, strict=True))


def _rows_of(value: Mapping[str, Any]) -> list[Any]:
    several = {
        name: list(cells)
        for name, cells in value.items()
        if isinstance(cells, (list, tuple)) or getattr(cells, "ndim", 0) == 1
    }
    if not several:
        return [value]
    lengths = {name: len(several[name]) if name in several else 1 for name in value}
    if len(set(lengths.values())) > 1 or len(several) != len(value):
        raise InputError(
            "The columns have different lengths.",
            problems=[f"column '{name}': {length}" for name, length in lengths.items()],
            hint="Give each column as a list of the same length, or one value for each column.",
        )
    return list(Rows(several))


def _wanted(config: TableConfig) -> str:
    names = ", ".join(column.name for column in config.columns[:20])
    return f"Give a mapping by column, a list of such, or a DataFrame. Columns: {names}."
