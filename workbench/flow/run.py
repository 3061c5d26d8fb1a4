"""A run as the user holds it: it can be followed, stopped, paused, resumed, from any process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.core.errors import RunFailedError, StateError, error_from_dict
from workbench.core.events import Event, EventReader, read_events
from workbench.core.shown import Shown
from workbench.core.storage import bordered
from workbench.flow import own_code, runner
from workbench.flow.progress import Bar
from workbench.store import RunRecord, Store

_POLL_S = 0.05


@bordered(root=lambda run: run._store.home.root)
class Run(Shown):
    """A run. Every property reads its newest state; nothing is lost with this object.

    Args:
        store: The workspace.
        run_id: The run's id.
        payload: The live module that the run works on, if it is not one of our families.
        loss: The user's own loss for it, if there is one.
    """

    shown_as = "run"

    def __init__(self, store: Store, run_id: str, payload: Any = None, loss: Any = None) -> None:
        self._store: Store = store
        self.id = run_id
        self.payload = payload
        self.loss = loss
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        record = self.record
        figures = ", ".join(f"{k}={v:.4g}" for k, v in self.metrics.items())
        return (
            f"Run({record.ref!r}, {record.kind}, {record.status}{', ' + figures * bool(figures)})"
        )

    @property
    def ref(self) -> str:
        """The run's ref, by which any process can re-attach."""
        return f"run:{self.id}"

    @property
    def record(self) -> RunRecord:
        """The run's stored record."""
        self._notice_early_death()
        return self._store.runs.get(self.id)

    @property
    def status(self) -> str:
        """One of created, running, paused, succeeded, failed, cancelled, interrupted."""
        return self.record.status

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's config."""
        return self.record.config

    @property
    def outputs(self) -> Mapping[str, str]:
        """The digests of the artifacts it made, by name."""
        return self.record.outputs

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of each metric; the final ones once the run has ended."""
        newest: dict[str, float] = {}
        for row in self.history():
            newest.update({k: v for k, v in row.items() if k != "step"})
        return {**newest, **self.record.metrics}

    @property
    def error(self) -> Mapping[str, Any] | None:
        """What went wrong, if it failed."""
        return self.record.error

    def history(self) -> list[dict[str, float]]:
        """Returns the logged metrics, a row a step; the last one if it was done again."""
        rows = {e.data["step"]: dict(e.data) for e in self.events() if e.kind == "metrics"}
        return list(rows.values())

    def events(self) -> list[Event]:
        """Returns all events so far."""
        return read_events(self._store.runs.events_path(self.id))

    def reader(self) -> EventReader:
        """Returns a reader of its events, for those who look now and then."""
        return EventReader(self._store.runs.events_path(self.id))

    def follow(self) -> Iterator[Event]:
        """Yields events as they happen, until the run has ended."""
        reader = EventReader(self._store.runs.events_path(self.id))
        while True:
            is_finished = self.record.is_finished
            yield from reader.new_events()
            if is_finished:
                return
            time.sleep(_POLL_S)

    def wait(self, timeout_s: float | None = None, *, progress: bool = True) -> Run:
        """Waits until the run has ended, showing its bar; returns itself.

        Raises:
            RunFailedError: The run failed; its cause is in the message.
            StateError: It has not ended within `timeout_s`, and goes on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        reader = EventReader(self._store.runs.events_path(self.id))
        with Bar(self.record.kind, is_shown=progress and not self.record.is_finished) as bar:
            bar.set(0, 1, "starting" if self.record.started is None else "")
            while not self.record.is_finished:
                for event in reader.new_events():
                    bar.show(event.kind, event.data)
                if deadline is not None and time.monotonic() > deadline:
                    raise StateError(
                        f"{self.ref} has not ended within {timeout_s:g} s; it goes on."
                    )
                time.sleep(_POLL_S)
        if self._process is not None:
            self._process.wait()
        return self._raise_if_failed()

    def stop(self) -> Run:
        """Asks the run to stop within one batch; what it has is kept."""
        self._store.runs.set_control(self.id, "stop")
        return self

    def pause(self) -> Run:
        """Asks the run to pause within one batch."""
        self._store.runs.set_control(self.id, "pause")
        return self

    def resume(self) -> Run:
        """Goes on after a pause, or from the last checkpoint after a stop or an interruption.

        Raises:
            StateError: The run has succeeded, or needs a module that only another process has.
        """
        record = self.record
        if not record.is_finished:
            self._store.runs.set_control(self.id, "run")
            return self
        if record.status == "succeeded":
            raise StateError(f"{self.ref} has succeeded; there is nothing to resume.")
        if record.kind != "train":
            raise StateError(
                f"{self.ref} is {record.status}; a run of the kind '{record.kind}' has no "
                "checkpoint to resume from.",
                hint="Do it again; the steps of a pipeline that were finished are remembered.",
            )
        if record.config.get("needs_module") and self.payload is None:
            raise StateError(
                f"{self.ref} trains a module that was defined in another process.",
                hint="Call train with that module again.",
            )
        return self.start()

    def start(self) -> Run:
        """Starts, or starts again, the run's own process."""
        self._store.runs.restart(self.id)
        self._process = runner.start(self._store, self.id, own_code.packed(self.payload) or None)
        return self

    def run_inline(self) -> Run:
        """Executes the run in this process."""
        with Bar(self.record.kind) as bar:
            runner.execute(self._store, self.id, self.payload, bar.show)
        return self

    def _raise_if_failed(self) -> Run:
        error = self.error
        if self.status == "failed" and error is not None:
            cause = error_from_dict(error)
            raise RunFailedError(
                f"{self.ref} failed: {cause.message}",
                hint=cause.hint,
                problems=cause.problems,
                context={"cause": dict(error)},
            ) from cause
        return self

    def _notice_early_death(self) -> None:
        if self._process is None or self._process.poll() in (None, 0):
            return
        record = self._store.runs.get(self.id)
        if record.started is None and record.status in ("created", "interrupted"):
            words = runner.last_words(self._store.runs.directory(self.id))
            self._store.runs.finish(
                self.id, "failed", RunFailedError(f"The run's process did not start.\n{words}")
            )
