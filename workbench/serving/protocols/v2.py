"""Open Inference Protocol, version 2: REST with JSON, and the binary tensor extension.

Source: https://github.com/kserve/open-inference-protocol and, for binary tensors, the repository
index and the configuration, extension_binary_data.md, extension_model_repository.md and
extension_model_configuration.md in
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.core.errors import InputError, WorkbenchError
from workbench.core.signature import TensorSpec
from workbench.serving.answer import Answer
from workbench.serving.apart import Work
from workbench.serving.binary import DATATYPES
from workbench.serving.deadlines import limit
from workbench.serving.engine import Tensors
from workbench.serving.errors import BadRequestError
from workbench.serving.infer_request import Call, CallReader, call_of, json_end
from workbench.serving.infer_response import json_tensor, write_outputs
from workbench.serving.jsonbody import check_encoding, is_heavy, json_kind, parse_order
from workbench.serving.limits import INLINE_BYTES
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.piece_forms import EVENTS, LINES, form_for
from workbench.serving.piecewise import write_pieces
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.routes import Route
from workbench.serving.schemas import object_schema
from workbench.serving.served import Served
from workbench.serving.v2_facts import config_facts, model_facts, server_facts
from workbench.serving.v2_repository import load, models_of, unload


class V2(Dialect):
    """The dialect that Triton, KServe, MLServer and Seldon share."""

    summary = "Open Inference Protocol V2 (REST, JSON and binary tensors)"
    piece_media = (LINES.decode(), EVENTS.decode())

    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns the paths of the specification."""
        ask = _Questions(endpoint)
        key = self.key
        routes = [
            Route("GET", "/v2/health/live", None, ask.live, key, "Whether it runs"),
            Route(
                "GET",
                "/v2/health/ready",
                None,
                ask.ready,
                key,
                "Whether its models answer",
                not_ready=True,
            ),
            Route("GET", "/v2", "predict", ask.server, key, "The server and its extensions"),
            Route("GET", "/v2/", "predict", ask.server, key, "The server and its extensions"),
            Route("POST", "/v2/repository/index", "predict", ask.index, key, "List the models"),
        ]
        for verb, handler in (("load", ask.load), ("unload", ask.unload)):
            path = f"/v2/repository/models/{{model}}/{verb}"
            summary = f"{verb.title()} a model, or NAME@VERSION"
            routes.append(Route("POST", path, "manage", handler, key, summary))
        for base in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            routes += [
                Route("GET", base, "predict", ask.model, key, "Tensors and versions of a model"),
                Route("GET", f"{base}/config", "predict", ask.config, key, "Its configuration"),
                Route(
                    "GET", f"{base}/ready", "predict", ask.model_ready, key, "Whether it answers"
                ),
                Route("POST", f"{base}/infer", "predict", ask.infer, key, "Predict", True),
                Route(
                    "POST",
                    f"{base}/infer_stream",
                    "predict",
                    ask.infer_stream,
                    key,
                    "Predict in pieces: lines of JSON, or events for who accepts text/event-stream",
                    predicts=True,
                    in_pieces=True,
                ),
            ]
        return routes

    def request_schema(self, served: Served) -> dict[str, Any]:
        """Named tensors with shape and datatype; the data may be flat."""
        tensors = {"anyOf": [_tensor_schema(spec) for spec in served.signature.inputs]}
        count = len(served.signature.inputs)
        inputs = {"type": "array", "items": tensors, "minItems": count, "maxItems": count}
        optional = {"id": {"type": "string"}, "outputs": {"type": "array"}}
        return object_schema({"inputs": inputs}, {**optional, "parameters": {"type": "object"}})

    def response_schema(self, served: Served) -> dict[str, Any]:
        """Named tensors with shape, datatype and flat data."""
        tensors = {"anyOf": [_tensor_schema(spec) for spec in served.signature.outputs]}
        texts = {"model_name": {"type": "string"}, "model_version": {"type": "string"}}
        outputs = {"type": "array", "items": tensors}
        return object_schema({**texts, "outputs": outputs}, {"id": {"type": "string"}})

    def error_status(self, error: WorkbenchError) -> int:
        """Answers bad input with 400: open_inference_rest.yaml of the protocol knows no 422."""
        return 400 if error.http_status == InputError.http_status else error.http_status

    def error_fields(self, error: WorkbenchError) -> dict[str, Any]:
        """Adds the one field the specification asks for: the error in words."""
        return {"error": str(error)}

    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a JSON infer request."""
        tensors = b",".join(json_tensor(name, value) for name, value in inputs.items())
        return Example(
            "POST",
            f"/v2/models/{served.name}/infer",
            {"content-type": "application/json"},
            b'{"inputs":[%s]}' % tensors,
        )


class _Questions:
    """The handlers, over one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._router = endpoint.router

    def live(self, request: Request, answer: Answer) -> Response:
        return json_response({"live": True})

    def ready(self, request: Request, answer: Answer) -> Response:
        names = self._router.names()
        is_ready = bool(names) and not self._endpoint.is_draining()
        body: dict[str, Any] = {"ready": is_ready}
        token = self._endpoint.gate.known(request)
        if token is not None:
            seen = self._endpoint.followers
            body["models"] = [served.about() for served in self._router.visible(token)]
            body["following"] = [item.about() for item in seen if token.allows(item.name)]
            if self._endpoint.team is not None:
                body["workers"] = self._endpoint.team.about()
            models = self._endpoint.models
            if models is not None and models.state_problem and token.covers("manage"):
                body["state"] = models.state_problem
        return json_response(body, 200 if is_ready else 503)

    def server(self, request: Request, answer: Answer) -> Response:
        return json_response(server_facts())

    def index(self, request: Request, answer: Answer) -> Response:
        only_ready = _body(request).get("ready") is True
        rows = models_of(self._endpoint).index(request.token, only_ready=only_ready)
        return json_response([row.to_json() for row in rows])

    async def load(self, request: Request, answer: Answer) -> Response:
        model = request.params["model"]
        served = await load(self._endpoint, request, model, _parameters(request))
        return json_response([{"name": s.name, "version": s.version} for s in served])

    async def unload(self, request: Request, answer: Answer) -> Response:
        model = request.params["model"]
        served = await unload(self._endpoint, request, model, _parameters(request))
        return json_response([{"name": s.name, "version": s.version} for s in served])

    def model(self, request: Request, answer: Answer) -> Response:
        return json_response(model_facts(self._find(request, answer), self._router))

    def config(self, request: Request, answer: Answer) -> Response:
        return json_response(config_facts(self._find(request, answer)))

    def model_ready(self, request: Request, answer: Answer) -> Response:
        served = self._find(request, answer)
        return json_response({"name": served.name, "ready": True})

    def infer(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        check_encoding(request)
        end = _heavy_end(request, served) if len(request.body) > INLINE_BYTES else None
        if end is not None:
            return self._infer_apart(answer, served, request.body, end)
        call = self._reader(served).read(request)
        if call.timeout_s is not None:
            limit(answer, call.timeout_s)
        served.submit(
            answer,
            call.inputs,
            lambda outputs: write_outputs(served.name, served.version, call, outputs),
        )
        return None

    async def _infer_apart(self, answer: Answer, served: Served, body: bytes, end: int) -> Response:
        with served.use():
            call = await self._read_apart(served, body, end)
            if call.timeout_s is not None:
                limit(answer, call.timeout_s)
            outputs = await served.predict(answer, call.inputs)
        return await served.encoded(
            answer, lambda out: write_outputs(served.name, served.version, call, out), outputs
        )

    def infer_stream(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        check_encoding(request)
        return self._infer_stream(request, answer, served)

    async def _infer_stream(self, request: Request, answer: Answer, served: Served) -> None:
        with served.use():
            end = _heavy_end(request, served)
            if end is None:
                call = self._reader(served).read(request)
            else:
                call = await self._read_apart(served, request.body, end)
            _check_text(call)
            if call.timeout_s is not None:
                limit(answer, call.timeout_s)
            pieces = await served.pieces(
                answer,
                call.inputs,
                lambda outputs: write_outputs(served.name, served.version, call, outputs).body,
            )
            await write_pieces(answer, pieces, form_for(request), answer.to_response)

    def _reader(self, served: Served) -> CallReader:
        reader: CallReader | None = served.kept.get(PLUGIN.key)
        if reader is None:
            reader = served.kept[PLUGIN.key] = CallReader(served.signature)
        return reader

    async def _read_apart(self, served: Served, body: bytes, end: int) -> Call:
        work = Work("v2", served.signature, body, options={"end": end})
        found = await self._endpoint.apart.read(work)
        return call_of(found.inputs, found.facts)

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.answering(
            request, params["model"], params.get("version")
        )
        return served


def _heavy_end(request: Request, served: Served) -> int | None:
    """Returns where the JSON of a request ends whose reading may hold up others; None if none."""
    body = request.body
    if len(body) <= INLINE_BYTES:
        return None
    end = json_end(request)
    has_texts = len(body) - end > INLINE_BYTES and any(
        spec.dtype == "str" for spec in served.signature.inputs
    )
    return end if has_texts or is_heavy(body, end) else None


def _check_text(call: Call) -> None:
    if call.binary:
        raise BadRequestError(
            f"{', '.join(sorted(call.binary))}: wanted as bytes, but pieces are lines of JSON.",
            hint="Leave binary_data out, or ask ModelStreamInfer over gRPC for raw tensors.",
        )


def _body(request: Request) -> dict[str, Any]:
    return parse_order(request.body) if request.body else {}


def _parameters(request: Request) -> dict[str, Any]:
    found = _body(request).get("parameters") or {}
    if not isinstance(found, dict):
        raise BadRequestError(f"parameters: got {json_kind(found)}; an object would be right.")
    return found


def _tensor_schema(spec: TensorSpec) -> dict[str, Any]:
    rank = len(spec.shape)
    size = {"type": "integer", "minimum": 0}
    shape = {"type": "array", "items": size, "minItems": rank, "maxItems": rank}
    datatype = {"const": DATATYPES[spec.dtype]}
    required = {"name": {"const": spec.name}, "shape": shape, "datatype": datatype}
    return object_schema(required, {"data": {"type": "array"}, "parameters": {"type": "object"}})


PLUGIN = V2()
