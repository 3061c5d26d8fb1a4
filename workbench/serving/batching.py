"""The zero-wait micro-batcher: one thread a model takes what is queued, never waits for more.

Knows tensors and threads; knows neither HTTP nor labels.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import CancelledError, OverloadedError, WorkbenchError
from workbench.serving.engine import LoadedModel, Tensors
from workbench.serving.errors import DeadlineError, ModelError
from workbench.serving.isolation import each
from workbench.serving.padding import Padding

Outputs = dict[str, NDArray[Any]]
Done = Callable[["Job"], None]


class Job:
    """One request's tensors on their way through the model.

    Attributes:
        inputs: By name, C-contiguous, of the signature's dtypes, each with `rows` rows.
        rows: Size of the first dimension; 1 if the model does not batch.
        key: Jobs with the same key may share a run.
        outputs: Filled on success; None on failure.
        error: Filled on failure.
        is_dropped: The caller is gone.
        deadline: `perf_counter` seconds after which nobody waits for it; None for ever.
        queued, started, finished: `perf_counter` seconds.
        batch_rows: Rows of the batch it was part of.
        has_run: Whether it was given to the model: only then does its outcome say something of it.
    """

    key: tuple[Any, ...] = ()
    outputs: Outputs | None = None
    error: WorkbenchError | None = None
    is_dropped = False
    deadline: float | None = None
    batch_rows = 0
    has_run = False

    def __init__(self, inputs: Tensors, rows: int, done: Done) -> None:
        self.inputs = inputs
        self.rows = rows
        self.done = done
        self.queued = self.started = self.finished = perf_counter()


@dataclass(frozen=True)
class BatchLimits:
    """How much is queued and put together.

    Attributes:
        rows: Most rows in one batch; a larger request runs alone.
        queue: Most requests waiting or running; more are refused.
        wait_s: A request that waited longer is refused instead of run.
    """

    rows: int = 64
    queue: int = 512
    wait_s: float = 30.0


class Batcher:
    """Feeds one model from one thread.

    Args:
        model: Runs in the batcher's thread only, from `start` on.
        can_batch: Whether requests may share a run.
        is_fixed: Whether the tensors of all requests differ in their number of rows alone.
        padding: Puts requests together whose free dimensions differ; None keeps them apart.
        check: Raises if inputs, perhaps of several requests, cannot go to the model.
        limits: Bounds.
        on_batch: Called on the event loop after each run, with its jobs.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        can_batch: bool,
        is_fixed: bool = False,
        padding: Padding | None = None,
        check: Callable[[Tensors], None] = lambda inputs: None,
        limits: BatchLimits | None = None,
        on_batch: Callable[[Sequence[Job]], None] | None = None,
    ) -> None:
        self.can_batch = can_batch
        self.limits = limits or BatchLimits()
        self.pending = 0
        self._began: float | None = None
        self._is_fixed = is_fixed
        self._padding = padding
        self._check = check
        self._model = model
        self._on_batch = on_batch
        self._fresh: list[Job] = []
        self._queue: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._backlog: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, name: str) -> None:
        """Starts the thread; to be called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"model-{name}", daemon=True)
        self._thread.start()

    def submit(self, inputs: Tensors, rows: int, done: Done) -> Job:
        """Queues one request; `done(job)` is called on the event loop, unless it was dropped.

        Raises:
            OverloadedError: The queue is full.
        """
        if self.pending >= self.limits.queue:
            self.check_room(self.pending)
        job = Job(inputs, rows, done)
        if not self._is_fixed:
            job.key = _key(inputs) if self._padding is None else self._padding.key(inputs)
        if not self.pending:
            self._idle.clear()
        self.pending += 1
        if not self._fresh and self._loop is not None:
            self._loop.call_soon(self._hand_over)
        self._fresh.append(job)
        return job

    def check_room(self, waiting: int) -> None:
        """Refuses when `waiting` requests fill the queue.

        Raises:
            OverloadedError: They do.
        """
        if waiting >= self.limits.queue:
            raise OverloadedError(
                f"{waiting} requests are waiting, the most that may queue.",
                hint="Try again after the time in Retry-After.",
                context={"queue": self.limits.queue, "retry_after_s": 1},
            )

    @property
    def busy_s(self) -> float:
        """Seconds since the run under way began; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else perf_counter() - began

    def _hand_over(self) -> None:
        """Wakes the thread once for all requests that came in the same turn of the loop."""
        fresh, self._fresh = self._fresh, []
        self._queue.put(fresh)

    async def drain(self) -> None:
        """Returns when nothing is waiting or running."""
        await self._idle.wait()

    async def close(self) -> None:
        """Finishes what is queued, ends the thread and unloads the model."""
        await self.drain()
        self._queue.put(None)
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join)
        self._model.close()

    # the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            batch = self._take()
            if batch is None:
                return
            self._predict(batch)
            loop = self._loop
            if loop is None or loop.is_closed():
                return
            loop.call_soon_threadsafe(self._deliver, batch)

    def _take(self) -> list[Job] | None:
        """Waits for one request, then adds what else is there already and fits; None ends."""
        if not self._backlog and not self._receive(wait=True):
            return None
        while not self._queue.empty() and self._receive(wait=False):
            pass
        first = self._backlog.popleft()
        batch, rows = [first], first.rows
        waste = None if self._padding is None else _Waste(self._padding, first)
        while self.can_batch and self._backlog:
            job = self._backlog[0]
            if job.key != first.key or rows + job.rows > self.limits.rows:
                break
            if waste is not None and not waste.takes(job):
                break
            batch.append(self._backlog.popleft())
            rows += job.rows
        return batch

    def _receive(self, *, wait: bool) -> bool:
        """Moves what was handed over to the backlog; False if there is nothing or it is the end."""
        try:
            jobs = self._queue.get(block=wait)
        except Empty:
            return False
        self._backlog.extend(jobs or ())
        return jobs is not None

    def _predict(self, batch: list[Job]) -> None:
        started = perf_counter()
        live = [job for job in batch if self._is_wanted(job, started)]
        rows = sum(job.rows for job in live)
        for job in batch:
            job.started, job.batch_rows = started, rows
        if live:
            self._began = started
            self._predict_live(live)
            self._began = None
        finished = perf_counter()
        for job in batch:
            job.finished = finished

    def _predict_live(self, jobs: list[Job]) -> None:
        try:
            self._predict_together(jobs)
        except Exception as error:  # noqa: BLE001 (the border of the model's thread)
            if len(jobs) == 1:
                jobs[0].error = _as_workbench_error(error)
                return
            for job in jobs:
                self._predict_live([job])

    def _predict_together(self, jobs: list[Job]) -> None:
        if len(jobs) == 1:
            self._check(jobs[0].inputs)
            jobs[0].has_run = True
            jobs[0].outputs = self._model.predict(jobs[0].inputs)
            return
        joined = self._joined(jobs)
        self._check(joined)
        for job in jobs:
            job.has_run = True
        outputs = self._model.predict(joined)
        total = sum(job.rows for job in jobs)
        if any(len(value) != total for value in outputs.values()):
            raise ModelError("The model gave another number of rows than it got.")
        begin = 0
        for job in jobs:
            end = begin + job.rows
            job.outputs = {name: value[begin:end] for name, value in outputs.items()}
            if self._padding is not None:
                job.outputs = self._padding.cut(job.outputs, job.inputs)
            begin = end

    def _joined(self, jobs: Sequence[Job]) -> Tensors:
        if self._padding is not None:
            return self._padding.joined([job.inputs for job in jobs])
        return {name: np.concatenate([j.inputs[name] for j in jobs]) for name in jobs[0].inputs}

    def _is_wanted(self, job: Job, now: float) -> bool:
        if job.is_dropped:
            job.error = CancelledError("The caller went away.")
        elif job.deadline is not None and now > job.deadline:
            job.error = DeadlineError(
                f"The request waited {1e3 * (now - job.queued):.0f} ms for the model, longer than "
                "its caller does.",
                hint="Allow more time, or send fewer requests at once.",
            )
        elif now - job.queued > self.limits.wait_s:
            job.error = OverloadedError(
                f"The request waited {now - job.queued:.1f} s, longer than {self.limits.wait_s} s.",
                hint="Try again after the time in Retry-After.",
                context={"retry_after_s": 1},
            )
        return job.error is None

    # the event loop ------------------------------------------------------------------------

    def _deliver(self, batch: list[Job]) -> None:
        self.pending -= len(batch)
        if not self.pending:
            self._idle.set()
        if self._on_batch is not None:
            each((batch,), self._on_batch)
        each(batch, _tell)


class _Waste:
    """Keeps a run from being mostly padding, while requests are added to it."""

    def __init__(self, padding: Padding, first: Job) -> None:
        self._padding = padding
        self._rows = first.rows
        self._largest = padding.values(first.inputs)
        self._sum = self._rows * self._largest

    def takes(self, job: Job) -> bool:
        """Returns whether a request may be added, and counts it then."""
        values = self._padding.values(job.inputs)
        rows, largest = self._rows + job.rows, max(self._largest, values)
        total = self._sum + job.rows * values
        if not self._padding.is_worth(rows, largest, total):
            return False
        self._rows, self._largest, self._sum = rows, largest, total
        return True


def _key(inputs: Tensors) -> tuple[Any, ...]:
    return tuple((value.shape[1:], value.dtype) for value in inputs.values())


def _tell(job: Job) -> None:
    done, job.done = job.done, _nothing  # or answer and job would keep each other alive
    if not job.is_dropped:
        done(job)


def _nothing(job: Job) -> None:
    """Stands where a callback was that has been called."""


def _as_workbench_error(error: Exception) -> WorkbenchError:
    if isinstance(error, WorkbenchError):
        return error
    return ModelError(f"The model failed: {type(error).__name__}.")
