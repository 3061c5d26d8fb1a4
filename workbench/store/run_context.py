"""What a step sees of its run: log, progress, control, outputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from workbench.core.errors import CancelledError, StorageError
from workbench.core.events import EventWriter
from workbench.store.artifacts import Artifact, Artifacts
from workbench.store.runs import Runs

_POLL_S = 0.05
_PROGRESS_S = 0.1


class Context(Protocol):
    """What a step may do with its run."""

    @property
    def directory(self) -> Path:
        """A folder for checkpoints; it survives an interruption."""
        ...

    def log(self, step: int, **metrics: float) -> None:
        """Records metrics of one step of a curve; keep it at 10 a second."""
        ...

    def event(self, kind: str, **data: Any) -> None:
        """Records any other event."""
        ...

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Records how far the step is; called as often as one likes."""
        ...

    def check(self) -> None:
        """Obeys stop and pause; to be called at each batch.

        Raises:
            CancelledError: The run was asked to stop.
        """
        ...

    def set_metrics(self, **metrics: float) -> None:
        """Records final metrics."""
        ...

    def output(self, name: str, artifact: Artifact) -> None:
        """Records an artifact as an output of the run."""
        ...


class RunContext:
    """The context of a stored run. A thread reads the control row, so `check` costs nothing."""

    def __init__(
        self,
        runs: Runs,
        run_id: str,
        on_event: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.id = run_id
        self._runs = runs
        self._on_event = on_event
        self._events = EventWriter(runs.events_path(run_id))
        self._control = runs.control(run_id)
        self._closed = threading.Event()
        self._last_progress = 0.0
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return self._runs.directory(self.id)

    def log(self, step: int, **metrics: float) -> None:
        """Records metrics of one step of a curve."""
        self.event("metrics", step=step, **metrics)

    def event(self, kind: str, **data: Any) -> None:
        """Records any event."""
        self._events.write(kind, **data)
        if self._on_event is not None:
            self._on_event(kind, data)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Records how far the step is, at most ten times a second."""
        moment = time.monotonic()
        if done < total and moment - self._last_progress < _PROGRESS_S:
            return
        self._last_progress = moment
        self.event("progress", done=done, total=total, note=note)

    def check(self) -> None:
        """Obeys stop and pause."""
        if self._control == "run":
            return
        if self._control == "pause":
            self._pause()
        if self._control == "stop":
            raise CancelledError("The run was stopped.")

    def set_metrics(self, **metrics: float) -> None:
        """Records final metrics."""
        self._runs.add_metrics(self.id, metrics)

    def output(self, name: str, artifact: Artifact) -> None:
        """Records an output."""
        self._runs.add_output(self.id, name, artifact.digest)

    def close(self) -> None:
        """Tells how the run ended, as far as the disk lets it; stops watching; closes the log."""
        self._closed.set()
        self._watcher.join()
        with suppress(OSError, StorageError):
            self.event("finished", status=self._runs.get(self.id).status)
        self._events.close()

    def _watch(self) -> None:
        while not self._closed.wait(_POLL_S):
            with suppress(StorageError):  # whoever writes next meets it, and says so
                self._control = self._runs.control(self.id)

    def _pause(self) -> None:
        self._runs.set_status(self.id, "paused")
        self.event("paused")
        while self._control == "pause" and not self._closed.wait(_POLL_S / 2):
            pass
        self._runs.set_status(self.id, "running")
        self.event("resumed")


class NullContext:
    """A context that only remembers, for work outside a run."""

    def __init__(
        self,
        directory: Path,
        artifacts: Artifacts | None = None,
        on_event: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._directory = directory
        self._on_event = on_event
        self.artifacts = artifacts
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.metrics: dict[str, float] = {}
        self.outputs: dict[str, Artifact] = {}

    @property
    def directory(self) -> Path:
        """The folder given."""
        return self._directory

    def log(self, step: int, **metrics: float) -> None:
        """Remembers metrics."""
        self.event("metrics", step=step, **metrics)

    def event(self, kind: str, **data: Any) -> None:
        """Remembers an event."""
        self.events.append((kind, data))
        if self._on_event is not None:
            self._on_event(kind, data)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Remembers progress."""
        self.event("progress", done=done, total=total, note=note)

    def check(self) -> None:
        """Never stops."""

    def set_metrics(self, **metrics: float) -> None:
        """Remembers final metrics."""
        self.metrics.update(metrics)

    def output(self, name: str, artifact: Artifact) -> None:
        """Remembers an output."""
        self.outputs[name] = artifact
