"""Listens for gRPC on a port of its own and hands each call to the endpoint's server.

Transport is grpcio's asyncio server on the endpoint's event loop. Knows no model: tokens, limits,
deadlines, counting and logs are those of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from time import perf_counter
from typing import Any
from urllib.parse import unquote

from workbench.core.errors import InputError, WorkbenchError, unknown_name
from workbench.core.host import open_files
from workbench.core.optional import require
from workbench.serving.deadlines import expire, limit
from workbench.serving.errors import MethodNotAllowedError
from workbench.serving.gateway import Gateway
from workbench.serving.limits import Limits
from workbench.serving.messages import Request
from workbench.serving.protocol import Endpoint
from workbench.serving.routes import Route
from workbench.serving.rpc.answer import RpcAnswer, Turn
from workbench.serving.rpc.calls import SERVICE, Calls
from workbench.serving.rpc.conversation import Conversation
from workbench.serving.rpc.schema import EXTRA, FOR, Schema
from workbench.serving.rpc.status import code_of, trailers_of, words_of
from workbench.serving.security import Gate
from workbench.serving.server import Server, unexpected
from workbench.serving.tls import Certificate

_LOGGER = logging.getLogger(__name__)
_NO_COMPRESSION = 1  # the bit of GRPC_COMPRESS_NONE
_JUST_NOW_S = 0.001
_HANDSHAKE_S, _STRANGERS = 2.0, 8


class RpcServer:
    """The gRPC side of an endpoint.

    Args:
        endpoint: Models and gate.
        server: Counts, logs and begins every call as it does HTTP requests.
        limits: `body_bytes` bounds a message, `connections` open calls; there may be
            up to eight times as many connections, if so many files may be open.
        gateway: What stands before it.

    Raises:
        MissingDependencyError: grpcio or protobuf is not installed.
    """

    def __init__(
        self, endpoint: Endpoint, server: Server, limits: Limits, gateway: Gateway
    ) -> None:
        self._grpc: Any = require("grpc", for_=FOR, extra=EXTRA)
        self._aio: Any = require("grpc.aio", for_=FOR, extra=EXTRA)
        self._calls = Calls(endpoint, Schema())
        self._routes = self._calls.routes()
        self._closing = asyncio.Event()
        self._gate: Gate = endpoint.gate
        self._server = server
        self._limits = limits
        self._gateway = gateway
        self._transport: Any = None

    async def start(
        self, host: str, port: int, *, shares_port: bool, certificate: Certificate | None
    ) -> int:
        """Listens; returns the port, which the system chooses if `port` is 0.

        grpcio takes 0.0.0.0 for every address of the machine, those of IPv6 among them.

        Raises:
            InputError: The address is taken, or not ours.
        """
        limits = self._limits
        options = {
            "grpc.so_reuseport": int(shares_port),
            "grpc.max_receive_message_length": limits.body_bytes,
            "grpc.max_send_message_length": -1,
            # idle ones make room for others soon: a client connects again by itself
            "grpc.max_connection_idle_ms": round(1e3 * min(limits.header_s, limits.keep_alive_s)),
            "grpc.keepalive_time_ms": round(1e3 * limits.keep_alive_s),
            "grpc.server_handshake_timeout_ms": round(1e3 * min(limits.header_s, _HANDSHAKE_S)),
            # beyond the calls: bare connections that never speak take these places for a moment
            "grpc.max_allowed_incoming_connections": _places(
                limits.connections, await _addresses(host)
            ),
            "grpc.compression_enabled_algorithms_bitset": _NO_COMPRESSION,
        }
        self._transport = transport = self._aio.server(
            options=list(options.items()), maximum_concurrent_rpcs=limits.connections
        )
        transport.add_generic_rpc_handlers((self,))
        address = f"{f'[{host}]' if ':' in host else host}:{port}"
        try:
            if certificate is None:
                bound = transport.add_insecure_port(address)
            else:
                pair = (certificate.key.read_bytes(), certificate.path.read_bytes())
                credentials = self._grpc.ssl_server_credentials((pair,))
                bound = transport.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise InputError(
                f"{address} cannot be listened on for gRPC: the port is taken or not ours.",
                hint="--grpc-port 0 lets the system choose a free one.",
            ) from error
        await transport.start()
        return int(bound)

    async def drain(self, timeout_s: float) -> bool:
        """Takes no new call, answers what was begun; returns whether all was answered."""
        if self._transport is None:
            return True
        self._closing.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._transport.stop(timeout_s)
        return loop.time() < deadline

    def service(self, details: Any) -> Any:
        """Returns what answers a call, from its path and metadata alone: grpcio's handler look-up.

        A refused caller's message is never read, nor that of a call which needs no token.
        """
        request = Request("POST", details.method.encode(), _headers(details.invocation_metadata))
        route = self._routes.get(details.method)
        refusal: WorkbenchError | None = None
        try:
            if route is None:
                raise _unknown(details.method, self._routes)
            self._admit(request, route)
        except WorkbenchError as error:
            refusal = error
        except Exception as error:
            _LOGGER.exception("the call %s could not be admitted", details.method)
            refusal = unexpected(error)
        if refusal is not None or route is None or route.scope is None:

            async def answer_unread(messages: Any, context: Any) -> bytes:
                return await self._answer(request, b"", context, refusal)

            return self._grpc.stream_unary_rpc_method_handler(answer_unread)

        if route.in_pieces:
            conversation = Conversation(
                self._server, self._gate, request, route, self._calls.tell_error
            )

            async def converse(messages: Any, context: Any) -> None:
                request.address = _address(context.peer())
                self._gateway.receive(request)
                await conversation.hold(context, self._aio.EOF, self._closing)

            return self._grpc.stream_stream_rpc_method_handler(converse)

        async def answer(data: bytes, context: Any) -> bytes:
            return await self._answer(request, data, context, None)

        return self._grpc.unary_unary_rpc_method_handler(answer)

    def _admit(self, request: Request, route: Route) -> None:
        request.route = route
        token = self._gate.check(request, route.scope)
        if token is not None:
            request.caller, request.token = token.name, token
            if route.predicts and not route.in_pieces:
                self._gate.spend(token, 0)

    async def _answer(
        self, request: Request, data: bytes, context: Any, refusal: WorkbenchError | None
    ) -> bytes:
        request.body, request.address = data, _address(context.peer())
        self._gateway.receive(request)
        turn = Turn()
        answer = RpcAnswer(turn, request, perf_counter(), close=False)
        left_s = context.time_remaining()
        try:
            if left_s is not None and request.route is not None and request.route.predicts:
                limit(answer, left_s)
            self._server.handle(answer, refusal)
            await turn.done.wait()
        except asyncio.CancelledError:
            if left_s is not None and context.time_remaining() < _JUST_NOW_S:
                expire(answer)
            answer.drop()
            raise
        if answer.error is not None:
            code = getattr(self._grpc.StatusCode, code_of(answer.error))
            await context.abort(code, words_of(answer.error), trailers_of(answer.error))
        return answer.body


async def _addresses(host: str) -> int:
    """Returns at how many addresses a host is listened on; grpcio counts for each by itself."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return max(1, len({address for *_, address in found}))


