"""Counters and histograms, and their Prometheus text. Touched on the event loop only."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_STATM = Path("/proc/self/statm")
_EVENTS = {
    "workbench_swaps_total": "Changes of version by a followed alias, by outcome.",
    "workbench_taken_back_total": "Versions taken back because they broke their budget.",
}
_MOST_KEYS = 2000
Labels = tuple[tuple[str, str], ...]
Read = Callable[[], Iterable[tuple[Labels, float]]]


class Histogram:
    """Counts of values by bucket."""

    __slots__ = ("_counts", "_fresh", "_total", "bounds", "observe")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._total = 0.0
        self._fresh: list[float] = []
        self.observe: Callable[[float], None] = self._fresh.append
        """Adds a value; sorted into its bucket later, with many others."""

    @property
    def counts(self) -> list[int]:
        """Values up to and with each bound, then those above the last; not cumulated."""
        self.fold()
        return [int(count) for count in self._counts]

    @property
    def total(self) -> float:
        """Sum of all values."""
        self.fold()
        return self._total

    def fold(self) -> None:
        """Sorts what was added since into the buckets."""
        if self._fresh:
            places = np.searchsorted(self.bounds, self._fresh, side="left")
            self._counts += np.bincount(places, minlength=len(self._counts))
            self._total += math.fsum(self._fresh)
            self._fresh.clear()


class ModelMetrics:
    """What is counted of one model version."""

    def __init__(self, model: str, version: str) -> None:
        self.labels: Labels = (("model", model), ("version", version))
        self.requests: dict[tuple[str, int], int] = {}
        self.errors: dict[str, int] = {}
        self.request_seconds = Histogram(SECONDS)
        self.decode_seconds = Histogram(SECONDS)
        self.queue_seconds = Histogram(SECONDS)
        self.predict_seconds = Histogram(SECONDS)
        self.encode_seconds = Histogram(SECONDS)
        self.batch_rows = Histogram(ROWS)
        self.first_piece_seconds = Histogram(SECONDS)
        self.piece_seconds = Histogram(SECONDS)
        self.in_flight = 0
        self.streams = 0
        self.pieces = 0

    def fold(self) -> None:
        """Sorts what was observed since into the buckets; to be called about once a second."""
        for _, _, pick in _HISTOGRAMS:
            pick(self).fold()

    def count(self, dialect: str, status: int, seconds: float) -> None:
        """Adds a finished request."""
        key = (dialect, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        self.request_seconds.observe(seconds)

    def failures(self) -> int:
        """Returns how many answers were the endpoint's own errors; 504 comes from deadlines."""
        return sum(
            count for (_, status), count in self.requests.items() if status >= 500 and status != 504
        )


class Metrics:
    """Everything that /metrics shows."""

    def __init__(self) -> None:
        self.models: dict[tuple[str, str], ModelMetrics] = {}
        self.other: dict[tuple[str, int], int] = {}
        self.keys: dict[tuple[str, int], int] = {}
        self.events: dict[str, dict[Labels, int]] = {name: {} for name in _EVENTS}
        self.figures: dict[str, tuple[str, str, Read]] = {}

    def model(self, name: str, version: str) -> ModelMetrics:
        """Returns the counters of a model version, made when new."""
        key = (name, version)
        if key not in self.models:
            self.models[key] = ModelMetrics(name, version)
        return self.models[key]

    def count_other(self, dialect: str, status: int) -> None:
        """Adds a request that reached no model."""
        self.other[(dialect, status)] = self.other.get((dialect, status), 0) + 1

    def count_key(self, key: str, status: int) -> None:
        """Adds a request that was sent with the token named `key`."""
        if len(self.keys) >= _MOST_KEYS and (key, status) not in self.keys:
            key = "other"
        self.keys[(key, status)] = self.keys.get((key, status), 0) + 1

    def count_event(self, name: str, **labels: str) -> None:
        """Adds one to a counter of `_EVENTS`."""
        counts, key = self.events[name], tuple(labels.items())
        counts[key] = counts.get(key, 0) + 1

    def figure(self, name: str, help_: str, read: Read, *, kind: str = "gauge") -> None:
        """Adds a figure that is read when the page is asked for."""
        self.figures[name] = (kind, help_, read)

    def render(self) -> bytes:
        """Returns the page in Prometheus' text format."""
        lines: list[str] = []
        self._render_requests(lines)
        self._render_events(lines)
        for name, help_, pick in _HISTOGRAMS:
            _head(lines, name, "histogram", help_)
            for model in self.models.values():
                _histogram(lines, name, model.labels, pick(model))
        for name, kind, help_, value in _FIGURES:
            _head(lines, name, kind, help_)
            for model in self.models.values():
                _line(lines, name, model.labels, value(model))
        for name, (kind, help_, read) in self.figures.items():
            _head(lines, name, kind, help_)
            for labels, number in read():
                _line(lines, name, labels, number)
        _render_process(lines)
        return "\n".join([*lines, ""]).encode()

    def _render_requests(self, lines: list[str]) -> None:
        name = "workbench_requests_total"
        _head(lines, name, "counter", "Requests answered.")
        for model in self.models.values():
            for (dialect, status), count in model.requests.items():
                labels = (*model.labels, ("dialect", dialect), ("status", str(status)))
                _line(lines, name, labels, count)
        for (dialect, status), count in self.other.items():
            _line(lines, name, (("dialect", dialect), ("status", str(status))), count)
        name = "workbench_errors_total"
        _head(lines, name, "counter", "Requests answered with an error, by its code.")
        for model in self.models.values():
            for code, count in model.errors.items():
                _line(lines, name, (*model.labels, ("code", code)), count)
        name = "workbench_failures_total"
        _head(
            lines, name, "counter", "Requests answered with the endpoint's own error: 5xx but 504."
        )
        for model in self.models.values():
            _line(lines, name, model.labels, model.failures())

    def _render_events(self, lines: list[str]) -> None:
        name = "workbench_key_requests_total"
        _head(lines, name, "counter", "Requests answered, by the name of the token.")
        for (key, status), count in self.keys.items():
            _line(lines, name, (("key", key), ("status", str(status))), count)
        for name, help_ in _EVENTS.items():
            _head(lines, name, "counter", help_)
            for labels, count in self.events[name].items():
                _line(lines, name, labels, count)


