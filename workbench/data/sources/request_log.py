"""The requests an endpoint answered: its kept payloads as the next data set.

Only what the endpoint was told to keep (`workbench serve --keep-payloads`), redacted when it was
written. The targets are the model's own answers, unless the truth is given.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError, did_you_mean
from workbench.core.jsonl import Reader as LogReader
from workbench.core.jsonl import day_of, parts
from workbench.core.records import Finding
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.names import dataset_name
from workbench.data.source import Source, SourceConfig
from workbench.data.sources.arrays import ArraysConfig, ArraysReader
from workbench.data.sources.table import TableSource, TableSourceConfig
from workbench.store import Store

FOLDER = "payloads"
_TARGET = "answer"
_NEEDS = ("time", "id", "model", "version", "task", "answers", "scores")


class RequestLogConfig(SourceConfig):
    """Which kept requests."""

    model: str | None = Field(
        default=None, description="Name of the model that answered; by default the only one kept."
    )
    number: str | None = Field(
        default=None, description="Only those that this version of the model answered."
    )
    since: str | None = Field(default=None, description="First day or time, as 2026-11-22.")
    until: str | None = Field(default=None, description="Day or time before which they end.")
    truth: dict[str, Any] | None = Field(
        default=None,
        exclude=True,
        description="True targets by the id of a request's line; then only those are taken.",
    )
    max_score: float | None = Field(
        default=None, gt=0, le=1, description="Only answers that the model was less sure of."
    )


class RequestLogSource(Source):
    """Kept payloads of the workspace's endpoints."""

    summary = "Requests that an endpoint kept (serve --keep-payloads), with what it answered"
    Config: ClassVar[type[Config]] = RequestLogConfig

    def open(self, config: RequestLogConfig, store: Store) -> Reader:
        """Returns a reader of the kept samples."""
        folder = store.home.requests / FOLDER
        log = LogReader()
        lines = _lines_of_one_model(folder, config, log)
        return _LogReader(config, lines, store, log.unreadable)


PLUGIN = RequestLogSource()


@dataclass(frozen=True)
class _Samples:
    """One line of the log; `truth` is None if its targets are the model's answers."""

    line: Mapping[str, Any]
    targets: list[Any]
    is_truth: bool


class _LogReader(Reader):
    """Hands the samples on to the reader of arrays or of tables."""

    def __init__(
        self,
        config: RequestLogConfig,
        lines: list[Mapping[str, Any]],
        store: Store,
        unreadable: int,
    ) -> None:
        self._config = config
        self._unreadable = unreadable
        self._kept = [kept for line in lines if (kept := _chosen(line, config)) is not None]
        if not self._kept:
            raise InputError(
                f"None of the {len(lines)} kept requests of '{lines[0]['model']}' was chosen.",
                hint="Widen since, until, max_score or truth.",
            )
        self.name = dataset_name(f"{lines[0]['model']}-requests")
        self._places = [f"request {kept.line['id']}" for kept in self._kept for _ in kept.targets]
        self._inner = self._arrays() if "array" in self._kept[0].line else self._table(store)
        self._inner.name = self.name

    def fingerprint(self, progress: Progress) -> str:
        """Hashes samples and targets."""
        return self._inner.fingerprint(progress)

    def collect(self, progress: Progress) -> Collected:
        """Returns the samples with their targets, and findings: whence those are, what is lost."""
        found = self._inner.collect(progress)
        if self._unreadable:
            lost = Finding(
                "unreadable_lines",
                f"{self._unreadable} lines of the log cannot be read, as after a full disk; they "
                "were left out.",
            )
            found = replace(found, findings=(*found.findings, lost))
        own = sum(len(kept.targets) for kept in self._kept if not kept.is_truth)
        count = len(self._places)
        if not own:
            return found
        finding = Finding(
            "own_answers",
            f"The targets of {own} of {count} samples are the model's own answers, not the truth: "
            "a model trained on them learns its mistakes, too. Give truth= by request id.",
        )
        return replace(found, findings=(*found.findings, finding))

    def _targets(self) -> list[Any]:
        return [target for kept in self._kept for target in kept.targets]

    def _arrays(self) -> Reader:
        first = self._kept[0].line
        shapes = {tuple(kept.line["array"]["shape"][1:]) for kept in self._kept}
        if len(shapes) != 1:
            raise InputError(
                f"The kept samples have {len(shapes)} shapes: {sorted(shapes)}.",
                hint="Choose one version of the model: number=.",
            )
        config = ArraysConfig(
            **_shared(self._config),
            inputs=np.concatenate([kept_array(kept.line["array"]) for kept in self._kept]),
            targets=self._targets(),
            modality=first["modality"],
            labels=tuple(first["labels"]) or None,
            task=first["task"],
        )
        return ArraysReader(config, self.name, lambda index: self._places[index])

    def _table(self, store: Store) -> Reader:
        rows = [row for kept in self._kept for row in kept.line["rows"]]
        names = list(dict.fromkeys(name for row in rows for name in row))
        frame = {name: [row.get(name) for row in rows] for name in names}
        target = next(name for name in (_TARGET, f"{_TARGET}_") if name not in frame)
        empty = tuple(name for name, cells in frame.items() if all(c is None for c in cells))
        config = TableSourceConfig(
            **_shared(self._config),
            frame={**frame, target: self._targets()},
            target=target,
            task=self._kept[0].line["task"],
            ignore=empty,
        )
        return TableSource().open(config, store)


