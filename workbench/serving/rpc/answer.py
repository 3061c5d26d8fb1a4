"""The answer to a call as bytes of messages, and who waits for it."""

from __future__ import annotations

import asyncio

from workbench.core.errors import WorkbenchError
from workbench.serving.answer import Answer
from workbench.serving.messages import Response


class Turn:
    """Waits for an answer; apart from it, so that no answer refers to itself."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    def flush(self) -> None:
        """Lets the call go on: something is to be sent."""
        self.done.set()


class RpcAnswer(Answer):
    """The one answer to a call.

    Attributes:
        body: Bytes of the message.
        error: What is told instead.
    """

    body = b""
    error: WorkbenchError | None = None

    def send(self, response: Response) -> None:
        """Answers; ignored if that was done already."""
        if not self.is_started:
            self.is_started = True
            self.status, self.body = response.status, response.body
            self._end()

    def fail(self, error: WorkbenchError) -> None:
        """Answers with an error."""
        if not self.is_done:
            self.is_started = True
            self.status, self.error_code, self.error = error.http_status, error.code, error
            self._end()
