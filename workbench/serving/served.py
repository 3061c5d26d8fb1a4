"""One model version, loaded, warmed and ready: tensors go in, responses come out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.clock import now
from workbench.core.config import Config
from workbench.core.errors import WorkbenchError
from workbench.core.records import Description
from workbench.core.signature import Signature
from workbench.serving.answer import Answer
from workbench.serving.batch_size import best_rows
from workbench.serving.batching import Batcher, BatchLimits, Job, Outputs
from workbench.serving.budget import Caller
from workbench.serving.crew import Crews
from workbench.serving.deadlines import pass_on
from workbench.serving.decoding import Decoder, decoder_for
from workbench.serving.decoding_room import DecodingRoom
from workbench.serving.encoding import Encode, inline_rows, is_large
from workbench.serving.engine import (
    Engine,
    LoadedModel,
    StreamingModel,
    Tensors,
    batches_faithfully,
)
from workbench.serving.engine import example_inputs as made_inputs
from workbench.serving.errors import ModelError
from workbench.serving.extremes import blamed
from workbench.serving.messages import Response
from workbench.serving.metrics import ModelMetrics
from workbench.serving.padding import Padding, padding_for
from workbench.serving.piece_check import checked
from workbench.serving.security import check_values
from workbench.serving.streams import Stream, Streams, WritePiece
from workbench.serving.tensors import TensorCheck, has_free_sizes

_FREE_SIZES = (4, 16, 64, 256)


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    Attributes:
        name: The name it is served under.
        version: Its number, or "1" for a bare file.
        path: The verified model file.
        description: What it says of itself; None for a bare file.
        ref: What was asked for.
        alias: The alias to follow; None if the version is fixed.
    """

    name: str
    version: str
    path: Path
    description: Description | None
    ref: str
    alias: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A model in memory that has answered: made off the event loop, served on it."""

    source: Source
    model: LoadedModel
    can_batch: bool
    decoder: Decoder
    rows: int = 1
    padding: Padding | None = None


def load(
    source: Source,
    engine: Engine,
    config: Config,
    *,
    most_rows: int = 64,
    room: DecodingRoom | None = None,
) -> Loaded:
    """Loads a model and makes it answer, so that ready means it predicts.

    Args:
        source: The model.
        engine: Runs it.
        config: Of the engine.
        most_rows: Most rows to put into one run; fewer where that is faster.
        room: What decoding may take of this process; None gives the model its own.

    Raises:
        WorkbenchError: The file cannot be loaded or the model does not answer.
    """
    model = engine.load(source.path, config)
    try:
        decoder = decoder_for(source.description, model.signature, room)
        free = _answered_size(model, decoder)
        rows = _rows(model, most_rows, free)
        padding = padding_for(model, decoder.padding, free) if rows else None
    except BaseException:
        model.close()
        raise
    return Loaded(source, model, rows > 0, decoder, max(rows, 1), padding)


def _answered_size(model: LoadedModel, decoder: Decoder) -> int:
    """Returns a size of the free dimensions at which a model answers made-up inputs.

    What has none of these sizes is asked for an example of its own modality.

    Raises:
        WorkbenchError: It does not answer.
    """
    sizes = _FREE_SIZES if has_free_sizes(model.signature) else _FREE_SIZES[:1]
    for size in sizes:
        try:
            model.predict(made_inputs(model.signature, 1, free=size))
            return size
        except WorkbenchError as error:
            failure = error
    example = decoder.own_example()
    if example is None:
        raise failure
    model.predict(example)
    return sizes[0]


def _rows(model: LoadedModel, most: int, free: int) -> int:
    """Returns how many rows to put into one run; 0 if requests may not share one."""
    try:
        return best_rows(model, most, free) if batches_faithfully(model, free=free) else 0
    except WorkbenchError:
        return 0


class Served:
    """A loaded version with its queue and its counters.

    Attributes:
        max_rows: Most rows that requests put into one run, as set; fewer where that is faster.
        mirror: Given each answered job, after its answer was sent; None without a shadow.
        watch: Given status, seconds and caller of each run answered; None without a budget.
        crews: The threads that its requests use beside the event loop.
        kept: What a dialect keeps from request to request, by its key.
    """

    def __init__(
        self,
        loaded: Loaded,
        metrics: ModelMetrics,
        limits: BatchLimits,
        crews: Crews | None = None,
    ) -> None:
        self.crews = crews or Crews()
        self.source = loaded.source
        self.name = loaded.source.name
        self.version = loaded.source.version
        self.description = loaded.source.description
        self.signature: Signature = loaded.model.signature
        self._fits = TensorCheck(self.signature)
        self._inline_rows = inline_rows(self.signature)
        self.decoder = loaded.decoder
        self.metrics = metrics
        self.since = now()
        self.max_rows = limits.rows
        self.batcher = Batcher(
            loaded.model,
            can_batch=loaded.can_batch,
            is_fixed=self._fits.is_fixed,
            padding=loaded.padding,
            check=self._fits.finite,
            limits=replace(limits, rows=min(limits.rows, loaded.rows)),
            on_batch=self._count,
        )
        model = loaded.model
        self._stream = model.stream if isinstance(model, StreamingModel) else None
        self.streams = Streams(f"{self.name}@{self.version}")
        self.mirror: Callable[[Job], None] | None = None
        self.watch: Callable[[int, float, Caller], None] | None = None
        self.kept: dict[str, Any] = {}
        self._users = 0
        self._free = asyncio.Event()
        self._free.set()

    def start(self) -> None:
        """Starts the model's thread; on the event loop."""
        self.batcher.start(f"{self.name}@{self.version}")

    def submit(self, answer: Answer, inputs: Tensors, encode: Encode) -> None:
        """Checks and queues tensors; the answer is filled when the model has run.

        Raises:
            InputError: The tensors do not fit the signature.
            OverloadedError: The queue is full.
        """
        rows = self._check(answer, inputs)

        def done(job: Job) -> None:
            if job.error is not None or job.outputs is None:
                answer.fail(job.error or ModelError("The model gave nothing."))
            elif job.rows > self._inline_rows and is_large(job.outputs):
                work = self._send_later(answer, job, encode, job.outputs)
                answer.task = asyncio.get_running_loop().create_task(work)
            else:
                self._send(answer, job, encode, job.outputs)

        answer.job = job = self.batcher.submit(inputs, rows, done)
        pass_on(answer, job)

    async def encoded(self, answer: Answer, encode: Encode, outputs: Outputs) -> Response:
        """Returns the response of outputs, made in another thread if they are large.

        Raises:
            WorkbenchError: They cannot be written, for the caller's reasons or the model's.
        """
        try:
            if is_large(outputs):
                return await self.crews.encoding.run(partial(encode, outputs))
            return encode(outputs)
        except ModelError as error:
            told = blamed(error, answer.job)
            if told is error:
                raise
            raise told from error

    async def _send_later(self, answer: Answer, job: Job, encode: Encode, outputs: Outputs) -> None:
        try:
            response = await self.crews.encoding.run(partial(encode, outputs))
        except Exception as error:  # noqa: BLE001 (the border of requests)
            answer.fail(blamed(_told(error), job))
        else:
            self._send(answer, job, lambda _: response, outputs)

    def _send(self, answer: Answer, job: Job, encode: Encode, outputs: Outputs) -> None:
        try:
            response = encode(outputs)
        except Exception as error:  # noqa: BLE001 (the border of requests)
            answer.fail(blamed(_told(error), job))
        else:
            answer.send(response)
            self._copy(job)

    async def predict(self, answer: Answer, inputs: Tensors) -> Outputs:
        """Returns the outputs for tensors that do not come straight from a request.

        Raises:
            WorkbenchError: As `submit`, or the model's own failure.
        """
        rows = self._check(answer, inputs)
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()

        def done(job: Job) -> None:
            if not future.done():
                future.set_result(job)

        answer.job = self.batcher.submit(inputs, rows, done)
        pass_on(answer, answer.job)
        job = await future
        if job.error is not None or job.outputs is None:
            raise job.error or ModelError("The model gave nothing.")
        asyncio.get_running_loop().call_soon(self._copy, job)
        return job.outputs

    async def pieces(self, answer: Answer, inputs: Tensors, write: WritePiece) -> Stream:
        """Begins an answer in pieces; a model that gives all at once gives one.

        Args:
            answer: Whose token and deadline count.
            inputs: Tensors by name.
            write: Turns the outputs of a piece into bytes; called beside the event loop.

        Raises:
            WorkbenchError: As `submit`, or too many streams are open.
        """
        stream, signature = self._stream, self.signature
        if stream is None:
            outputs = await self.predict(answer, inputs)
            return self.streams.open(lambda: iter((outputs,)), write)
        self._check(answer, inputs)
        self._fits.finite(inputs)
        return self.streams.open(
            lambda: stream(inputs), lambda piece: write(checked(piece, signature))
        )

    @contextmanager
    def use(self) -> Iterator[Served]:
        """Keeps the version loaded while a request works towards its tensors.

        Raises:
            OverloadedError: As many as may queue do so already.
        """
        self.batcher.check_room(self._users)
        self._users += 1
        self._free.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._free.set()

    async def close(self) -> None:
        """Answers what it owes, then unloads."""
        await self._free.wait()
        await self.streams.drain()
        await self.batcher.close()

    def _check(self, answer: Answer, inputs: Tensors) -> int:
        token = answer.request.token
        if token is not None and token.limits.values is not None:
            check_values(token, sum(value.size for value in inputs.values()))
        return self._fits.rows(inputs)

    def _copy(self, job: Job) -> None:
        if self.mirror is not None:
            self.mirror(job)

    def _count(self, jobs: Sequence[Job]) -> None:
        metrics = self.metrics
        first = jobs[0]
        metrics.predict_seconds.observe(first.finished - first.started)
        metrics.batch_rows.observe(first.batch_rows)
        for job in jobs:
            metrics.queue_seconds.observe(job.started - job.queued)

    def about(self) -> dict[str, Any]:
        """Returns what a caller may know of it, as JSON-able values."""
        description, files = self.description, self.decoder.files
        return {
            "model": self.name,
            "version": self.version,
            "ref": self.source.ref,
            "alias": self.source.alias,
            "task": description.task if description else None,
            "modality": description.modality if description else None,
            "files": None if files is None else files.to_json(),
            "labels": list(description.labels) if description else [],
            "signature": self.signature.to_json(),
            "is_batched": self.batcher.can_batch,
            "since": self.since,
        }


def _told(error: Exception) -> WorkbenchError:
    if isinstance(error, WorkbenchError):
        return error
    return ModelError(f"The answer could not be written: {type(error).__name__}.")
