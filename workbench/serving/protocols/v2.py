"""Open Inference Protocol, version 2: REST with JSON, and the binary tensor extension.

Source: https://github.com/kserve/open-inference-protocol and, for binary tensors, the repository
index and the configuration, extension_binary_data.md, extension_model_repository.md and
extension_model_configuration.md in
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from workbench.core.errors import InputError, WorkbenchError, did_you_mean
from workbench.core.signature import TensorSpec
from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.binary import DATATYPES, datatype_of, pack, unpack
from workbench.serving.deadlines import limit, read_parameter
from workbench.serving.engine import Tensors
from workbench.serving.errors import BadRequestError
from workbench.serving.jsonbody import check_encoding, json_kind, parse_object
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.routes import Route
from workbench.serving.schemas import object_schema
from workbench.serving.served import Served
from workbench.serving.tensors import as_tensor, check_finite, input_error
from workbench.serving.v2_facts import config_facts, model_facts, server_facts
from workbench.serving.v2_repository import load, models_of, unload

_HEADER_LENGTH = b"inference-header-content-length"
_OCTETS = b"application/octet-stream"


@dataclass(frozen=True)
class Call:
    """A parsed infer request.

    Attributes:
        inputs: Tensors by name.
        id: The caller's own id for the request.
        wanted: Names of the outputs asked for; empty for all.
        binary: Names of the outputs to send as bytes.
        timeout_s: How long the caller waits; None for ever.
    """

    inputs: Tensors
    id: str | None
    wanted: tuple[str, ...]
    binary: frozenset[str]
    timeout_s: float | None = None


class V2(Dialect):
    """The dialect that Triton, KServe, MLServer and Seldon share."""

    summary = "Open Inference Protocol V2 (REST, JSON and binary tensors)"

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

    def error_fields(self, error: WorkbenchError) -> dict[str, Any]:
        """Adds the one field the specification asks for: the error in words."""
        return {"error": str(error)}

    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a JSON infer request."""
        body = {"inputs": [_to_json(name, value) for name, value in inputs.items()]}
        return Example(
            "POST",
            f"/v2/models/{served.name}/infer",
            {"content-type": "application/json"},
            orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY),
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

    def infer(self, request: Request, answer: Answer) -> None:
        served = self._find(request, answer)
        check_encoding(request)
        call = _parse(request, served)
        if call.timeout_s is not None:
            limit(answer, call.timeout_s)
        served.submit(answer, call.inputs, lambda outputs: _encode(served, call, outputs))

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.answering(
            request, params["model"], params.get("version")
        )
        return served


def _body(request: Request) -> dict[str, Any]:
    return parse_object(request.body) if request.body else {}


def _parameters(request: Request) -> dict[str, Any]:
    found = _body(request).get("parameters") or {}
    if not isinstance(found, dict):
        raise BadRequestError(f"parameters: got {json_kind(found)}; an object would be right.")
    return found


def _parse(request: Request, served: Served) -> Call:
    header, blobs = _split(request)
    body = parse_object(header)
    items = body.get("inputs")
    if not isinstance(items, list):
        raise BadRequestError(
            f"inputs: got {json_kind(items) if 'inputs' in body else 'nothing'}; "
            "a list of tensors would be right.",
            hint='As in {"inputs": [{"name": …, "shape": …, "datatype": …, "data": …}]}.',
        )
    specs = {spec.name: spec for spec in served.signature.inputs}
    inputs: dict[str, NDArray[Any]] = {}
    problems: list[str] = []
    for place, item in enumerate(items):
        try:
            name, value, blobs = _tensor(item, place, specs, blobs)
            if name in inputs:
                problems.append(f"{name}: given twice; once would be right")
            inputs[name] = value
        except InputError as error:
            problems.append(error.message)
    if len(blobs):
        problems.append(f"the body has {len(blobs)} bytes more than its tensors need")
    wanted, binary = _outputs(body, served, problems)
    timeout_s = read_parameter(body.get("parameters"), problems)
    if problems:
        raise input_error(problems, served.signature)
    id_ = body.get("id")
    return Call(inputs, None if id_ is None else str(id_), wanted, binary, timeout_s)


def _split(request: Request) -> tuple[bytes, memoryview]:
    length = request.headers.get(_HEADER_LENGTH)
    if length is None:
        return request.body, memoryview(b"")
    if not length.isdigit() or int(length) > len(request.body):
        raise BadRequestError(
            f"Inference-Header-Content-Length: got {length.decode('latin-1')[:20]!r} for a body of "
            f"{len(request.body)} bytes; the length of its JSON part would be right."
        )
    end = int(length)
    return request.body[:end], memoryview(request.body)[end:]


