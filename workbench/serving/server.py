"""The endpoint's server: admits requests, hands them to dialects or the ASGI app, counts."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Sequence
from operator import methodcaller
from time import perf_counter
from typing import Any

from workbench.core.errors import UnexpectedError, WorkbenchError
from workbench.serving import console
from workbench.serving.answer import Answer
from workbench.serving.app import app_error, make_app
from workbench.serving.asgi import run_app
from workbench.serving.body_room import BodyRoom
from workbench.serving.deadlines import limit, read_headers
from workbench.serving.gateway import Gateway
from workbench.serving.http import HttpConnection
from workbench.serving.intake import Intake
from workbench.serving.isolation import alone, each
from workbench.serving.limits import ORDER_BYTES, Limits
from workbench.serving.messages import Request, Response
from workbench.serving.metrics import Metrics, ModelMetrics
from workbench.serving.outbox import Outbox
from workbench.serving.payloads import PayloadLog
from workbench.serving.places import Places
from workbench.serving.protocol import Dialect, Endpoint
from workbench.serving.request_log import REFUSED, Lines, RequestLog
from workbench.serving.routes import Route, RouteTable
from workbench.serving.security import check_body
from workbench.serving.served import Served
from workbench.serving.tls_listener import BACKLOG, TlsListener

_LOGGER = logging.getLogger(__name__)
_SWEEP_S = 1.0
_DRAIN_STEP_S = 0.01
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Server:
    """Listens on one address and answers.

    Args:
        endpoint: Models and gate.
        dialects: The protocol plug-ins to speak.
        metrics: Counters.
        log: The request log; None keeps none.
        payloads: The log of samples and answers; None keeps none.
        limits: Of each connection.
        pages: Further routes of the app.
        gateway: What stands before it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialects: Sequence[Dialect],
        metrics: Metrics,
        log: RequestLog | None = None,
        payloads: PayloadLog | None = None,
        limits: Limits | None = None,
        pages: Sequence[Route] = (),
        gateway: Gateway | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.connections: Places[HttpConnection] = Places(
            self.limits.connections, self.limits.share
        )
        self.outbox = Outbox()
        self.intake = Intake()
        self.room = BodyRoom(self.limits.buffered_bytes)
        self.is_draining = False
        self._endpoint = endpoint
        self._dialects = {dialect.key: dialect for dialect in dialects}
        self._table = RouteTable(r for d in dialects for r in d.routes(endpoint))
        self._metrics = metrics
        self._gateway = None if gateway == Gateway() else gateway
        self._root_path = "" if gateway is None else gateway.root_path.decode()
        self._log = log
        self._payloads = payloads
        self._lines = Lines()
        self._app = make_app(endpoint, metrics, dialects, pages)
        self._server: asyncio.Server | TlsListener | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_asked = self._looked = 0.0
        self._idle_s = float("inf")
        self._on_idle: Callable[[], None] = lambda: None
        self._on_asked: Callable[[], None] = lambda: None

    async def start(
        self,
        host: str,
        port: int,
        *,
        shares_port: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Listens; returns the port, which the system chooses if `port` is 0.

        Args:
            host: Address.
            port: 0 lets the system choose.
            shares_port: Whether other processes may listen on it, too.
            tls: None speaks plain HTTP.
        """
        loop = asyncio.get_running_loop()
        if tls is None:
            self._server = await loop.create_server(
                lambda: HttpConnection(self),
                host,
                port,
                backlog=BACKLOG,
                reuse_port=shares_port or None,
            )
        else:
            self._server = TlsListener(self, tls)
            await self._server.start(host, port, shares_port=shares_port)
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep)
        return int(self._server.sockets[0].getsockname()[1])

    def watch_idle(
        self,
        idle_s: float,
        on_idle: Callable[[], None],
        on_asked: Callable[[], None] = lambda: None,
    ) -> None:
        """Tells whether predictions are asked for.

        Args:
            idle_s: Time after which nobody asks.
            on_idle: Called once when none was asked for during that time.
            on_asked: Called about once a second while some are.
        """
        self._last_asked = self._looked = perf_counter()
        self._idle_s, self._on_idle, self._on_asked = idle_s, on_idle, on_asked

    async def drain(self, timeout_s: float) -> bool:
        """Takes no new connection, answers what was begun; returns whether all was answered."""
        self.is_draining = True
        if self._server is not None:
            self._server.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self.connections and loop.time() < deadline:
            each(self.connections, methodcaller("drain"), methodcaller("abort"))
            await asyncio.sleep(_DRAIN_STEP_S)
        is_complete = not any(connection.is_owing for connection in self.connections)
        each(self.connections, methodcaller("abort"))
        if self._sweeper is not None:
            self._sweeper.cancel()
        return is_complete

    # Application ---------------------------------------------------------------------------

    def admit(self, request: Request) -> None:
        """Checks Host, route, token and its limits from the head alone.

        Raises:
            WorkbenchError: The request is refused.
        """
        gate = self._endpoint.gate
        if self._gateway is not None:
            self._gateway.receive(request)
        if request.path not in console.PATHS:
            gate.check_host(request)
        match = self._table.find(request.method, request.path)
        if match is None:
            request.token = self._app.admit(request)
            return
        request.route, request.params = match.route, match.params
        token = gate.check(request, match.route.scope)
        if token is not None:
            request.caller, request.token = token.name, token
            if match.route.predicts:
                length = request.headers.get(b"content-length", b"")
                gate.spend(token, int(length) if length.isdigit() else 0)

    def most_body(self, request: Request) -> int:
        """Returns how many bytes an admitted request may bring."""
        limits, route = self.limits, request.route
        if request.method not in _WITH_BODY:
            return min(limits.small_body_bytes, limits.body_bytes)
        is_data = route is not None and route.predicts
        return limits.body_bytes if is_data else min(ORDER_BYTES, limits.body_bytes)

    def admit_again(self, request: Request) -> None:
        """Checks what may have changed since a request with the same head was admitted.

        Raises:
            WorkbenchError: The request is refused.
        """
        route = request.route
        if route is not None:
            self._endpoint.gate.check_again(request, route.scope)

    def handle(self, answer: Answer, refusal: WorkbenchError | None) -> None:
        """Answers one request; the border where every failure becomes a response."""
        answer.on_done = self._count
        route = answer.request.route
        try:
            if route is not None and route.dialect in self._dialects:
                answer.to_response = self._dialects[route.dialect].error
            elif route is None:
                answer.to_response = app_error
            if refusal is not None:
                answer.fail(refusal)
            elif route is None:
                self._spawn(run_app(self._app, answer, self._root_path), answer)
            else:
                self._begin(route, answer)
        except WorkbenchError as error:
            answer.fail(error)
        except Exception as error:  # noqa: BLE001 (the border of requests)
            self._fail_unexpectedly(answer, error)
        if route is not None and route.predicts and answer.served and not answer.is_done:
            answer.served.metrics.in_flight += 1
            answer.is_counted = True

    def _begin(self, route: Route, answer: Answer) -> None:
        request = answer.request
        token = request.token
        if token is not None and token.limits.body_bytes is not None:
            check_body(token, len(request.body))
        if route.predicts:
            self._last_asked = answer.arrived
            seconds = read_headers(request)
            if seconds is not None:
                limit(answer, seconds)
        result = route.handler(request, answer)
        if isinstance(result, Response):
            answer.send(result)
        elif result is not None:
            self._spawn(_send(result, answer), answer)

    def _spawn(self, work: Coroutine[Any, Any, None], answer: Answer) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(work, answer))
        answer.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began

    async def _guard(self, work: Coroutine[Any, Any, None], answer: Answer) -> None:
        try:
            await work
        except WorkbenchError as error:
            answer.fail(error)
        except Exception as error:  # noqa: BLE001 (the border of requests)
            self._fail_unexpectedly(answer, error)

    def _fail_unexpectedly(self, answer: Answer, error: Exception) -> None:
        path = answer.request.path.decode("latin-1")
        _LOGGER.exception("%s %s failed", answer.request.method, path, exc_info=error)
        answer.fail(unexpected(error))

    # counting ------------------------------------------------------------------------------

    def _count(self, answer: Answer) -> None:
        ended = perf_counter()
        seconds = ended - answer.arrived
        request = answer.request
        route = request.route
        served = answer.served if route is not None and route.predicts else None
        dialect = route.dialect if route is not None else "app"
        job = answer.job
        around = (0.0, 0.0)
        if job is not None and job.batch_rows:
            encode = ended - job.finished
            around = (max(0.0, seconds - encode - (job.finished - job.queued)), encode)
        if request.caller is not None:
            self._metrics.count_key(request.caller, answer.status)
        if served is None:
            self._metrics.count_other(dialect, answer.status)
        else:
            metrics = served.metrics
            answered_s = answer.first_s if answer.pieces else seconds
            metrics.count(dialect, answer.status, answered_s)
            if job is not None and job.batch_rows:
                metrics.decode_seconds.observe(around[0])
                metrics.encode_seconds.observe(around[1])
            if answer.error_code is not None:
                code = answer.error_code
                metrics.errors[code] = metrics.errors.get(code, 0) + 1
            if answer.is_counted:
                metrics.in_flight -= 1
            if self._payloads is not None:
                answer.kept = self._payloads.offer(answer)
            if served.watch is not None:
                _watch(answer, served, answered_s)
        if self._log is not None and route is not None and route.scope is not None:
            self._note(self._log, answer, dialect, seconds, around)

    def _note(self, log: RequestLog, answer: Answer, dialect: str, *times: Any) -> None:
        if answer.status in REFUSED:
            log.leave_out(answer)
        else:
            log.add(self._lines.of(answer, dialect, *times))

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(_SWEEP_S, self._sweep)
        now_s = loop.time()
        each(self.connections, methodcaller("sweep", now_s), methodcaller("abort"))
        each(self._metrics.models.values(), ModelMetrics.fold)
        alone(self._look_idle)

    def _look_idle(self) -> None:
        if self._last_asked > self._looked:
            self._looked = self._last_asked
            self._on_asked()
        if perf_counter() - self._last_asked > self._idle_s:
            self._idle_s = float("inf")
            self._on_idle()


def _watch(answer: Answer, served: Served, answered_s: float) -> None:
    """Tells a version's budget of an answer for which its model ran; never of how it was read."""
    job, request = answer.job, answer.request
    if answer.pieces is None and (job is None or not job.has_run):
        return
    own_s = answered_s
    if answer.pieces is None and job is not None:
        own_s = answered_s - (job.started - job.queued) if job.rows <= served.max_rows else 0.0
    if served.watch is not None:
        served.watch(answer.status, own_s, (request.caller, request.user))


def unexpected(error: Exception) -> UnexpectedError:
    """Returns what a caller is told of a defect."""
    return UnexpectedError(
        f"The endpoint failed on this request: {type(error).__name__}.",
        hint="The trace is in the endpoint's log; please report it.",
    )


async def _send(work: Coroutine[Any, Any, Response | None], answer: Answer) -> None:
    response = await work
    if response is not None:
        answer.send(response)
