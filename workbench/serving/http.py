"""HTTP/1.1 on a socket, parsed by httptools (llhttp): requests out, responses back in order.

Knows limits and time-outs, but no route and no model.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import cast

import httptools

from workbench.core.errors import WorkbenchError
from workbench.serving.answer import Answer
from workbench.serving.application import Application
from workbench.serving.errors import BadRequestError, not_http, too_slow
from workbench.serving.incoming import Body, Head
from workbench.serving.intake import STEPS, step_end
from workbench.serving.isolation import each
from workbench.serving.known_head import KnownHead, learn
from workbench.serving.limits import Stall
from workbench.serving.messages import Request, error_response

_DISCARD_BYTES = 64 * 1024
_MAX_PIPELINED = 64


class HttpConnection(asyncio.Protocol):
    """One connection: keep-alive, pipelining in order, limits, half-close.

    Once `_is_ending`, nothing further is read: the last request was taken, or one was refused.
    Once `_ended`, nothing further is written.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._limits = app.limits
        self._room = app.room
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[Answer] = deque()
        self._waiting = b""  # what came and was not taken yet, from `_at` on
        self._at = 0
        self._is_queued = False
        self._is_reading = True
        self._is_writable = True
        self._is_ending = False
        self._sends_on = False
        self._is_half_closed = False
        self._is_known = False
        self._ended: float | None = None
        self._stall = Stall()
        self._active = self._loop.time()
        self._address = ""
        self._is_encrypted = False
        self._first = b""
        self._known: KnownHead | None = None
        self._reset()

    def _reset(self) -> None:
        self._in_message = False
        self._has_head = False
        self._head = Head(self._limits)
        self._body = Body(self._limits, self._room)
        self._missing = 0
        self._request: Request | None = None
        self._refusal: WorkbenchError | None = None

    # asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection, or says that there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._is_encrypted = transport.get_extra_info("sslcontext") is not None
        if not self._app.connections.take(self):
            self._refuse(self._limits.too_many())

    def connection_lost(self, exc: Exception | None) -> None:
        """Drops the work of a caller that is gone."""
        self._app.connections.leave(self)
        self._transport = None
        self._waiting = b""
        self._body.release()
        pending, self._pending = self._pending, deque()
        each(pending, Answer.drop)
        each(pending, self._release)

    def data_received(self, data: bytes) -> None:
        """Takes one request; what lies behind it has to wait for its turn."""
        if self._waiting or self._is_ending:
            self._sends_on = self._sends_on or self._is_ending
            self._waiting = b"" if self._is_ending else self._waiting[self._at :] + data
            self._at = 0
            return
        taken = len(self._pending)
        at = self._step(data, 0)
        if at < len(data):
            self._take_on(data, at, taken)

    def _take_on(self, data: bytes, at: int, taken: int) -> None:
        """Takes some of what came behind a first step; `taken` requests were there before."""
        for _ in range(STEPS):
            if at >= len(data) or self._is_ending or len(self._pending) != taken:
                break
            at = self._step(data, at)
        if at < len(data):
            self._leave(data, at)

    def take_more(self) -> None:
        """Takes a few steps of what waits."""
        self._is_queued = False
        data, at = self._waiting, self._at
        for _ in range(STEPS):
            if at >= len(data) or self._is_ending or not self._is_open:
                break
            at = self._step(data, at)
        if data:
            self._leave(data, at)

    def _leave(self, data: bytes, at: int) -> None:
        """Keeps what was not taken; whatever comes behind the last request is of no use."""
        if self._is_ending or at >= len(data) or self._transport is None:
            self._sends_on = self._sends_on or at < len(data)
            data, at = b"", 0
        self._waiting, self._at = data, at
        self._steer_reading()

    def _step(self, data: bytes, at: int) -> int:
        """Takes at most the bytes of one request, or some of them; returns where the rest is."""
        if self._missing:
            return self._take_body(data, at)
        known = self._known
        if known is not None and not self._in_message:
            end = self._take_known(known, data, at)
            if end:
                return end
        left = 0
        if self._in_message and self._has_head and not self._head.is_chunked:
            left = self._head.announced - len(self._body)
        end = step_end(data, at, left)
        piece = data[at:end]
        if not self._in_message:
            self._first = piece
        self._parse(piece)
        return end

    def _parse(self, data: bytes) -> None:
        """Feeds the parser; whatever is not HTTP is answered by 400 and the end."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_ending = self._sends_on = True
            if not self._pending:
                self._end()
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, WorkbenchError) else not_http(error))

    def eof_received(self) -> bool:
        """Keeps the way back open for a while if answers are due.

        A caller that closed its side may still read, or be gone: the bytes do not tell. An answer
        in pieces takes it for gone: nobody would notice before two more were made.
        """
        self._is_half_closed = True
        self._active = self._loop.time()
        if self._in_message and not self._is_ending and not self._waiting:
            self._give_up_body()
        if self._is_encrypted or any(answer.request.in_pieces for answer in self._pending):
            return False  # TLS knows no half-closed state
        return bool(self._pending or self._waiting)

    def pause_writing(self) -> None:
        """Stops reading from a caller that does not read."""
        self._is_writable = False
        self._steer_reading()

    def resume_writing(self) -> None:
        """Reads again."""
        self._is_writable = True
        self._steer_reading()
        self._tell_room()

    # httptools -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._is_ending:
            raise BadRequestError("Got a request after the last one of its connection.")
        if not self._is_known:
            self._app.connections.seen(self)
        self._reset()
        self._in_message = True
        self._active = self._loop.time()

    def on_url(self, url: bytes) -> None:
        """A piece of the request line's target."""
        self._head.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._head.add(name, value)

    def on_headers_complete(self) -> None:
        """Refuses early what the head alone rules out; lets an expecting caller go on."""
        self._has_head = True
        method = self._parser.get_method().decode("latin-1")
        request = self._request = Request(method, self._head.target, self._head.headers)
        request.address = self._address
        try:
            self._check_head(request)
        except WorkbenchError as error:
            if self._head.announced > _DISCARD_BYTES or self._head.is_chunked:
                raise
            self._refusal = error
        if not self._is_known and request.token is not None:
            self._know(request.token.name)
        if self._head.headers.get(b"expect", b"").lower() == b"100-continue":
            self._answer_expectation()

    def on_chunk_header(self) -> None:
        """A chunk of the body begins."""
        self._body.count_chunk()

    def on_body(self, data: bytes) -> None:
        """A piece of the body, already de-chunked."""
        if self._refusal is None:
            self._body.add(data)

    def on_message_complete(self) -> None:
        """Hands a complete request on."""
        request, refusal = self._request, self._refusal
        if request is None or self._is_ending:
            return
        request.body = self._body.hand_over()
        close = self._parser.should_upgrade() or not self._parser.should_keep_alive()
        close = close or self._parser.get_http_version() == "1.0"
        if refusal is None and not close and request.route is not None and request.route.predicts:
            self._known = learn(self._first, request)
        self._first = b""
        self._hand_on(request, refusal, close=close)

    # known heads ---------------------------------------------------------------------------

    def _take_known(self, known: KnownHead, data: bytes, at: int) -> int:
        """Begins a request whose head is known; returns where the rest is, 0 for the parser."""
        found = known.match(data, at)
        if found is None or found[1] > self._limits.body_bytes:
            return 0
        begin, length = found
        request = known.request.again()
        has_token = request.token is not None
        body = data[begin : begin + length]
        try:
            self._app.admit_again(request)
            self._room.take(len(body), has_token)
        except WorkbenchError:
            return 0
        if len(body) == length:
            request.body = body
            self._hand_on(request, None, close=False)
        else:
            self._reset()
            self._request, self._in_message, self._has_head = request, True, True
            self._active = self._loop.time()
            self._body.begin(body, length, is_known=has_token)
            self._missing = length - len(body)
        return begin + len(body)

    def _take_body(self, data: bytes, at: int) -> int:
        """Takes what is missing of the body after a known head; returns where the rest is."""
        piece = data[at : at + self._missing]
        try:
            self._body.add(piece)
        except WorkbenchError as error:
            self._refuse(error)
            return len(data)
        self._missing -= len(piece)
        request = self._request
        if not self._missing and request is not None:
            request.body = self._body.hand_over()
            self._hand_on(request, None, close=False)
        return at + len(piece)

    def _hand_on(self, request: Request, refusal: WorkbenchError | None, *, close: bool) -> None:
        """Has a complete request answered."""
        close = close or self._app.is_draining
        answer = Answer(self, request, perf_counter(), close=close)
        answer.held_bytes = len(request.body)
        self._is_ending = close
        self._pending.append(answer)
        if self._in_message:
            self._reset()
        if len(self._pending) >= _MAX_PIPELINED:
            self._steer_reading()
        self._app.handle(answer, refusal)

    # answers -------------------------------------------------------------------------------

    def flush(self) -> None:
        """Lets every answer whose turn it is leave at the end of this turn of the loop."""
        self._app.outbox.add(self)

    def write_out(self) -> None:
        """Writes every answer whose turn it is."""
        transport, pending = self._transport, self._pending
        if transport is None or self._ended is not None:
            return
        out: list[bytes] = []
        close = False
        while pending and not close:
            answer = pending[0]
            out += answer.chunks
            if not answer.is_done:
                answer.chunks = []
                break
            pending.popleft()
            self._release(answer)
            close = answer.close
        if out and not transport.is_closing():
            transport.write(out[0] if len(out) == 1 else b"".join(out))
        if pending:
            self._tell_room()
        is_last = self._is_half_closed or (self._app.is_draining and not self._in_message)
        if close or (is_last and not pending and not self._waiting):
            self._end()
        elif not self._is_reading:
            self._steer_reading()
        if not pending and not self._in_message:
            self._active = self._loop.time()

    def sweep(self, now: float) -> None:
        """Ends a connection that is too slow or idle; called about once a second."""
        limits, transport = self._limits, self._transport
        waited = now - self._active
        if transport is None:
            return
        unread = transport.get_write_buffer_size()
        if self._stall.is_over(unread, now, limits.body_s):
            transport.abort()
        elif self._ended is not None:
            if not unread and now - self._ended > limits.linger_s:
                transport.abort()
        elif self._in_message and not self._has_head and waited > limits.header_s:
            self._refuse(too_slow("head", limits.header_s))
        elif self._in_message and self._has_head:
            allowed = limits.body_s + len(self._body) / limits.body_bytes_per_s
            if waited > allowed and not self._waiting:
                self._refuse(too_slow("body", allowed))
        elif self._is_half_closed and waited > limits.half_closed_s:
            transport.abort()
        elif not self._pending and not self._in_message and waited > limits.keep_alive_s:
            self._end()

    def drain(self) -> None:
        """Ends the connection once what it owes is answered."""
        if self._pending and not self._in_message and not self._pending[-1].is_started:
            self._pending[-1].close = self._is_ending = True
        if not self._pending and not self._in_message:
            self._end()

    def abort(self) -> None:
        """Ends the connection now."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_answering(self) -> bool:
        """Whether a request was taken and not yet answered."""
        return bool(self._pending)

    @property
    def is_owing(self) -> bool:
        """Whether a request was begun or taken and not yet answered."""
        return bool(self._pending) or (self._in_message and not self._is_ending)

    # private -------------------------------------------------------------------------------

    def _check_head(self, request: Request) -> None:
        announced = self._head.announced
        if announced > self._limits.body_bytes:
            raise self._limits.too_large(announced)
        if b"host" not in request.headers and self._parser.get_http_version() == "1.1":
            raise BadRequestError("Got no Host header; HTTP/1.1 needs one.")
        self._app.admit(request)
        body = self._body
        body.is_known, body.most = request.token is not None, self._app.most_body(request)
        if announced > body.most:
            raise self._limits.too_large(announced, body.most)

    def _know(self, token: str) -> None:
        """Notes that a valid token came; who holds too many connections loses this one."""
        if not self._app.connections.know(self, token):
            raise self._limits.too_many_of(token)
        self._is_known = True

    def _answer_expectation(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._transport is not None and not self._pending:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _release(self, answer: Answer) -> None:
        """Frees the room that the body of an answered request took."""
        self._room.give(answer.held_bytes, answer.request.token is not None)

    def _give_up_body(self) -> None:
        self._body.release()
        self._reset()

    def _refuse(self, error: WorkbenchError) -> None:
        """Answers outside the order of requests, after those still owed, and ends."""
        self._sends_on = True
        if self._transport is None or self._is_ending:
            return
        head = self._head
        request = self._request or Request("GET", head.target or b"/", head.headers)
        answer = Answer(self, request, perf_counter(), close=True)
        self._give_up_body()
        self._waiting = b""
        self._is_ending = True
        self._pending.append(answer)
        answer.send(error_response(error))

    def _end(self) -> None:
        """Closes; a caller still sending first gets a moment to read why."""
        transport = self._transport
        if transport is None or self._ended is not None:
            return
        self._ended = self._loop.time()
        self._is_ending = True
        is_quiet = self._is_half_closed or not self._sends_on
        if is_quiet or not transport.can_write_eof():
            transport.close()
        else:
            transport.write_eof()

    @property
    def _is_open(self) -> bool:
        """Whether the caller reads its answers and waits for no more than it may."""
        return self._is_writable and len(self._pending) < _MAX_PIPELINED

    def _tell_room(self) -> None:
        """Lets an answer in pieces go on whose turn it is, if its caller reads."""
        if self._is_writable and self._pending:
            self._pending[0].taken()

    def _steer_reading(self) -> None:
        """Takes what waits before anything is read, and both only from a caller that reads."""
        transport, is_open = self._transport, self._is_open
        if transport is None or transport.is_closing():
            return
        if is_open and self._waiting and not self._is_queued:
            self._is_queued = True
            self._app.intake.add(self)
        should_read = is_open and not self._waiting
        if should_read == self._is_reading:
            return
        self._is_reading = should_read
        if should_read:
            transport.resume_reading()
        else:
            transport.pause_reading()
