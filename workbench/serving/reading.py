"""What a person sends, by its content type, to tensors and on to an answer.

Shared by the dialects that take files, rows and values: plain /predict and TorchServe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.serving.answer import Answer
from workbench.serving.batching import Outputs
from workbench.serving.decoding import Inputs
from workbench.serving.errors import BadRequestError, MediaTypeError
from workbench.serving.jsonbody import check_encoding, parse_json
from workbench.serving.messages import Request, Response
from workbench.serving.multipart import parse_form
from workbench.serving.npy import read_npy
from workbench.serving.served import Served

Read = Callable[[], Inputs]
Encode = Callable[[Outputs], Response]

BODY_TYPES = (
    "application/json",
    "image/*",
    "application/octet-stream",
    "application/x-npy",
    "multipart/form-data",
)
_INLINE_BYTES = 16 * 1024
_JSON = ("application/json", "text/json")
_NPY = ("application/x-npy", "application/npy")
_UNSAID = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_JSON_BEGINS = b'{["-0123456789'


def answer_body(
    request: Request, answer: Answer, served: Served, keys: Sequence[str], encode: Encode
) -> Any:
    """Answers a request whose body is what a person has.

    Small JSON is decoded at once; what is large or a picture in another thread, so that others go
    on.

    Args:
        request: Its body is a file, a form, a NumPy array or JSON.
        answer: Is filled when the model has run.
        served: The model.
        keys: Names under which JSON objects and forms may carry the value.
        encode: Makes the response of the outputs.

    Returns:
        None if the answer will be filled, else a coroutine of the response.

    Raises:
        WorkbenchError: The body cannot be tensors of this model.
    """
    check_encoding(request)
    read = reader(request, served, keys)
    if len(request.body) > _INLINE_BYTES or not _is_json(request):
        return _answer_aside(answer, served, read, encode)
    return answer_tensors(answer, served, read(), encode)


def answer_tensors(answer: Answer, served: Served, inputs: Inputs, encode: Encode) -> Any:
    """Queues tensors; several samples for a model that takes one go one after the other.

    Returns:
        None if the answer will be filled, else a coroutine of the response.

    Raises:
        WorkbenchError: The tensors do not fit, or the queue is full.
    """
    if _must_split(served, inputs):
        return _answer_rows(answer, served, inputs, encode)
    served.submit(answer, inputs, encode)
    return None


def answer_files(answer: Answer, served: Served, files: Sequence[bytes], encode: Encode) -> Any:
    """Decodes the contents of files in another thread and answers; returns the coroutine."""
    return _answer_aside(answer, served, lambda: served.decoder.from_files(list(files)), encode)


def reader(request: Request, served: Served, keys: Sequence[str]) -> Read:
    """Returns what decodes the body; a body without a telling type is JSON if it begins so.

    Raises:
        MediaTypeError: The content type is not one that is taken.
    """
    media, body, decoder = request.media_type, request.body, served.decoder
    if _is_json(request):
        return lambda: decoder.from_json(_value(body, keys))
    if media in _NPY:
        return lambda: decoder.from_array(read_npy(body))
    if media == "multipart/form-data":
        content_type = request.header(b"content-type")
        return lambda: _from_form(content_type, body, served, keys)
    if media.startswith("image/") or media in _UNSAID:
        return lambda: decoder.from_files([body])
    raise MediaTypeError(
        f"Got a body of the type '{media[:60]}'.",
        hint=f"{', '.join(BODY_TYPES[:-1])} or {BODY_TYPES[-1]} would be right.",
    )


def json_value(request: Request, keys: Sequence[str]) -> Any:
    """Returns the value of a JSON body, under one of `keys` or bare.

    Raises:
        BadRequestError: The body is not JSON.
    """
    if not _is_json(request):
        raise BadRequestError("Got a body that is not JSON.")
    return _value(request.body, keys)


def _is_json(request: Request) -> bool:
    media = request.media_type
    if media in _UNSAID:
        begin = request.body[:64].lstrip()[:1]
        return not begin or begin in _JSON_BEGINS
    return media in _JSON


def _value(body: bytes, keys: Sequence[str]) -> Any:
    """Returns the value under one of `keys`; a body without them is the value itself."""
    value = parse_json(body)
    key = next((key for key in keys if isinstance(value, dict) and key in value), None)
    if key is None:
        return value
    if len(value) > 1:
        extra = ", ".join(sorted(set(value) - {key}))
        raise BadRequestError(
            f'Got other keys beside "{key}": {extra[:100]}.',
            hint=f'{{"{key}": …}} would be right; a row is {{"{key}": {{"column": value, …}}}}.',
        )
    return value[key]


def _from_form(content_type: str, body: bytes, served: Served, keys: Sequence[str]) -> Inputs:
    parts = parse_form(content_type, body)
    files = [part.body for part in parts if part.is_file]
    if files:
        return served.decoder.from_files(files)
    fields = {part.name: part.body for part in parts}
    key = next((key for key in keys if key in fields), None)
    if key is None:
        raise BadRequestError(
            f"Got a form without a file and without the field '{keys[0]}'.",
            hint=f"curl -F {keys[0]}=@picture.png sends a file, -F {keys[0]}='[[…]]' JSON.",
        )
    return served.decoder.from_json(parse_json(fields[key]))


async def _answer_aside(answer: Answer, served: Served, read: Read, encode: Encode) -> Response:
    with served.use():
        inputs = await asyncio.to_thread(read)
        if _must_split(served, inputs):
            return await _answer_rows(answer, served, inputs, encode)
        return encode(await served.predict(answer, inputs))


def _must_split(served: Served, inputs: Inputs) -> bool:
    """Whether several samples came for a model that was exported for one at a time."""
    tensors = (*served.signature.inputs, *served.signature.outputs)
    if any(spec.shape[:1] != (1,) for spec in tensors):
        return False
    sizes = {len(value) if value.ndim else 0 for value in inputs.values()}
    return len(sizes) == 1 and sizes.pop() > 1


async def _answer_rows(answer: Answer, served: Served, inputs: Inputs, encode: Encode) -> Response:
    rows = len(next(iter(inputs.values())))
    found: list[Outputs] = []
    for row in range(rows):
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        found.append(await served.predict(answer, alone))
    return encode({name: np.concatenate([part[name] for part in found]) for name in found[0]})
