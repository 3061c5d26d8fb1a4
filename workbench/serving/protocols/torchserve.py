"""TorchServe: predictions from a file, form or JSON; ping; the models, read only.

Source: https://github.com/pytorch/serve/blob/master/docs/inference_api.md, management_api.md; the
form of answers is that of its `image_classifier` handler. One address serves both of its ports.
Models are registered and scaled in the workbench's own registry, not over this API. Not spoken:
`/explanations`, and TorchServe's tokens (the endpoint's own are sent the same way).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from workbench.core.errors import WorkbenchError
from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.content import BODY_TYPES
from workbench.serving.engine import Tensors
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.predictions import predictions_of
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.reading import answer_body
from workbench.serving.routes import Route
from workbench.serving.schemas import object_schema, sample_schema
from workbench.serving.served import Served
from workbench.tasks import TASKS

_KEYS = ("data", "body")
_TOP = 5
_ALL = "all"
_TYPES = {
    400: "BadRequestException",
    404: "ModelNotFoundException",
    405: "MethodNotAllowedException",
    413: "RequestEntityTooLargeException",
    422: "BadRequestException",
    429: "ServiceUnavailableException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    504: "ServiceUnavailableException",
}


class TorchServe(Dialect):
    """The dialect of `torchserve --start`, its inference and its management API in one."""

    media = BODY_TYPES
    summary = "TorchServe: /predictions/MODEL from a file, form or JSON; /ping; /models, read only"

    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns the paths; PUT is what `curl -T FILE` sends."""
        ask = _Questions(endpoint)
        routes = [
            Route(
                "GET", "/ping", None, ask.ping, self.key, "Whether it is healthy", not_ready=True
            ),
            Route("GET", "/models", "predict", ask.models, self.key, "List the models"),
        ]
        for end in ("{model}", "{model}/{version}"):
            routes += [
                Route("GET", f"/models/{end}", "predict", ask.model, self.key, "Describe a model"),
                *(
                    Route(
                        method,
                        f"/predictions/{end}",
                        "predict",
                        ask.predict,
                        self.key,
                        "Predict",
                        True,
                    )
                    for method in ("POST", "PUT")
                ),
            ]
        return routes

    def request_schema(self, served: Served) -> dict[str, Any]:
        """A sample, or several."""
        return object_schema({"data": sample_schema(served)})

    def response_schema(self, served: Served) -> dict[str, Any]:
        """The bare answer to one sample, or a list of those to several."""
        one = _short_schema(served)
        return {"anyOf": [one, {"type": "array", "items": one}]}

    def error_fields(self, error: WorkbenchError) -> dict[str, Any]:
        """Adds the type; `code` stays the workbench's word, the number is the HTTP status."""
        return {"type": _TYPES.get(error.http_status, "InternalServerException")}

    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a JSON request; a model with a modality must take its own tensors as input."""
        values = {name: value.tolist() for name, value in inputs.items()}
        body = values if len(values) > 1 else next(iter(values.values()))
        return Example(
            "POST",
            f"/predictions/{served.name}",
            {"content-type": "application/json"},
            orjson.dumps({"data": body}),
        )


class _Questions:
    """The handlers, over one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._router = endpoint.router

    def ping(self, request: Request, answer: Answer) -> Response:
        is_healthy = bool(self._router.names()) and not self._endpoint.is_draining()
        word = "Healthy" if is_healthy else "Unhealthy"
        return json_response({"status": word}, 200 if is_healthy else 503)

    def models(self, request: Request, answer: Answer) -> Response:
        names = dict.fromkeys(served.name for served in self._router.visible(request.token))
        found = [self._router.find(name) for name in names]
        models = [{"modelName": s.name, "modelUrl": s.source.path.name} for s in found]
        return json_response({"models": models})

    def model(self, request: Request, answer: Answer) -> Response:
        params = request.params
        if params.get("version") == _ALL:
            name = self._router.answering(request, params["model"]).name
            return json_response([_about(s) for s in self._router if s.name == name])
        return json_response([_about(self._find(request, answer))])

    def predict(self, request: Request, answer: Answer) -> Any:
        served = self._find(request, answer)
        apart = self._endpoint.apart
        return answer_body(request, answer, served, _KEYS, lambda out: _encode(served, out), apart)

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.answering(
            request, params["model"], params.get("version")
        )
        return served


def _about(served: Served) -> dict[str, Any]:
    batcher = served.batcher
    return {
        "modelName": served.name,
        "modelVersion": served.version,
        "modelUrl": served.source.path.name,
        "runtime": "onnxruntime",
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": batcher.limits.rows if batcher.can_batch else 1,
        "maxBatchDelay": 0,
        "workers": [{"id": "1", "startTime": served.since, "status": "READY", "gpu": False}],
        "jobQueueStatus": {
            "remainingCapacity": max(0, batcher.limits.queue - batcher.pending),
            "pendingRequests": batcher.pending,
        },
    }


def _encode(served: Served, outputs: Outputs) -> Response:
    """Answers one sample bare and several as a list."""
    predictions = predictions_of(outputs, served.signature, served.description)
    answers = [_short(prediction) for prediction in predictions]
    return json_response(answers[0] if len(answers) == 1 else answers)


def _short_schema(served: Served) -> dict[str, Any]:
    description = served.description
    if description is None:
        return {}
    if "scores" in TASKS.get(description.task).answer_schema(description.labels):
        return {"type": "object", "additionalProperties": {"type": "number"}}
    return {"anyOf": [{"type": "number"}, {"type": "array"}]}


def _short(prediction: dict[str, Any]) -> Any:
    """Returns the best labels with their scores, or the bare value, text or list of scores."""
    if "value" in prediction:
        return prediction["value"]
    if "label" not in prediction and "labels" not in prediction:
        return list(prediction["scores"].values())
    if "scores" not in prediction:
        return prediction["label"]
    scores = sorted(prediction["scores"].items(), key=lambda pair: pair[1], reverse=True)
    return dict(scores[:_TOP])


PLUGIN = TorchServe()
