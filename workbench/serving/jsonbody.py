"""A request's body as JSON, with errors that say where it broke."""

from __future__ import annotations

from typing import Any

import orjson

from workbench.serving.errors import BadRequestError, MediaTypeError
from workbench.serving.messages import Request


def check_encoding(request: Request) -> None:
    """Refuses compressed bodies.

    Raises:
        MediaTypeError: The body has a content encoding.
    """
    encoding = request.header(b"content-encoding")
    if encoding and encoding.lower() != "identity":
        raise MediaTypeError(
            f"Got a body encoded as {encoding[:20]}; a plain one would be right.",
            hint="Send it without Content-Encoding.",
        )


def parse_json(body: bytes | memoryview) -> Any:
    """Returns the body's value.

    Raises:
        BadRequestError: It is not JSON; the message gives the place, never the payload.
    """
    if not body:
        raise BadRequestError("Got an empty body; JSON would be right.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = "JSON has no NaN or Infinity; finite numbers or null would be right."
        text = bytes(body)
        shows_nan = any(word in text for word in (b"NaN", b"Infinity", b"nan"))
        raise BadRequestError(
            f"Got a body that is not JSON: {error.msg}, line {error.lineno} column {error.colno}.",
            hint=hint if shows_nan else "Check it with a JSON parser.",
            context={"line": error.lineno, "column": error.colno},
        ) from None


def parse_object(body: bytes | memoryview) -> dict[str, Any]:
    """Returns the body's JSON object.

    Raises:
        BadRequestError: It is not JSON, or not an object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = parse_json(body)
    if not isinstance(value, dict):
        raise BadRequestError(
            f'Got a JSON {json_kind(value)}; an object such as {{"inputs": …}} would be right.'
        )
    return value


def shown(value: Any) -> str:
    """Returns the beginning of a JSON value in words, whatever its size and depth."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, str):
        return repr(value[:40])
    return "null" if value is None else str(value)[:40]


def json_kind(value: Any) -> str:
    """Returns the JSON word for a value's type."""
    if value is None:
        return "null"
    names = {dict: "object", list: "list", str: "text", bool: "true or false"}
    return names.get(type(value), "number")
