"""Triton's generate extension: tensors as fields of one flat JSON object, answers as events.

Source: extension_generate.md in
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from numpy.typing import NDArray

from workbench.core.errors import InputError, WorkbenchError
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.deadlines import limit, read_parameter
from workbench.serving.engine import Tensors
from workbench.serving.errors import TooLargeError
from workbench.serving.jsonbody import check_encoding, parse_object
from workbench.serving.limits import INLINE_BYTES
from workbench.serving.messages import Request, Response
from workbench.serving.piece_forms import PLAIN_EVENTS
from workbench.serving.piecewise import write_pieces
from workbench.serving.problems import Problems
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.routes import Route
from workbench.serving.schemas import object_schema, tensor_schema
from workbench.serving.served import Served
from workbench.serving.tensors import as_tensor, check_finite, check_names, input_error

_PARAMETERS = "parameters"


class Generate(Dialect):
    """For clients of language models. One sample a request; a single value needs no lists."""

    summary = (
        "POST …/generate, …/generate_stream: one flat JSON object, answered at once or in events"
    )

    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns the paths of the extension."""
        ask = _Questions(endpoint)
        key, stream = self.key, "Generate; the pieces are events"
        return [
            route
            for base in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
            for route in (
                Route("POST", f"{base}/generate", "predict", ask.once, key, "Generate", True),
                Route(
                    "POST",
                    f"{base}/generate_stream",
                    "predict",
                    ask.stream,
                    key,
                    stream,
                    True,
                    True,
                ),
            )
        ]

    def request_schema(self, served: Served) -> dict[str, Any]:
        """Values by the inputs' names."""
        values = {spec.name: _value_schema(spec) for spec in served.signature.inputs}
        return object_schema(values, {_PARAMETERS: {"type": "object"}})

    def response_schema(self, served: Served) -> dict[str, Any]:
        """Values by the outputs' names."""
        texts = {"model_name": {"type": "string"}, "model_version": {"type": "string"}}
        return object_schema({**texts, **{spec.name: {} for spec in served.signature.outputs}})

    def error_fields(self, error: WorkbenchError) -> dict[str, Any]:
        """Adds the one field the extension asks for: the error in words."""
        return {"error": str(error)}

    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a request with nested lists."""
        values = {name: value.tolist() for name, value in inputs.items()}
        return Example(
            "POST",
            f"/v2/models/{served.name}/generate",
            {"content-type": "application/json"},
            orjson.dumps(values),
        )


class _Questions:
    """The handlers, over one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._router = endpoint.router

    def once(self, request: Request, answer: Answer) -> None:
        served = self._find(request, answer)
        inputs = _read(request, answer, served.signature)
        served.submit(answer, inputs, lambda outputs: Response(200, _encode(served, outputs)))

    def stream(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        return self._stream(answer, served, _read(request, answer, served.signature))

    async def _stream(self, answer: Answer, served: Served, inputs: Tensors) -> None:
        with served.use():
            pieces = await served.pieces(answer, inputs, lambda outputs: _encode(served, outputs))
            await write_pieces(answer, pieces, PLAIN_EVENTS, answer.to_response)

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.answering(
            request, params["model"], params.get("version")
        )
        return served


def _read(request: Request, answer: Answer, signature: Signature) -> dict[str, NDArray[Any]]:
    """Returns the tensors of a request and notes its time-out.

    Raises:
        InputError: All that does not fit.
    """
    check_encoding(request)
    if len(request.body) > INLINE_BYTES:
        raise TooLargeError(
            f"Got {len(request.body)} bytes; at most {INLINE_BYTES} would be right here.",
            hint="Send larger tensors to …/infer or …/infer_stream.",
        )
    values = parse_object(request.body)
    problems = Problems()
    seconds = read_parameter(values.pop(_PARAMETERS, None), problems)
    check_names(values, signature)
    inputs: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        try:
            inputs[spec.name] = as_tensor(_nested(values[spec.name], spec), spec)
        except InputError as error:
            problems.add(error.message)
    if problems:
        raise input_error(problems, signature)
    if seconds is not None:
        limit(answer, seconds)
    return inputs


def _nested(value: Any, spec: TensorSpec) -> Any:
    """Returns a single value as a tensor of one element."""
    if not isinstance(value, list):
        for _ in spec.shape:
            value = [value]
    return value


def _encode(served: Served, outputs: Outputs) -> bytes:
    """Returns outputs as fields: a single value, or a flat list."""
    head = {"model_name": served.name, "model_version": served.version}
    return orjson.dumps({**head, **{name: _plain(name, v) for name, v in outputs.items()}})


def _plain(name: str, value: NDArray[Any]) -> Any:
    check_finite(name, value)
    return value.item() if value.size == 1 else value.ravel().tolist()


def _value_schema(spec: TensorSpec) -> Mapping[str, Any]:
    single = tensor_schema(TensorSpec(spec.name, spec.dtype, ()))
    return {"anyOf": [tensor_schema(spec), single]} if spec.shape else single


PLUGIN = Generate()
