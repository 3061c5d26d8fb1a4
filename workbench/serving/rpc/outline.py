"""What an infer message holds, seen from its fields' lengths alone, before protobuf makes objects.

A message of 64 MB may hold 32 million empty tensors, which take protobuf gigabytes to make. Source
of the form of fields: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.serving.errors import TooLargeError
from workbench.serving.limits import INLINE_BYTES, JSON_CONTAINERS

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_NAME, _VERSION, _RAW = 1, 2, 7
_MOST_OUTSIDE = 4096  # tensors, outputs and parameters: each is looked at on the event loop
_OVERHEAD = 64  # bytes of a field as an object
# The fields of InferRequest that are messages, and the messages in those; see `schema`.
_MESSAGES: Mapping[int, Any] = {4: {2: {}}, 5: {4: {2: {}}, 5: {}}, 6: {2: {2: {}}}}


@dataclass(frozen=True)
class Outline:
    """What is told of a message without reading it.

    Attributes:
        model_name: Of the model asked.
        model_version: Its version, or "".
        is_heavy: Whether making its objects may hold up others.
    """

    model_name: str
    model_version: str
    is_heavy: bool


def outline(data: bytes) -> Outline:
    """Returns the outline of an `InferRequest`; raw tensors, however large, are not heavy.

    Raises:
        TooLargeError: It has too many fields.
    """
    names = {_NAME: b"", _VERSION: b""}
    weight = 0
    for count, (number, begin, end) in enumerate(_fields(data, 0, len(data))):
        if number in names:
            names[number] = data[begin:end]
        weight += _OVERHEAD if number == _RAW else _OVERHEAD + end - begin
        if count > _MOST_OUTSIDE:
            raise _too_many(_MOST_OUTSIDE)
    name, version = (text.decode("utf-8", "replace") for text in names.values())
    return Outline(name, version, weight > INLINE_BYTES)


def check_fields(data: bytes) -> None:
    """Counts the fields of an `InferRequest` and of the messages in it.

    Raises:
        TooLargeError: There are too many.
    """
    pending: list[tuple[int, int, Mapping[int, Any]]] = [(0, len(data), _MESSAGES)]
    count = 0
    while pending:
        begin, end, messages = pending.pop()
        for number, inner, behind in _fields(data, begin, end):
            count += 1
            if count > JSON_CONTAINERS:
                raise _too_many(JSON_CONTAINERS)
            if number in messages and inner != behind:
                pending.append((inner, behind, messages[number]))


def _fields(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Gives number, first byte and end of each field; stops where the bytes are no message."""
    at = begin
    while at < end:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _LENGTH:
            size, at = _varint(data, at)
        elif kind == _VARINT:
            _, after = _varint(data, at)
            size = after - at
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            return
        if at + size > end:
            return
        yield key >> 3, at, at + size
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns a number and where it ends; one that is cut off or too long ends behind the data."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, len(data) + 1


def _too_many(most: int) -> TooLargeError:
    return TooLargeError(
        f"Got a message of more than {most} fields.",
        hint="Send raw_input_contents, or fewer values a request.",
    )