_HISTOGRAMS: tuple[tuple[str, str, Callable[[ModelMetrics], Histogram]], ...] = (
    (
        "workbench_request_seconds",
        "From the complete request to the answer, or to its first piece.",
        lambda m: m.request_seconds,
    ),
    ("workbench_decode_seconds", "From request to tensors.", lambda m: m.decode_seconds),
    ("workbench_queue_seconds", "Waiting for the model.", lambda m: m.queue_seconds),
    ("workbench_predict_seconds", "One run of the model.", lambda m: m.predict_seconds),
    ("workbench_encode_seconds", "From outputs to the answer.", lambda m: m.encode_seconds),
    ("workbench_batch_rows", "Rows in one run of the model.", lambda m: m.batch_rows),
    (
        "workbench_first_piece_seconds",
        "From the complete request to the first piece of an answer in pieces.",
        lambda m: m.first_piece_seconds,
    ),
    ("workbench_piece_seconds", "From one piece to the next.", lambda m: m.piece_seconds),
)
_FIGURES: tuple[tuple[str, str, str, Callable[[ModelMetrics], int]], ...] = (
    (
        "workbench_in_flight",
        "gauge",
        "Requests taken and not yet answered.",
        lambda m: m.in_flight,
    ),
    ("workbench_streams", "gauge", "Answers in pieces under way.", lambda m: m.streams),
    ("workbench_pieces_total", "counter", "Pieces of answers written.", lambda m: m.pieces),
)


def resident_bytes() -> int | None:
    """Returns the memory this process occupies; None where the system does not tell."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _render_process(lines: list[str]) -> None:
    occupied = resident_bytes()
    if occupied is not None:
        _head(lines, "process_resident_memory_bytes", "gauge", "Memory occupied.")
        _line(lines, "process_resident_memory_bytes", (), occupied)
    _head(lines, "process_cpu_seconds_total", "counter", "CPU time used.")
    _line(lines, "process_cpu_seconds_total", (), round(time.process_time(), 3))


def _head(lines: list[str], name: str, kind: str, help_: str) -> None:
    lines += [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]


def _line(lines: list[str], name: str, labels: Labels, value: float) -> None:
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
    lines.append(f"{name}{{{inner}}} {value:.15g}" if inner else f"{name} {value:.15g}")


def _histogram(lines: list[str], name: str, labels: Labels, histogram: Histogram) -> None:
    running = 0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        running += count
        _line(lines, f"{name}_bucket", (*labels, ("le", f"{bound:g}")), running)
    running += histogram.counts[-1]
    _line(lines, f"{name}_bucket", (*labels, ("le", "+Inf")), running)
    _line(lines, f"{name}_sum", labels, histogram.total)
    _line(lines, f"{name}_count", labels, running)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
