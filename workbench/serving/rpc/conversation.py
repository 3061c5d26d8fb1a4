"""One call that carries many requests: each is answered in order, perhaps in pieces.

Triton's ModelStreamInfer. Each message is a request of its own: admitted, limited, counted and
logged as any other; one that fails is told in a message, and the call goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

from workbench.core.errors import WorkbenchError
from workbench.serving.deadlines import expire, limit
from workbench.serving.messages import Request
from workbench.serving.routes import Route
from workbench.serving.rpc.answer import RpcAnswer, Turn
from workbench.serving.security import Gate
from workbench.serving.server import Server

_JUST_NOW_S = 0.001
TellError = Callable[[WorkbenchError], bytes]


class Conversation:
    """Answers the messages of one call.

    Args:
        server: Begins and counts each request.
        gate: Who may call, looked at for each.
        head: The call, as it was admitted.
        route: What is called.
        tell: Returns the message that tells an error.
    """

    def __init__(
        self, server: Server, gate: Gate, head: Request, route: Route, tell: TellError
    ) -> None:
        self._server, self._gate = server, gate
        self._head, self._route = head, route
        self._tell = tell

    async def hold(self, context: Any, end: Any, closing: asyncio.Event) -> None:
        """Answers until the caller has sent all, or the endpoint ends.

        Args:
            context: Of the call.
            end: What reading gives after the last message.
            closing: Set when nothing further is begun.
        """
        while not closing.is_set():
            data = await _first(context.read(), closing)
            if data is None or data is end:
                return
            await self._answer(data, context)

    async def _answer(self, data: bytes, context: Any) -> None:
        request = self._head.again()
        request.body = data
        turn = Turn()
        answer = RpcPieces(turn, request, perf_counter(), close=False)
        left_s = context.time_remaining()
        try:
            if left_s is not None:
                limit(answer, left_s)
            self._server.handle(answer, self._refusal(request))
            await self._pass_on(answer, turn, context)
        except asyncio.CancelledError:
            if left_s is not None and context.time_remaining() < _JUST_NOW_S:
                expire(answer)
            raise
        finally:
            answer.drop()

    def _refusal(self, request: Request) -> WorkbenchError | None:
        try:
            self._gate.check_again(request, self._route.scope)
            if request.token is not None:
                self._gate.spend(request.token, 0)
        except WorkbenchError as error:
            return error
        return None

    async def _pass_on(self, answer: RpcPieces, turn: Turn, context: Any) -> None:
        """Writes what comes, at the pace of the caller."""
        is_last = False
        while not is_last:
            await turn.done.wait()
            turn.done.clear()
            is_last = answer.is_done
            messages, answer.chunks = answer.chunks, []
            for message in messages:
                await context.write(message)
            answer.taken()
        if answer.error is not None:
            await context.write(self._tell(answer.error))


class RpcPieces(RpcAnswer):
    """One answer of several messages."""

    def start(self, status: int, headers: Any, *, has_length: bool) -> None:
        """Begins; messages have neither headers nor chunks."""
        if not self.is_started:
            self.is_started = True
            self.status = status

    def write(self, data: bytes) -> None:
        """Sends a message."""
        if data and not self.is_done:
            self.chunks.append(data)
            self._line.flush()


async def _first(reading: Any, closing: asyncio.Event) -> Any:
    """Returns what reading gives; None if the endpoint ends before."""
    works = [asyncio.ensure_future(reading), asyncio.ensure_future(closing.wait())]
    try:
        await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        return works[0].result() if works[0].done() else None
    finally:
        for work in works:
            work.cancel()