def _tensor(
    item: Any, place: int, specs: Mapping[str, TensorSpec], blobs: memoryview
) -> tuple[str, NDArray[Any], memoryview]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise InputError(f"inputs[{place}]: got {json_kind(item)} without a name; a tensor")
    name = item["name"]
    parameters = item.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    rest = blobs
    if isinstance(size, int) and not isinstance(size, bool):
        if not 0 <= size <= len(blobs):
            raise InputError(f"{name}: binary_data_size is {size}; {len(blobs)} bytes are left")
        blobs, rest = blobs[:size], blobs[size:]
    spec = specs.get(name)
    if spec is None:
        raise InputError(f"{name}: the model has no such input{did_you_mean(name, specs)}")
    shape = _shape(item, spec)
    _check_datatype(item, spec)
    if size is not None:
        return name, unpack(blobs, spec, shape), rest
    if "data" not in item:
        raise InputError(f"{name}: got no data; a list of values would be right")
    return name, as_tensor(item["data"], spec, shape), rest


def _shape(item: Mapping[str, Any], spec: TensorSpec) -> list[int]:
    shape = item.get("shape")
    if not isinstance(shape, list) or any(type(dim) is not int or dim < 0 for dim in shape):
        raise InputError(
            f"{spec.name}: got the shape {str(shape)[:60]}; a list of sizes would be right"
        )
    return list(shape)


def _check_datatype(item: Mapping[str, Any], spec: TensorSpec) -> None:
    wanted = DATATYPES[spec.dtype]
    if item.get("datatype") != wanted:
        got = str(item.get("datatype"))[:20]
        raise InputError(f"{spec.name}: got the datatype {got!r}; '{wanted}' would be right")


def _outputs(
    body: Mapping[str, Any], served: Served, problems: list[str]
) -> tuple[tuple[str, ...], frozenset[str]]:
    known = [spec.name for spec in served.signature.outputs]
    parameters = body.get("parameters")
    all_binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    items = body.get("outputs")
    if not items:
        return (), frozenset(known if all_binary else ())
    wanted: list[str] = []
    binary: set[str] = set()
    for item in items if isinstance(items, list) else [items]:
        name = item.get("name") if isinstance(item, dict) else None
        if name not in known:
            problems.append(
                f"outputs: the model has no '{str(name)[:60]}'{did_you_mean(str(name), known)}; "
                f"it gives {', '.join(known)}"
            )
            continue
        wanted.append(name)
        options = item.get("parameters")
        choice = options.get("binary_data") if isinstance(options, dict) else None
        if choice is True or (choice is None and all_binary):
            binary.add(name)
    return tuple(wanted), frozenset(binary)


def _encode(served: Served, call: Call, outputs: Outputs) -> Response:
    names = call.wanted or tuple(outputs)
    head: dict[str, Any] = {"model_name": served.name, "model_version": served.version}
    if call.id is not None:
        head["id"] = call.id
    blobs: list[bytes] = []
    head["outputs"] = tensors = []
    for name in names:
        if name in call.binary:
            data = pack(outputs[name])
            blobs.append(data)
            tensors.append({**_head(name, outputs[name]), **_sized(len(data))})
        else:
            tensors.append(_to_json(name, outputs[name]))
    if not blobs:
        return json_response(head)
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    length = (_HEADER_LENGTH, str(len(text)).encode())
    return Response(200, b"".join([text, *blobs]), content_type=_OCTETS, headers=(length,))


def _sized(size: int) -> dict[str, Any]:
    return {"parameters": {"binary_data_size": size}}


def _head(name: str, value: NDArray[Any]) -> dict[str, Any]:
    return {"name": name, "shape": list(value.shape), "datatype": datatype_of(value.dtype)}


def _to_json(name: str, value: NDArray[Any]) -> dict[str, Any]:
    check_finite(name, value)
    flat = np.ascontiguousarray(value).ravel()
    return {**_head(name, value), "data": flat.tolist() if flat.dtype.kind in "OU" else flat}


def _tensor_schema(spec: TensorSpec) -> dict[str, Any]:
    rank = len(spec.shape)
    size = {"type": "integer", "minimum": 0}
    shape = {"type": "array", "items": size, "minItems": rank, "maxItems": rank}
    datatype = {"const": DATATYPES[spec.dtype]}
    required = {"name": {"const": spec.name}, "shape": shape, "datatype": datatype}
    return object_schema(required, {"data": {"type": "array"}, "parameters": {"type": "object"}})


PLUGIN = V2()
