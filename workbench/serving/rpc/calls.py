"""The calls of Open Inference Protocol V2 over gRPC: what each needs, and how it is answered."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import InputError, NotFoundError, WorkbenchError
from workbench.serving.answer import Answer
from workbench.serving.apart import Work
from workbench.serving.binary import DATATYPES
from workbench.serving.deadlines import limit
from workbench.serving.errors import TooLargeError
from workbench.serving.limits import INLINE_BYTES, ORDER_BYTES
from workbench.serving.messages import Request, Response
from workbench.serving.piece_forms import PieceForm
from workbench.serving.piecewise import write_pieces
from workbench.serving.protocol import Endpoint
from workbench.serving.routes import Handler, Route
from workbench.serving.rpc.coding import Call, call_of, encode, encode_end, encode_piece, parse
from workbench.serving.rpc.outline import outline
from workbench.serving.rpc.schema import Schema
from workbench.serving.rpc.status import words_of
from workbench.serving.served import Served
from workbench.serving.tokens import Scope
from workbench.serving.v2_facts import config_facts, model_facts, server_facts
from workbench.serving.v2_repository import load, models_of, unload

DIALECT = "grpc"
SERVICE = "inference.GRPCInferenceService"
_IN_PIECES = "ModelStreamInfer"
_HEALTH = "grpc.health.v1.Health/Check"
_PROTOBUF = b"application/grpc+proto"
_SERVING, _NOT_SERVING = 1, 2
# inference.DataType of model_config.proto numbers them in this order
_DATA_TYPES = {
    f"TYPE_{'STRING' if name == 'BYTES' else name}": number
    for number, name in enumerate(DATATYPES.values(), 1)
}


class Calls:
    """The handlers over one endpoint; requests and answers are the bytes of messages."""

    def __init__(self, endpoint: Endpoint, schema: Schema) -> None:
        self._endpoint = endpoint
        self._router = endpoint.router
        self._schema = schema

    def routes(self) -> dict[str, Route]:
        """Returns what is called, by the call's path."""

        def call(
            name: str, scope: Scope | None, handler: Handler, predicts: bool = False
        ) -> tuple[str, Route]:
            path = f"/{name if '/' in name else f'{SERVICE}/{name}'}"
            is_many = name == _IN_PIECES
            return path, Route("POST", path, scope, handler, DIALECT, name, predicts, is_many)

        return dict(
            [
                call("ServerLive", None, self._live),
                call("ServerReady", None, self._ready),
                call(_HEALTH, None, self._health),
                call("ServerMetadata", "predict", self._server),
                call("ModelReady", "predict", self._model_ready),
                call("ModelMetadata", "predict", self._model),
                call("ModelConfig", "predict", self._config),
                call("RepositoryIndex", "predict", self._index),
                call("RepositoryModelLoad", "manage", self._load),
                call("RepositoryModelUnload", "manage", self._unload),
                call("ModelInfer", "predict", self._infer, True),
                call(_IN_PIECES, "predict", self._stream, True),
            ]
        )

    def _live(self, request: Request, answer: Answer) -> Response:
        return self._response("Live", live=True)

    def _ready(self, request: Request, answer: Answer) -> Response:
        return self._response("Ready", ready=self._is_ready())

    def _health(self, request: Request, answer: Answer) -> Response:
        return self._response("Health", status=_SERVING if self._is_ready() else _NOT_SERVING)

    def _is_ready(self) -> bool:
        return bool(self._router.names()) and not self._endpoint.is_draining()

    def _server(self, request: Request, answer: Answer) -> Response:
        return self._response("Server", **server_facts())

    def _model_ready(self, request: Request, answer: Answer) -> Response:
        """A model that is not served is not ready, which is no error."""
        try:
            self._find(request, answer)
        except NotFoundError:
            return self._response("Ready", ready=False)
        return self._response("Ready", ready=True)

    def _model(self, request: Request, answer: Answer) -> Response:
        facts = model_facts(self._find(request, answer), self._router)
        return self._response("ModelMetadata", **facts)

    def _config(self, request: Request, answer: Answer) -> Response:
        facts = config_facts(self._find(request, answer))
        for tensor in (*facts["input"], *facts["output"]):
            tensor["data_type"] = _DATA_TYPES[tensor["data_type"]]
        return self._response("ModelConfig", config=facts)

    def _index(self, request: Request, answer: Answer) -> Response:
        message = self._read("IndexRequest", request.body)
        _check_repository(message.repository_name)
        rows = models_of(self._endpoint).index(request.token, only_ready=message.ready)
        return self._response("Index", models=[row.to_json() for row in rows])

    async def _load(self, request: Request, answer: Answer) -> Response:
        message = self._read("RepositoryModel", request.body)
        _check_repository(message.repository_name)
        await load(self._endpoint, request, message.model_name, message.parameters)
        return self._response("Nothing")

    async def _unload(self, request: Request, answer: Answer) -> Response:
        message = self._read("RepositoryModel", request.body)
        _check_repository(message.repository_name)
        await unload(self._endpoint, request, message.model_name, message.parameters)
        return self._response("Nothing")

    def _infer(self, request: Request, answer: Answer) -> Any:
        served, call = self._begin(request, answer)
        if call is None:
            return self._infer_apart(answer, served, request.body)
        served.submit(
            answer,
            call.inputs,
            lambda outputs: _response(encode(self._schema, served, call, outputs)),
        )
        return None

    async def _infer_apart(self, answer: Answer, served: Served, body: bytes) -> Response:
        with served.use():
            call = await self._read_apart(answer, served, body)
            outputs = await served.predict(answer, call.inputs)
        return await served.encoded(
            answer, lambda out: _response(encode(self._schema, served, call, out)), outputs
        )

    def _stream(self, request: Request, answer: Answer) -> Any:
        served, call = self._begin(request, answer)
        return self._infer_in_pieces(request, answer, served, call)

    async def _infer_in_pieces(
        self, request: Request, answer: Answer, served: Served, call: Call | None
    ) -> None:
        with served.use():
            known = call or await self._read_apart(answer, served, request.body)
            pieces = await served.pieces(
                answer,
                known.inputs,
                lambda outputs: encode_piece(self._schema, served, known, outputs),
            )
            form = PieceForm((), b"", b"", b"", encode_end(self._schema, served, known))
            await write_pieces(
                answer, pieces, form, lambda error: _response(self.tell_error(error))
            )

    def tell_error(self, error: WorkbenchError) -> bytes:
        """Returns the message that tells an error in a call that goes on."""
        return self._schema.write("StreamInferResponse", error_message=words_of(error))

    def _begin(self, request: Request, answer: Answer) -> tuple[Served, Call | None]:
        """Returns who answers, and what is asked; None for what is to be read apart."""
        if len(request.body) > INLINE_BYTES:
            told = outline(request.body)
            if told.is_heavy:
                name, version = told.model_name, told.model_version
                return self._answering(request, answer, name, version), None
        message = self._schema.read("InferRequest", request.body)
        served = self._answering(request, answer, message.model_name, message.model_version)
        call = parse(message, served.signature)
        if call.timeout_s is not None:
            limit(answer, call.timeout_s)
        return served, call

    async def _read_apart(self, answer: Answer, served: Served, body: bytes) -> Call:
        found = await self._endpoint.apart.read(Work("rpc", served.signature, body))
        call = call_of(found.inputs, found.facts)
        if call.timeout_s is not None:
            limit(answer, call.timeout_s)
        return call

    def _read(self, name: str, data: bytes) -> Any:
        """Returns a message that is an order or a question, not data."""
        if len(data) > ORDER_BYTES:
            raise TooLargeError(
                f"Got {len(data)} bytes; at most {ORDER_BYTES} would be right here."
            )
        return self._schema.read(name, data)

    def _find(self, request: Request, answer: Answer) -> Served:
        message = self._read("Model", request.body)
        return self._answering(request, answer, message.name, message.version)

    def _answering(self, request: Request, answer: Answer, name: str, version: str) -> Served:
        served = self._router.answering(request, name, version or None)
        answer.served = served
        return served

    def _response(self, name: str, /, **values: Any) -> Response:
        return _response(self._schema.write(name, **values))


def _check_repository(name: str) -> None:
    if name:
        raise InputError(
            f"Got the repository_name '{name[:60]}'; there is one repository, the registry.",
            hint="Leave repository_name out.",
        )


def _response(data: bytes) -> Response:
    return Response(200, data, content_type=_PROTOBUF)
