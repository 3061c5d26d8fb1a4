"""Plain /predict: what a person has goes in (a picture, a row, JSON), answers in words come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from numpy.typing import NDArray

from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.content import BODY_TYPES
from workbench.serving.encoding import json_array
from workbench.serving.engine import Tensors
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.predictions import predictions_of
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.reading import answer_body
from workbench.serving.routes import Route
from workbench.serving.schemas import answer_schema, object_schema, sample_schema
from workbench.serving.served import Served
from workbench.serving.tensors import check_finite

_KEYS = ("inputs",)


class Predict(Dialect):
    """For people and curl."""

    media = BODY_TYPES
    summary = "POST /predict: image file, row or JSON; answers labels with scores, or values"

    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns /predict for the only model, and /predict/{model} by name."""
        ask = _Questions(endpoint)
        paths = ("/predict", "/predict/{model}", "/predict/{model}/{version}")
        return [
            route
            for path in paths
            for route in (
                Route("POST", path, "predict", ask.predict, self.key, "Predict", True),
                Route("GET", path, "predict", ask.about, self.key, "What the model takes"),
            )
        ]

    def request_schema(self, served: Served) -> dict[str, Any]:
        """A sample, or several."""
        return object_schema({"inputs": sample_schema(served)})

    def response_schema(self, served: Served) -> dict[str, Any]:
        """A list of answers in words, one a sample, and any further outputs by name."""
        further = served.signature.outputs[1:]
        outputs = object_schema({spec.name: {} for spec in further})
        predictions = {"type": "array", "items": answer_schema(served.description)}
        texts = {"model": {"type": "string"}, "version": {"type": "string"}}
        fields = {"predictions": predictions, **texts}
        return object_schema({**fields, "outputs": outputs} if further else fields)

    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a JSON request; a model with a modality must take its own tensors as input."""
        values = {name: value.tolist() for name, value in inputs.items()}
        body = values if len(values) > 1 else next(iter(values.values()))
        return Example(
            "POST",
            f"/predict/{served.name}",
            {"content-type": "application/json"},
            orjson.dumps({"inputs": body}),
        )


class _Questions:
    """The handlers, over one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._router = endpoint.router
        self._apart = endpoint.apart

    def about(self, request: Request, answer: Answer) -> Response:
        served = self._find(request, answer)
        decoder = served.decoder
        return json_response(
            {**served.about(), "takes": decoder.takes, "example": decoder.example()}
        )

    def predict(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        return answer_body(
            request, answer, served, _KEYS, lambda out: _encode(served, out), self._apart
        )

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.answering(
            request, params.get("model"), params.get("version")
        )
        return served


def _encode(served: Served, outputs: Outputs) -> Response:
    predictions = predictions_of(outputs, served.signature, served.description)
    texts = {"model": served.name, "version": served.version}
    body: dict[str, Any] = {"predictions": predictions, **texts}
    further = {spec.name: outputs[spec.name] for spec in served.signature.outputs[1:]}
    if further:
        body["outputs"] = {name: _listed(name, value) for name, value in further.items()}
    return json_response(body)


def _listed(name: str, value: NDArray[Any]) -> Any:
    check_finite(name, value)
    return value.tolist() if value.dtype.kind in "OUS" else orjson.Fragment(json_array(value))


PLUGIN = Predict()