def _shared(config: RequestLogConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SourceConfig.model_fields}


def _chosen(line: Mapping[str, Any], config: RequestLogConfig) -> _Samples | None:
    """Returns a line with its targets if it is one of those asked for."""
    count = len(line["rows"]) if "rows" in line else line["array"]["shape"][0]
    if config.number is not None and line["version"] != config.number:
        return None
    if config.max_score is not None:
        scores = [score for score in line["scores"] if score is not None]
        if not scores or min(scores) > config.max_score:
            return None
    if config.truth is None:
        return _Samples(line, line["answers"], is_truth=False)
    truth = config.truth.get(line["id"])
    if truth is None:
        return None
    targets = list(truth) if isinstance(truth, (list, tuple)) else [truth] * count
    if len(targets) != count:
        raise InputError(
            f"The truth of {line['id']} has {len(targets)} targets for {count} samples."
        )
    return _Samples(line, targets, is_truth=True)


def _lines_of_one_model(
    folder: Path, config: RequestLogConfig, log: LogReader
) -> list[Mapping[str, Any]]:
    lines = list(_lines(folder, config, log))
    models = sorted({line["model"] for line in lines})
    if not models:
        raise NotFoundError(
            "No endpoint of this workspace kept any payload in this time.",
            hint="`workbench serve REF --keep-payloads 1` keeps them; by default none are.",
        )
    wanted = config.model
    if wanted is None and len(models) > 1:
        raise InputError(f"Requests of {', '.join(models)} were kept.", hint="Give model=.")
    if wanted is not None and wanted not in models:
        raise NotFoundError(
            f"No requests of '{wanted}' were kept{did_you_mean(wanted, models) or '.'}",
            hint=f"Kept: {', '.join(models)}.",
        )
    return [line for line in lines if line["model"] == (wanted or models[0])]


def _lines(folder: Path, config: RequestLogConfig, log: LogReader) -> Iterator[Mapping[str, Any]]:
    since, until = config.since or "", config.until or "~"
    for path in parts(folder):
        if since[:10] <= day_of(path) <= until:
            for line in log.lines(path, _NEEDS):
                if since <= line["time"] < until:
                    yield line


def kept_array(saved: Mapping[str, Any]) -> np.ndarray:
    """Returns an array as a line of the log has it."""
    data = np.frombuffer(base64.b64decode(saved["b64"]), saved["dtype"])
    return data.reshape(saved["shape"])
