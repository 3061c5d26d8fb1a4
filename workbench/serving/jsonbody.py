"""A request's body as JSON, with errors that say where it broke."""

from __future__ import annotations

from typing import Any

import orjson

from workbench.serving.errors import BadRequestError, MediaTypeError, TooLargeError
from workbench.serving.limits import (
    INLINE_BYTES,
    INLINE_CONTAINERS,
    INLINE_MOST_BYTES,
    INLINE_VALUES,
    JSON_CONTAINERS,
    JSON_TEXTS,
    JSON_VALUES,
    ORDER_BYTES,
)
from workbench.serving.messages import Request

_ALWAYS_TAKEN = min(JSON_VALUES, JSON_CONTAINERS, 2 * JSON_TEXTS)  # bytes


def check_encoding(request: Request) -> None:
    """Refuses compressed bodies.

    Raises:
        MediaTypeError: The body has a content encoding.
    """
    if b"content-encoding" not in request.headers:
        return
    encoding = request.header(b"content-encoding")
    if encoding and encoding.lower() != "identity":
        raise MediaTypeError(
            f"Got a body encoded as {encoding[:20]}; a plain one would be right.",
            hint="Send it without Content-Encoding.",
        )


def check_counts(body: bytes | memoryview) -> None:
    """Refuses JSON that holds too much, by its bytes: what is in a text counts as well.

    Raises:
        TooLargeError: It has too many values, lists and objects, or texts.
    """
    if len(body) <= _ALWAYS_TAKEN:
        return
    data = bytes(body)
    for what, marks, most in (
        ("values", b",", JSON_VALUES),
        ("lists and objects", b"[{", JSON_CONTAINERS),
        ("marks of texts", b'"', 2 * JSON_TEXTS),
    ):
        if len(data) > most and (got := _count(data, marks)) > most:
            raise TooLargeError(
                f"Got JSON of about {got} {what}; at most {most} are taken.",
                hint="Send binary tensors, or fewer samples a request.",
                context={"limit": most},
            )


def _count(data: bytes, marks: bytes, end: int | None = None) -> int:
    return sum(data.count(mark, 0, end) for mark in marks)


def is_heavy(body: bytes, end: int | None = None) -> bool:
    """Returns whether reading JSON may hold up others, by its length and its first bytes' counts.

    Args:
        body: The bytes.
        end: Where the JSON ends in them.
    """
    size = len(body) if end is None else end
    if size <= INLINE_BYTES:
        return False
    if size > INLINE_MOST_BYTES or _count(body, b'[{"', size) > INLINE_CONTAINERS:
        return True
    return size > 2 * INLINE_VALUES and _count(body, b",", size) > INLINE_VALUES


def parse_order(body: bytes) -> dict[str, Any]:
    """Returns the object of a body that is an order to the endpoint, not data.

    Raises:
        TooLargeError: It is longer than any order.
        BadRequestError: As `parse_object`.
    """
    if len(body) > ORDER_BYTES:
        raise TooLargeError(f"Got {len(body)} bytes; at most {ORDER_BYTES} would be right here.")
    return parse_object(body)


def parse_json(body: bytes | memoryview) -> Any:
    """Returns the body's value.

    Raises:
        BadRequestError: It is not JSON; the message gives the place, never the payload.
        TooLargeError: It holds more than is taken as JSON.
    """
    if not body:
        raise BadRequestError("Got an empty body; JSON would be right.")
    check_counts(body)
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
        TooLargeError: It holds more than is taken as JSON.
    """
    check_counts(body)
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
