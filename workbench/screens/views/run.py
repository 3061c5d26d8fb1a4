"""What is shown of a run: its state, and its curves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from workbench.core.clock import now
from workbench.core.events import Event, EventReader
from workbench.flow.run import Run
from workbench.tasks import higher_is_better, is_share

_MOST_POINTS = 1200
_HIDDEN = ("options", "version", "kind", "needs_module")
_CAN: Mapping[str, tuple[str, ...]] = {
    "created": ("stop",),
    "running": ("pause", "stop"),
    "paused": ("resume", "stop"),
    "cancelled": ("resume",),
    "interrupted": ("resume",),
    "failed": ("resume",),
}


class RunView:
    """Follows one run: reads only what is new since the last look.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: list[Mapping[str, Any]] = []
        self.batches: list[tuple[float, float]] = []
        self._reader: EventReader = run.reader()
        self._facts: dict[str, Any] = {}
        self._progress: Mapping[str, Any] = {}
        self._moved = ""
        self._seen_status = ""
        self.record = run.record

    def read(self) -> bool:
        """Reads what is new; returns whether there was anything."""
        self.record = self.run.record
        is_new = self.record.status != self._seen_status
        self._seen_status = self.record.status
        for event in self._reader.new_events():
            is_new = True
            self._take(event)
        return is_new

    @property
    def metric(self) -> str | None:
        """The logged validation metric, as in "accuracy"; None before the first epoch."""
        for row in self.rows[:1]:
            named = [k[4:] for k in row if k.startswith("val_") and k != "val_loss"]
            return named[0] if named else "loss"
        return None

    def state(self) -> dict[str, Any]:
        """Returns all that is shown besides the curves."""
        record, metric = self.record, self.metric
        done, total = int(self._progress.get("done", 0)), int(self._progress.get("total", 0))
        elapsed = _seconds(record.started, record.finished or now())
        return {
            "ref": record.ref,
            "reattach": f'wb.run("{record.ref}")',
            "title": _title(record.kind, self._facts, record.config),
            "status": record.status,
            "can": list(_CAN.get(record.status, ())),
            "can_study": record.status == "succeeded" and bool(record.outputs),
            "metric_name": metric,
            "is_share": metric is not None and is_share(metric),
            "best": self._best(metric),
            "epochs": self._facts.get("epochs") or record.config.get("epochs") or len(self.rows),
            "params": self._facts.get("params"),
            "data": record.inputs.get("data_ref"),
            "done": total if record.status == "succeeded" else done,
            "total": total,
            "note": str(self._progress.get("note", "")),
            "rate": self.rows[-1].get("samples_per_s") if self.rows else None,
            "elapsed": elapsed,
            "left": self._left(done, total),
            "cpu_seconds": sum(float(r.get("cpu_seconds", 0)) for r in self.rows) or None,
            "energy_j": sum(float(r.get("energy_j", 0)) for r in self.rows) or None,
            "started": _clock(record.started),
            "error": None if record.error is None else dict(record.error),
            "config": _config(record.config),
        }

    def curves(self) -> dict[str, str]:
        """Returns float32 as base64.

        `epochs` (n, 4): epoch, train loss, val loss, metric; `batches` (m, 2): epoch, loss.
        """
        key = f"val_{self.metric}"
        rows = [[r["step"], r.get("train_loss"), r.get("val_loss"), r.get(key)] for r in self.rows]
        epochs = np.array(rows, np.float32).reshape(-1, 4)
        return {
            "epochs": _text(thinned(epochs)),
            "batches": _text(thinned(np.array(self.batches, np.float32).reshape(-1, 2))),
        }

    def _take(self, event: Event) -> None:
        if event.kind == "metrics":
            self.rows = [r for r in self.rows if r["step"] < event.data["step"]] + [event.data]
        elif event.kind == "batch":
            self._add_batch(event.data)
        elif event.kind == "progress":
            self._progress, self._moved = event.data, event.time
        elif event.kind == "training":
            self._facts = event.data

    def _add_batch(self, data: Mapping[str, Any]) -> None:
        total, epochs = self._progress.get("total"), self._facts.get("epochs")
        at = data["step"] * epochs / total if total and epochs else float(data["epoch"])
        while self.batches and self.batches[-1][0] >= at:
            self.batches.pop()
        self.batches.append((at, float(data["loss"])))

    def _best(self, metric: str | None) -> dict[str, Any] | None:
        if metric is None:
            return None
        scored = [(r[f"val_{metric}"], r["step"]) for r in self.rows if f"val_{metric}" in r]
        if not scored:
            return None
        kept = int(self.record.metrics.get("best_epoch") or 0)  # once it has ended: what was saved
        for value, epoch in scored:
            if int(epoch) == kept:
                return {"value": value, "epoch": kept}
        pick = max if higher_is_better(metric) else min
        value, epoch = pick(scored, key=lambda pair: pair[0])
        return {"value": value, "epoch": int(epoch)}

    def _left(self, done: int, total: int) -> float | None:
        began = self.rows[0].get("seconds") if self.rows else None
        if not began or not done or not total:
            return None
        recent = [float(r.get("seconds", 0)) for r in self.rows[-5:]]
        epochs = float(self._facts.get("epochs") or 0)
        return sum(recent) / len(recent) * epochs * (total - done) / total


def thinned(points: np.ndarray) -> np.ndarray:
    """Returns at most some 1,200 rows: of each bucket those with smallest and largest last value.

    Args:
        points: Shape (n, k), float32.
    """
    if len(points) <= _MOST_POINTS:
        return points
    buckets = np.array_split(np.arange(len(points)), _MOST_POINTS // 2)
    values = points[:, -1]
    kept = {i for b in buckets for i in (b[np.argmin(values[b])], b[np.argmax(values[b])])}
    return points[sorted(kept)]


def _text(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def _title(kind: str, facts: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    family = facts.get("family") or config.get("family")
    return {"train": f"Training of {family or 'a model'}", "import": "Import"}.get(kind, kind)


def _config(config: Mapping[str, Any]) -> list[list[str]]:
    flat = {**config, **(config.get("options") or {})}
    return [[k, str(v)] for k, v in flat.items() if k not in _HIDDEN and v is not None]


def _seconds(start: str | None, end: str) -> float | None:
    if start is None:
        return None
    return max(0.0, (_moment(end) - _moment(start)).total_seconds())


def _clock(time: str | None) -> str | None:
    return None if time is None else f"{_moment(time).astimezone():%Y-%m-%d %H:%M}"


def _moment(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(UTC)
