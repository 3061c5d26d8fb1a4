"""TensorFlow Serving's REST API: predict in row and column format, model status, metadata.

Source: https://www.tensorflow.org/tfx/serving/api_rest. The tensors are those of the model's
signature, as there. Not spoken: `:classify` and `:regress`, whose `tf.Example` features an ONNX
model does not declare. Unlike there, NaN and infinity are refused, since they are not JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import orjson

from workbench.core.errors import NotFoundError, WorkbenchError
from workbench.core.signature import TensorSpec
from workbench.serving.answer import Answer
from workbench.serving.apart import Work
from workbench.serving.batching import Outputs
from workbench.serving.encoding import json_array
from workbench.serving.engine import Tensors
from workbench.serving.errors import ModelError
from workbench.serving.json_rows import SIGNATURE, Call, as_b64, parse_call
from workbench.serving.jsonbody import check_encoding, is_heavy, parse_object
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.reading import answer_files, answer_later, answer_tensors
from workbench.serving.routes import Route
from workbench.serving.schemas import object_schema, tensor_schema
from workbench.serving.served import Served
from workbench.serving.tensors import check_finite

_DTYPES = {
    "bool": "DT_BOOL",
    **{f"uint{n}": f"DT_UINT{n}" for n in (8, 16, 32, 64)},
    **{f"int{n}": f"DT_INT{n}" for n in (8, 16, 32, 64)},
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "str": "DT_STRING",
}
_BASES = (
    "/v1/models/{model}",
    "/v1/models/{model}/versions/{version}",
    "/v1/models/{model}/labels/{label}",
)


class TensorflowServing(Dialect):
    """The dialect of `tensorflow_model_server --rest_api_port`."""

    summary = "TensorFlow Serving REST: /v1/models/…:predict in rows and columns, status, metadata"

    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns the paths for a model, one of its versions, or the version behind an alias."""
        ask = _Questions(endpoint)
        routes = []
        for base in _BASES:
            routes += [
                Route("GET", base, "predict", ask.status, self.key, "Status of the versions"),
                Route("GET", f"{base}/metadata", "predict", ask.metadata, self.key, "Signature"),
                Route("POST", f"{base}:predict", "predict", ask.predict, self.key, "Predict", True),
            ]
        return routes

    def request_schema(self, served: Served) -> dict[str, Any]:
        """Tensors by rows or by columns."""
        specs = served.signature.inputs
        name = {"signature_name": {"enum": [SIGNATURE, "", None]}}
        columns = object_schema({spec.name: tensor_schema(spec) for spec in specs})
        rows = {"type": "array", "minItems": 1}
        if len(specs) == 1:
            columns = {"anyOf": [columns, tensor_schema(specs[0])]}
        return {
            "oneOf": [
                object_schema({"instances": rows}, optional=name),
                object_schema({"inputs": columns}, optional=name),
            ]
        }

    def response_schema(self, served: Served) -> dict[str, Any]:
        """The output tensors, by rows or by columns as they were asked for."""
        return {"oneOf": [object_schema({"predictions": {}}), object_schema({"outputs": {}})]}

    def error_fields(self, error: WorkbenchError) -> dict[str, Any]:
        """Adds the one field that clients read: the error in words."""
        return {"error": str(error)}

    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a request in column format, which any model takes."""
        values = {name: value.tolist() for name, value in inputs.items()}
        return Example(
            "POST",
            f"/v1/models/{served.name}:predict",
            {"content-type": "application/json"},
            orjson.dumps({"signature_name": SIGNATURE, "inputs": values}),
        )


class _Questions:
    """The handlers, over one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._router = endpoint.router
        self._apart = endpoint.apart
        self._followers = endpoint.followers

    def status(self, request: Request, answer: Answer) -> Response:
        served = self._find(request, answer)
        if "version" in request.params or "label" in request.params:
            return json_response({"model_version_status": [_state(served.version)]})
        states = [_state(s.version) for s in self._router if s.name == served.name]
        for follower in self._followers:
            if follower.name == served.name and follower.refused is not None:
                states.append(_refused(follower.refused))
        return json_response({"model_version_status": states})

    def metadata(self, request: Request, answer: Answer) -> Response:
        served = self._find(request, answer)
        signature = {
            "inputs": {spec.name: _tensor_info(spec) for spec in served.signature.inputs},
            "outputs": {spec.name: _tensor_info(spec) for spec in served.signature.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        spec = {"name": served.name, "signature_name": "", "version": served.version}
        found = {"signature_def": {"signature_def": {SIGNATURE: signature}}}
        return json_response({"model_spec": spec, "metadata": found})

    def predict(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        check_encoding(request)
        if is_heavy(request.body):
            return self._predict_apart(answer, served, request.body)
        call = parse_call(parse_object(request.body), served.signature)
        if call.files:
            return answer_files(answer, served, call.files, lambda out: _encode(call, out))
        return answer_tensors(answer, served, call.inputs, lambda out: _encode(call, out))

    async def _predict_apart(self, answer: Answer, served: Served, body: bytes) -> Response:
        with served.use():
            found = await self._apart.read(Work("rows", served.signature, body))
            call = Call(found.inputs, files=found.files, **found.facts)
            if call.files:
                later = answer_files(answer, served, call.files, lambda o: _encode(call, o))
                return cast(Response, await later)
            return await answer_later(answer, served, call.inputs, lambda o: _encode(call, o))

    def _find(self, request: Request, answer: Answer) -> Served:
        """Finds by name; a version is a number and a label an alias, never one for the other."""
        params = request.params
        version, label = params.get("version"), params.get("label")
        served = self._router.answering(request, params["model"], version or label)
        if version is not None and served.version != version:
            raise NotFoundError(
                f"'{version}' is no version of '{served.name}' served here, but an alias.",
                hint=f"/v1/models/{served.name}/labels/{version} would be right.",
            )
        if label is not None and served.source.alias != label:
            raise NotFoundError(
                f"'{served.name}' has no label '{label}' here, but a version of that number.",
                hint=f"/v1/models/{served.name}/versions/{label} would be right.",
            )
        answer.served = served
        return served


def _state(version: str) -> dict[str, Any]:
    status = {"error_code": "OK", "error_message": ""}
    return {"version": version, "state": "AVAILABLE", "status": status}


def _refused(refused: Mapping[str, Any]) -> dict[str, Any]:
    status = {"error_code": "FAILED_PRECONDITION", "error_message": refused["message"]}
    return {"version": refused["version"], "state": "END", "status": status}


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": str(dim) if isinstance(dim, int) else "-1", "name": ""} for dim in spec.shape]
    return {
        "dtype": _DTYPES[spec.dtype],
        "tensor_shape": {"dim": dims, "unknown_rank": False},
        "name": spec.name,
    }


def _encode(call: Call, outputs: Outputs) -> Response:
    values: dict[str, Any] = {}
    for name, value in outputs.items():
        check_finite(name, value)
        texts = value.dtype.kind in "OUS"
        values[name] = value.tolist() if texts else value
        if texts and name.endswith("_bytes"):
            values[name] = as_b64(values[name])
    written = {name: _written(value) for name, value in values.items()}
    whole = next(iter(written.values())) if len(written) == 1 else written
    if not call.is_rows:
        return json_response({"outputs": whole})
    if call.is_unbatched:
        return json_response({"predictions": [whole]})
    if len(values) == 1:
        return json_response({"predictions": whole})
    if len({len(value) for value in outputs.values()}) != 1:
        raise ModelError(
            "The model's outputs have different first sizes, so they are no rows.",
            hint='Ask in column format: {"inputs": {…}}.',
        )
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json_response({"predictions": rows})


def _written(value: Any) -> Any:
    return orjson.Fragment(json_array(value)) if isinstance(value, np.ndarray) else value


PLUGIN = TensorflowServing()
