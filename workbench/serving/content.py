"""A body by its content type, as a person has it: a file, form, NumPy array or JSON; to tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from workbench.serving.decoding import Decoder, Inputs
from workbench.serving.errors import BadRequestError, MediaTypeError
from workbench.serving.jsonbody import parse_json
from workbench.serving.messages import media_type
from workbench.serving.multipart import parse_form
from workbench.serving.npy import read_npy

Read = Callable[[], Inputs]
BODY_TYPES = (
    "application/json",
    "image/*",
    "audio/*",
    "video/*",
    "application/octet-stream",
    "application/x-npy",
    "multipart/form-data",
)
_FILES = ("image/", "audio/", "video/")  # whatever it is, the model's modality says if it is right
_JSON = ("application/json", "text/json")
_NPY = ("application/x-npy", "application/npy")
_FORM = "multipart/form-data"
_UNSAID = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_JSON_BEGINS = b'{["-0123456789'


def reader(content_type: str, body: bytes, decoder: Decoder, keys: Sequence[str]) -> Read:
    """Returns what decodes the body; a body without a telling type is JSON if it begins so.

    Args:
        content_type: As the header has it.
        body: A file, a NumPy array or JSON; for forms see `read_form`.
        decoder: Of the model.
        keys: Names under which JSON objects may carry the value.

    Raises:
        MediaTypeError: The content type is not one that is taken.
    """
    media = media_type(content_type)
    if is_json(content_type, body):
        return lambda: decoder.from_json(json_value(body, keys))
    if media in _NPY:
        return lambda: decoder.from_array(read_npy(body))
    if media.startswith(_FILES) or media in _UNSAID:
        return lambda: decoder.from_files([body])
    raise MediaTypeError(
        f"Got a body of the type '{media[:60]}'.",
        hint=f"{', '.join(BODY_TYPES[:-1])} or {BODY_TYPES[-1]} would be right.",
    )


def is_json(content_type: str, body: bytes) -> bool:
    """Returns whether a body is to be read as JSON."""
    media = media_type(content_type)
    if media in _UNSAID:
        begin = body[:64].lstrip()[:1]
        return not begin or begin in _JSON_BEGINS
    return media in _JSON


def is_form(content_type: str) -> bool:
    """Returns whether a body is a form."""
    return media_type(content_type) == _FORM


def json_value(body: bytes, keys: Sequence[str]) -> Any:
    """Returns the value under one of `keys`; a body without them is the value itself.

    Raises:
        BadRequestError: The body is not JSON, or has other keys beside.
    """
    value = parse_json(body)
    key = next((key for key in keys if isinstance(value, dict) and key in value), None)
    if key is None:
        return value
    if len(value) > 1:
        extra = ", ".join(sorted(name[:60] for name in set(value) - {key})[:5])
        raise BadRequestError(
            f'Got other keys beside "{key}": {extra[:100]}.',
            hint=f'{{"{key}": …}} would be right; a row is {{"{key}": {{"column": value, …}}}}.',
        )
    return value[key]


def read_form(content_type: str, body: bytes, keys: Sequence[str]) -> list[bytes] | bytes:
    """Returns the files of a form, or the JSON of the first field of `keys` if it has no file.

    Raises:
        BadRequestError: It is broken, or has neither.
    """
    parts = parse_form(content_type, body)
    files = [part.body for part in parts if part.is_file]
    if files:
        return files
    fields = {part.name: part.body for part in parts}
    key = next((key for key in keys if key in fields), None)
    if key is None:
        raise BadRequestError(
            f"Got a form without a file and without the field '{keys[0]}'.",
            hint=f"curl -F {keys[0]}=@FILE sends a file, -F {keys[0]}='[[…]]' JSON.",
        )
    return fields[key]
