"""Tables: a CSV or Parquet file or a DataFrame, and the column to be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError, did_you_mean
from workbench.core.ids import digest_file, digest_json
from workbench.core.records import Finding
from workbench.data.cells import is_missing, to_number
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.columns import moment_of
from workbench.data.columns_fit import date_format
from workbench.data.names import dataset_name
from workbench.data.number_style import Decimal
from workbench.data.rows import Rows, frame_columns
from workbench.data.source import Source, SourceConfig
from workbench.data.split import part_code
from workbench.data.table_files import RawTable, from_columns, read_table
from workbench.store import Store
from workbench.tasks import TASKS, Targets, infer_task

_SPLIT_NAMES = ("split", "subset", "partition")


class TableSourceConfig(SourceConfig):
    """A table and what is to be predicted."""

    path: Path | None = Field(default=None, exclude=True, description="A CSV or Parquet file.")
    frame: Any = Field(default=None, exclude=True, description="A DataFrame.")
    target: str | None = Field(default=None, description="Name of the column to predict.")
    task: str | None = Field(
        default=None, description="By default classification for text, bools and few whole numbers."
    )
    split: tuple[float, float, float] | str | None = Field(  # type: ignore[assignment]
        None,
        description="Fractions of train, val and test, or the column that holds these words.",
    )
    groups: str | None = Field(
        default=None, description="Column whose equal values stay in one split."
    )
    time: str | None = Field(default=None, description="Column to split by: test is the latest.")
    ignore: tuple[str, ...] = Field(default=(), description="Columns to leave out.")
    categorical: tuple[str, ...] = Field(
        default=(), description="Columns of numbers that mean categories."
    )
    max_categories: int = Field(
        default=32, ge=1, description="Most features for one column of text."
    )
    encoding: str | None = Field(default=None, description="Of a CSV file; by default found out.")
    separator: str | None = Field(default=None, description="Of a CSV file; by default found out.")
    decimal: Decimal | None = Field(
        default=None, description="Mark before decimals in a CSV file; by default found out."
    )

    max_memory: float | None = Field(
        default=None,
        gt=0,
        exclude=True,
        description="Most bytes that a file's cells may take in memory; by default half of what is "
        "free.",
    )

    @model_validator(mode="after")
    def _one_table(self) -> TableSourceConfig:
        if (self.path is None) == (self.frame is None):
            raise ValueError("give either path= or frame=")
        if self.groups is not None and self.time is not None:
            raise ValueError("give either groups= or time=")
        return self


class TableSource(Source):
    """CSV, Parquet, pandas or polars."""

    summary = "A CSV or Parquet file or a DataFrame, and its target column"
    Config: ClassVar[type[Config]] = TableSourceConfig

    def open(self, config: TableSourceConfig, store: Store) -> Reader:
        """Returns a reader of the table."""
        if config.path is not None and not config.path.expanduser().is_file():
            raise NotFoundError(
                f"There is no file '{config.path}'.", hint="Give the path of a CSV or Parquet file."
            )
        return _TableReader(config)


PLUGIN = TableSource()


class _TableReader(Reader):
    def __init__(self, config: TableSourceConfig) -> None:
        self._config = config
        self._path = None if config.path is None else config.path.expanduser()
        self._frame = None if config.frame is None else _columns_of(config.frame)
        self.name = "table" if self._path is None else dataset_name(self._path.stem)

    def fingerprint(self, progress: Progress) -> str:
        """Hashes the file's bytes, or the frame's names and cells."""
        if self._path is not None:
            return digest_file(self._path)
        columns = self._frame.columns if self._frame else {}
        return digest_json({"names": list(columns), "cells": [repr(c) for c in columns.values()]})

    def collect(self, progress: Progress) -> Collected:
        """Reads all cells, and gathers what is wrong with header, rows and targets."""
        config = self._config
        table = self._table()
        self._check_columns(table)
        if not table.lines:
            table.problems.raise_if_any(f"The table '{self.name}'")
            raise InputError(f"The table '{self.name}' has no rows.", hint="Give at least a few.")
        task, targets = self._targets(table)
        given, split_column = self._given(table)
        time = None if config.time is None else _moments(table, config.time)
        groups = (
            None
            if config.groups is None
            else np.array([str(cell) for cell in table.columns[config.groups]])
        )
        skipped = [
            name for name in (config.target, split_column, config.groups, config.time) if name
        ]
        features = {n: cells for n, cells in table.columns.items() if n not in skipped}
        return Collected(
            modality="table",
            task=task,
            labels=targets.labels,
            samples=Rows(features, len(table.lines)),
            targets=targets.values,
            place=table.place,
            given=given,
            groups=groups,
            time=time,
            problems=tuple(table.problems),
            findings=(*table.findings, *_told(config, split_column)),
            options={
                "ignore": config.ignore,
                "categorical": config.categorical,
                "max_categories": config.max_categories,
                "skipped": skipped,
            },
        )

    def _table(self) -> RawTable:
        if self._path is not None:
            config = self._config
            return read_table(
                self._path, config.encoding, config.separator, config.decimal, config.max_memory
            )
        if self._frame is None:
            raise InputError("There is no table.", hint="Give path= or frame=.")
        return self._frame

    def _check_columns(self, table: RawTable) -> None:
        config = self._config
        if config.target is None:
            raise InputError(
                f"No target was given: which column of '{self.name}' is to be predicted?",
                problems=list(table.problems),
                hint=f"Give target=; the columns are {', '.join(list(table.columns)[:40])}.",
            )
        split = config.split if isinstance(config.split, str) else None
        wanted: dict[str, Sequence[str | None]] = {
            "target": [config.target],
            "split": [split],
            "groups": [config.groups],
            "time": [config.time],
            "ignore": config.ignore,
            "categorical": config.categorical,
        }
        problems = [
            f"{option}: no column '{name}'{did_you_mean(name, table.columns)}"
            for option, names in wanted.items()
            for name in names
            if name is not None and name not in table.columns
        ]
        if problems:
            names = ", ".join(list(table.columns)[:40])
            raise InputError(
                f"The table '{self.name}' lacks {len(problems)} columns.",
                problems=[*problems, *table.problems],
                hint=f"Its columns: {names}.",
            )

    def _targets(self, table: RawTable) -> tuple[str, Targets]:
        cells = [
            None if is_missing(cell) else cell for cell in table.columns[self._config.target or ""]
        ]
        values = _numbers_if_all(cells)
        present = [value for value in values if value is not None]
        if not present:
            raise InputError(
                f"The target column '{self._config.target}' is empty.",
                hint="Give a target for each row.",
            )
        task = self._config.task or infer_task(present)
        targets = TASKS.get(task).targets(values, None, table.place)
        table.problems.extend(
            f"{text} in column '{self._config.target}'" for text in targets.problems
        )
        return task, targets

    def _given(self, table: RawTable) -> tuple[np.ndarray | None, str | None]:
        named = self._config.split if isinstance(self._config.split, str) else None
        column = named or _split_column(table, self._config)
        if column is None:
            return None, None
        codes = [part_code(cell) for cell in table.columns[column]]
        for index, code in enumerate(codes):
            if code is None:
                cell = table.columns[column][index]
                table.problems.add(
                    f"{table.place(index)}: {cell!r} in column '{column}' is none of train, val, "
                    "test"
                )
        return np.array([code or 0 for code in codes], np.int8), column


def _columns_of(frame: Any) -> RawTable:
    if isinstance(frame, dict):
        return from_columns(frame, "row")
    return from_columns(frame_columns(frame), "row")


def _numbers_if_all(cells: list[Any]) -> list[Any]:
    if any(isinstance(cell, bool) for cell in cells):
        return cells
    try:
        return [None if cell is None else to_number(cell) for cell in cells]
    except (TypeError, ValueError):
        return cells


def _split_column(table: RawTable, config: TableSourceConfig) -> str | None:
    if config.split is not None or config.groups or config.time:
        return None
    for name, cells in table.columns.items():
        is_named = name.strip().lower() in _SPLIT_NAMES and name != config.target
        codes = {part_code(cell) for cell in cells} if is_named else set()
        if codes and None not in codes and 0 in codes and len(codes) > 1:
            return name
    return None


def _moments(table: RawTable, name: str) -> np.ndarray:
    cells = table.columns[name]
    values = _numbers_if_all([None if is_missing(cell) else cell for cell in cells])
    if not all(isinstance(value, float) for value in values if value is not None):
        form = date_format([cell for cell in cells if not is_missing(cell)]) or "iso"
        values = [_stamp(cell, form) for cell in cells]
    for index, value in enumerate(values):
        if value is None:
            table.problems.add(f"{table.place(index)}: {cells[index]!r} in '{name}' is no time")
    return np.array([0.0 if value is None else value for value in values])


def _stamp(cell: Any, form: str) -> float | None:
    try:
        moment = moment_of(cell, form)
    except ValueError:
        return None
    return None if moment is None else (moment - moment.min).total_seconds()


def _told(config: TableSourceConfig, split_column: str | None) -> list[Finding]:
    findings = []
    if split_column is not None:
        findings.append(Finding("split", f"Split by column '{split_column}'.", "info"))
    for option in ("groups", "time"):
        if name := getattr(config, option):
            findings.append(
                Finding("split", f"Column '{name}' ({option}) splits; it is no feature.", "info")
            )
    return findings
