"""HTTP/1.1 on a socket, parsed by httptools (llhttp): requests out, responses back in order.

Knows limits and time-outs, but no route and no model.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol, cast

import httptools

from workbench.core.errors import WorkbenchError
from workbench.serving.answer import Answer
from workbench.serving.errors import BadRequestError, not_http, too_slow
from workbench.serving.isolation import each
from workbench.serving.known_head import KnownHead, learn
from workbench.serving.limits import Limits, Stall
from workbench.serving.messages import Request, error_response
from workbench.serving.outbox import Outbox
from workbench.serving.places import Places

_DISCARD_BYTES = 64 * 1024
_MAX_PIPELINED = 64


class Application(Protocol):
    """What stands behind the connections."""

    limits: Limits
    outbox: Outbox
    connections: Places[HttpConnection]
    is_draining: bool

    def admit(self, request: Request) -> None:
        """Raises when the head alone shows that the request will be refused."""

    def admit_again(self, request: Request) -> None:
        """Raises when a request with the head of an admitted one will be refused now."""

    def handle(self, answer: Answer, refusal: WorkbenchError | None) -> None:
        """Answers a complete request, now or later; never raises."""


class HttpConnection(asyncio.Protocol):
    """One connection: keep-alive, pipelining in order, limits, half-close.

    Once `_is_ending`, nothing further is read: the last request was taken, or one was refused.
    Once `_ended`, nothing further is written.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._limits = app.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[Answer] = deque()
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
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
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
        pending, self._pending = self._pending, deque()
        each(pending, Answer.drop)

    def data_received(self, data: bytes) -> None:
        """Takes what repeats a known head; all else goes through the parser."""
        while data and not self._is_ending:
            if self._missing:
                data = self._take_body(data)
                continue
            if self._in_message:
                self._parse(data)
                return
            self._active = self._loop.time()
            found = self._known.match(data) if self._known is not None else None
            if found is None or not self._take_known(data, *found):
                self._first = data
                self._parse(data)
                return
            data = data[sum(found) :]
        self._sends_on = self._sends_on or bool(data)

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
        if self._in_message and not self._is_ending:
            self._reset()
        if self._is_encrypted or any(answer.request.in_pieces for answer in self._pending):
            return False  # TLS knows no half-closed state
        return bool(self._pending)

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
        self._target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count_head(len(name) + len(value))
        name = name.lower()
        if name in self._headers:
            if name == b"host":
                raise BadRequestError("Got two Host headers; a request has one.")
            value = self._headers[name] + b", " + value
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Refuses early what the head alone rules out; lets an expecting caller go on."""
        self._has_head = True
        method = self._parser.get_method().decode("latin-1")
        request = self._request = Request(method, self._target, self._headers)
        request.address = self._address
        length = self._headers.get(b"content-length")
        announced = int(length) if length and length.isdigit() else 0
        try:
            self._check_head(request, announced)
        except WorkbenchError as error:
            if announced > _DISCARD_BYTES or b"transfer-encoding" in self._headers:
                raise
            self._refusal = error
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._answer_expectation()

    def on_body(self, data: bytes) -> None:
        """A piece of the body, already de-chunked."""
        self._body_bytes += len(data)
        if self._body_bytes > self._limits.body_bytes:
            raise self._limits.too_large(self._body_bytes)
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Hands a complete request on."""
        request, refusal = self._request, self._refusal
        if request is None or self._is_ending:
            return
        request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        close = self._parser.should_upgrade() or not self._parser.should_keep_alive()
        close = close or self._parser.get_http_version() == "1.0"
        if refusal is None and not close and request.route is not None and request.route.predicts:
            self._known = learn(self._first, request)
        self._first = b""
        self._hand_on(request, refusal, close=close)

    # known heads ---------------------------------------------------------------------------

    def _take_known(self, data: bytes, begin: int, length: int) -> bool:
        """Begins a request whose head is known; False leaves `data` to the parser.

        Args:
            data: Begins with the head.
            begin: Where the body begins in it.
            length: Of the body.
        """
        if self._known is None or length > self._limits.body_bytes:
            return False
        request = self._known.request.again()
        try:
            self._app.admit_again(request)
        except WorkbenchError:
            return False
        if len(data) >= begin + length:
            request.body = data[begin : begin + length]
            self._hand_on(request, None, close=False)
        else:
            self._request, self._in_message, self._has_head = request, True, True
            self._body, self._body_bytes = [data[begin:]], len(data) - begin
            self._missing = length - self._body_bytes
        return True

    def _take_body(self, data: bytes) -> bytes:
        """Takes what is missing of the body after a known head; returns what lies behind it."""
        piece = data[: self._missing]
        self._body.append(piece)
        self._body_bytes += len(piece)
        self._missing -= len(piece)
        request = self._request
        if not self._missing and request is not None:
            request.body = b"".join(self._body)
            self._hand_on(request, None, close=False)
        return data[len(piece) :]

    def _hand_on(self, request: Request, refusal: WorkbenchError | None, *, close: bool) -> None:
        """Has a complete request answered."""
        close = close or self._app.is_draining
        answer = Answer(self, request, perf_counter(), close=close)
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
            answer.chunks = []
            if not answer.is_done:
                break
            pending.popleft()
            close = answer.close
        if out and not transport.is_closing():
            transport.write(out[0] if len(out) == 1 else b"".join(out))
        if pending:
            self._tell_room()
        is_last = self._is_half_closed or (self._app.is_draining and not self._in_message)
        if close or (is_last and not pending):
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
            allowed = limits.body_s + self._body_bytes / limits.body_bytes_per_s
            if waited > allowed:
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

    def _check_head(self, request: Request, announced: int) -> None:
        if announced > self._limits.body_bytes:
            raise self._limits.too_large(announced)
        if b"host" not in request.headers and self._parser.get_http_version() == "1.1":
            raise BadRequestError("Got no Host header; HTTP/1.1 needs one.")
        self._app.admit(request)
        if not self._is_known and request.token is not None:
            self._is_known = True
            self._app.connections.know(self)

    def _answer_expectation(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._transport is not None and not self._pending:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            raise self._limits.head_too_large()

    def _refuse(self, error: WorkbenchError) -> None:
        """Answers outside the order of requests, after those still owed, and ends."""
        self._sends_on = True
        if self._transport is None or self._is_ending:
            return
        request = self._request or Request("GET", self._target or b"/", self._headers)
        answer = Answer(self, request, perf_counter(), close=True)
        self._reset()
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

    def _tell_room(self) -> None:
        """Lets an answer in pieces go on whose turn it is, if its caller reads."""
        if self._is_writable and self._pending:
            self._pending[0].taken()

    def _steer_reading(self) -> None:
        transport = self._transport
        should_read = self._is_writable and len(self._pending) < _MAX_PIPELINED
        if transport is None or transport.is_closing() or should_read == self._is_reading:
            return
        self._is_reading = should_read
        if should_read:
            transport.resume_reading()
        else:
            transport.pause_reading()
