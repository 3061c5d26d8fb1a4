"""What a person sends, by its content type, to tensors and on to an answer.

Shared by the dialects that take files, rows and values: plain /predict and TorchServe.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from workbench.serving.answer import Answer
from workbench.serving.apart import Apart, Work
from workbench.serving.batching import Outputs
from workbench.serving.content import Read, is_form, is_json, read_form, reader
from workbench.serving.decoding import Inputs
from workbench.serving.encoding import Encode
from workbench.serving.jsonbody import check_encoding, is_heavy, parse_json
from workbench.serving.messages import Request, Response
from workbench.serving.served import Served

_INLINE_BYTES = 16 * 1024
_JSON = "application/json"


def answer_body(
    request: Request,
    answer: Answer,
    served: Served,
    keys: Sequence[str],
    encode: Encode,
    apart: Apart,
) -> Any:
    """Answers a request whose body is what a person has.

    Small JSON is decoded at once; what is larger, or a picture, in another thread, and JSON that
    would keep the interpreter's lock for long in another process, so that others go on.

    Args:
        request: Its body is a file, a form, a NumPy array or JSON.
        answer: Is filled when the model has run.
        served: The model.
        keys: Names under which JSON objects and forms may carry the value.
        encode: Makes the response of the outputs.
        apart: Reads what is heavy.

    Returns:
        None if the answer will be filled, else a coroutine of the response.

    Raises:
        WorkbenchError: The body cannot be tensors of this model.
    """
    check_encoding(request)
    content_type, body = request.header(b"content-type"), request.body
    if is_form(content_type):
        return _answer_form(request, answer, served, keys, encode, apart)
    read = reader(content_type, body, served.decoder, keys)
    if is_json(content_type, body) and is_heavy(body):
        return _answer_apart(answer, served, apart, _work(served, content_type, body, keys), encode)
    if len(body) > _INLINE_BYTES or not is_json(content_type, body):
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


async def answer_later(answer: Answer, served: Served, inputs: Inputs, encode: Encode) -> Response:
    """Returns the response to tensors that were read beside the event loop."""
    if _must_split(served, inputs):
        return await _answer_rows(answer, served, inputs, encode)
    return await served.encoded(answer, encode, await served.predict(answer, inputs))


async def _answer_aside(answer: Answer, served: Served, read: Read, encode: Encode) -> Response:
    with served.use():
        inputs = await served.crews.decoding.run(read)
        return await answer_later(answer, served, inputs, encode)


async def _answer_form(
    request: Request,
    answer: Answer,
    served: Served,
    keys: Sequence[str],
    encode: Encode,
    apart: Apart,
) -> Response:
    """Takes a form apart in another thread; then its files, or its JSON, go the usual ways."""
    decoding, decoder = served.crews.decoding, served.decoder
    with served.use():
        found = await decoding.run(
            partial(read_form, request.header(b"content-type"), request.body, keys)
        )
        if isinstance(found, list):
            inputs = await decoding.run(partial(decoder.from_files, found))
        elif is_heavy(found):
            inputs = (await apart.read(_work(served, _JSON, found, ()))).inputs
        else:
            inputs = await decoding.run(lambda: decoder.from_json(parse_json(found)))
        return await answer_later(answer, served, inputs, encode)


def _work(served: Served, content_type: str, body: bytes, keys: Sequence[str]) -> Work:
    options = {"type": content_type, "keys": keys}
    return Work("content", served.signature, body, served.description, options)


async def _answer_apart(
    answer: Answer, served: Served, apart: Apart, work: Work, encode: Encode
) -> Response:
    with served.use():
        return await answer_later(answer, served, (await apart.read(work)).inputs, encode)


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
    together = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return await served.encoded(answer, encode, together)
