"""Plain /predict: what a person has goes in (a picture, a row, JSON), answers in words come out."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from workbench.core.errors import InputError
from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.decoding import Inputs
from workbench.serving.engine import Tensors
from workbench.serving.errors import BadRequestError, MediaTypeError
from workbench.serving.jsonbody import check_encoding, parse_json
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.multipart import parse_form
from workbench.serving.predictions import to_predictions
from workbench.serving.protocol import Dialect, Endpoint, Example
from workbench.serving.routes import Route
from workbench.serving.served import Served

_INLINE_BYTES = 16 * 1024
_NPY = ("application/x-npy", "application/npy")
_JSON = ("application/json", "text/json", "")


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
        check_encoding(request)
        decode = _reader(request, served)
        if len(request.body) <= _INLINE_BYTES and request.media_type in _JSON:
            inputs = decode()
            if _must_split(served, inputs):
                return _predict_rows(served, answer, inputs)
            served.submit(answer, inputs, lambda outputs: _encode(served, outputs))
            return None
        return self._predict_aside(served, answer, decode)

    async def _predict_aside(
        self, served: Served, answer: Answer, decode: Callable[[], Inputs]
    ) -> Response:
        """Decodes what is large or a picture in another thread, so that others go on."""
        with served.use():
            inputs = await asyncio.to_thread(decode)
            if _must_split(served, inputs):
                return await _predict_rows(served, answer, inputs)
            return _encode(served, await served.predict(answer, inputs))

    def _find(self, request: Request, answer: Answer) -> Served:
        params = request.params
        served = answer.served = self._router.find(params.get("model"), params.get("version"))
        return served


def _reader(request: Request, served: Served) -> Callable[[], Inputs]:
    """Returns what decodes the body, by its content type."""
    media, body, decoder = request.media_type, request.body, served.decoder
    if media in _JSON or media == "application/x-www-form-urlencoded":
        return lambda: decoder.from_json(_inputs(body))
    if media in _NPY:
        return lambda: decoder.from_array(_load_npy(body))
    if media == "multipart/form-data":
        content_type = request.header(b"content-type")
        return lambda: _from_form(content_type, body, served)
    if media.startswith("image/") or media == "application/octet-stream":
        return lambda: decoder.from_files([body])
    raise MediaTypeError(
        f"Got a body of the type '{media[:60]}'.",
        hint="application/json, image/*, application/octet-stream (a file), application/x-npy "
        "or multipart/form-data would be right.",
    )


def _inputs(body: bytes) -> Any:
    """Returns the value under "inputs"; a body without that key is the value itself."""
    value = parse_json(body)
    if isinstance(value, dict) and "inputs" in value:
        if len(value) > 1:
            extra = ", ".join(sorted(set(value) - {"inputs"}))
            raise BadRequestError(
                f'Got other keys beside "inputs": {extra[:100]}.',
                hint='{"inputs": …} would be right; a row is {"inputs": {"column": value, …}}.',
            )
        return value["inputs"]
    return value


def _load_npy(body: bytes) -> np.ndarray:
    try:
        array = np.load(io.BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            "Got a body that is not a NumPy .npy file of plain numbers.",
            hint="numpy.save(file, array, allow_pickle=False) writes one.",
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError("Got an .npz archive; one .npy array would be right.")
    return array


def _from_form(content_type: str, body: bytes, served: Served) -> Inputs:
    parts = parse_form(content_type, body)
    files = [part.body for part in parts if part.is_file]
    if files:
        return served.decoder.from_files(files)
    fields = {part.name: part.body for part in parts}
    if "inputs" not in fields:
        raise BadRequestError(
            "Got a form without a file and without the field 'inputs'.",
            hint="curl -F inputs=@picture.png sends a file, -F inputs='[[…]]' JSON.",
        )
    return served.decoder.from_json(parse_json(fields["inputs"]))


def _must_split(served: Served, inputs: Inputs) -> bool:
    """Whether several samples came for a model that was exported for one at a time."""
    tensors = (*served.signature.inputs, *served.signature.outputs)
    if any(spec.shape[:1] != (1,) for spec in tensors):
        return False
    sizes = {len(value) if value.ndim else 0 for value in inputs.values()}
    return len(sizes) == 1 and sizes.pop() > 1


async def _predict_rows(served: Served, answer: Answer, inputs: Inputs) -> Response:
    rows = len(next(iter(inputs.values())))
    found: list[Outputs] = []
    for row in range(rows):
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        found.append(await served.predict(answer, alone))
    joined = {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}
    return _encode(served, joined)


def _encode(served: Served, outputs: Outputs) -> Response:
    spec = served.signature.outputs[0]
    first = outputs[spec.name]
    if first.ndim == 1 and not spec.is_batched:
        first = first[np.newaxis]
    predictions = to_predictions(first, served.description)
    return json_response(
        {"predictions": predictions, "model": served.name, "version": served.version}
    )


PLUGIN = Predict()
