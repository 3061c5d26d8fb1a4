"""Plain /predict: what a person has goes in (a picture, a row, JSON), answers in words come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.engine import Tensors
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.predictions import predictions_of
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.reading import answer_body
from workbench.serving.routes import Route
from workbench.serving.served import Served

_KEYS = ("inputs",)


class Predict(Dialect):
    """For people and curl."""

    summary = "POST /predict: image file, row or JSON; answers labels with scores, or values"

    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns /predict for the only model, and /predict/{model} by name."""
        ask = _Questions(endpoint)
        paths = ("/predict", "/predict/{model}", "/predict/{model}/{version}")
        return [
            Route(method, path, "predict", handler, self.key)
            for path in paths
            for method, handler in (("POST", ask.predict), ("GET", ask.about))
        ]

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

    def about(self, request: Request, answer: Answer) -> Response:
        served = self._find(request, answer)
        return json_response({**served.about(), "takes": served.decoder.takes})

    def predict(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        return answer_body(request, answer, served, _KEYS, lambda out: _encode(served, out))

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.find(params.get("model"), params.get("version"))
        return served


def _encode(served: Served, outputs: Outputs) -> Response:
    predictions = predictions_of(outputs, served.signature, served.description)
    return json_response(
        {"predictions": predictions, "model": served.name, "version": served.version}
    )


PLUGIN = Predict()
