"""Writes an answer in pieces as its reader takes them, and counts it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from workbench.core.errors import WorkbenchError
from workbench.serving.answer import Answer, Headers
from workbench.serving.messages import Response
from workbench.serving.metrics import ModelMetrics
from workbench.serving.streams import Stream

_OK = 200


class Form(Protocol):
    """How pieces are framed. See `PieceForm`."""

    @property
    def headers(self) -> Headers:
        """Of the response."""

    @property
    def end(self) -> bytes:
        """What follows the last piece."""

    def piece(self, data: bytes) -> bytes:
        """Returns a piece as it is sent."""

    def error(self, data: bytes) -> bytes:
        """Returns an error as it is sent."""


async def write_pieces(
    answer: Answer, pieces: Stream, form: Form, tell: Callable[[WorkbenchError], Response]
) -> None:
    """Fills an answer from a stream, and ends the stream however that goes.

    The status leaves with the first piece: what fails before is refused as any other request.

    Args:
        answer: Is filled; its deadline cuts the stream.
        pieces: Are read.
        form: Of the body.
        tell: Gives an error in the middle its form; the body of that is the last piece.

    Raises:
        WorkbenchError: The stream failed before its first piece.
    """
    answer.cut, answer.pieces = pieces.cut, 0
    count = _Count(answer, None if answer.served is None else answer.served.metrics)
    try:
        async for piece in pieces:
            answer.start(_OK, form.headers, has_length=False)
            answer.write(form.piece(piece))
            count.add()
            await answer.room()
        answer.start(_OK, form.headers, has_length=False)
        answer.write(form.end)
        answer.finish()
    except WorkbenchError as error:
        if not answer.is_started:
            raise
        answer.write(form.error(tell(error).body))
        answer.finish_failed(error)
    finally:
        answer.cut = None
        pieces.drop()
        count.end()


class _Count:
    """What is counted of one stream."""

    def __init__(self, answer: Answer, metrics: ModelMetrics | None) -> None:
        self._answer, self._metrics = answer, metrics
        self._last = answer.arrived
        if metrics is not None:
            metrics.streams += 1

    def add(self) -> None:
        """Notes that a piece was written."""
        answer, now = self._answer, perf_counter()
        seconds, self._last = now - self._last, now
        is_first = not answer.pieces
        answer.pieces = (answer.pieces or 0) + 1
        if is_first:
            answer.first_s = seconds
        metrics = self._metrics
        if metrics is not None:
            metrics.pieces += 1
            (metrics.first_piece_seconds if is_first else metrics.piece_seconds).observe(seconds)

    def end(self) -> None:
        """Notes that the stream is over."""
        if self._metrics is not None:
            self._metrics.streams -= 1