def _places(calls: int, addresses: int) -> int:
    """Returns how many connections each address may have open beside those of HTTP, and files."""
    files = open_files((_STRANGERS * addresses + 2) * calls)
    room = max(calls, files - 2 * calls)
    return max(1, min(_STRANGERS * calls, room // addresses))


def _headers(metadata: Any) -> dict[bytes, bytes]:
    """Returns a call's metadata as HTTP headers; repeated ones are joined."""
    found: dict[bytes, bytes] = {}
    for name, value in metadata or ():
        key = name.lower().encode("latin-1", "replace")
        data = value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")
        found[key] = found[key] + b", " + data if key in found else data
    return found


def _address(peer: str) -> str:
    """Returns the address in "ipv4:127.0.0.1:5000" or "ipv6:%5B::1%5D:5000"."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


def _unknown(path: str, known: dict[str, Route]) -> MethodNotAllowedError:
    """Returns the error for a call that is not answered, with the nearest one that is."""
    names = [name.rpartition("/")[2] for name in known if name.startswith(f"/{SERVICE}/")]
    is_ours = path.startswith(f"/{SERVICE}/")
    got = path.rpartition("/")[2] if is_ours else path.strip("/")
    found = unknown_name("call", got[:100], names)
    return MethodNotAllowedError(found.message, hint=found.hint)
