"""What is asked of the reading process and what it answers, as values and as bytes on a pipe.

A message is the length of its head, the head as JSON, and buffers behind it. Nothing is pickled:
what comes back from a process that read hostile bytes is no more than numbers and texts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.binary import pack, unpack

_LENGTH = struct.Struct("<Q")
_TEXT = "str"


@dataclass(frozen=True)
class Work:
    """A body to be read.

    Attributes:
        kind: By which dialect; see `kinds`.
        signature: Of the model.
        body: The bytes.
        description: What the model says of itself, where its modality decodes.
        options: What the dialect needs beside, JSON-able.
    """

    kind: str
    signature: Signature
    body: bytes
    description: Description | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parsed:
    """What a body holds.

    Attributes:
        inputs: Tensors by name.
        facts: What else it says, JSON-able.
        files: Contents of files, to be decoded by the model's modality.
    """

    inputs: dict[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[bytes, ...] = ()


def write(pipe: BinaryIO, head: Mapping[str, Any], buffers: Iterable[Any] = ()) -> None:
    """Writes a message."""
    text = orjson.dumps(head)
    pipe.write(_LENGTH.pack(len(text)) + text)
    for buffer in buffers:
        pipe.write(buffer)
    pipe.flush()


def read_head(pipe: BinaryIO) -> dict[str, Any]:
    """Returns the head of a message.

    Raises:
        EOFError: The other side is gone.
    """
    (length,) = _LENGTH.unpack(read_bytes(pipe, _LENGTH.size))
    head: dict[str, Any] = orjson.loads(read_bytes(pipe, length))
    return head


def read_bytes(pipe: BinaryIO, size: int) -> bytes:
    """Returns so many bytes.

    Raises:
        EOFError: The other side is gone.
    """
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError("the other side of the pipe is gone")
    return data


def write_work(pipe: BinaryIO, work: Work) -> None:
    """Writes what is asked."""
    described = None if work.description is None else work.description.to_json()
    head = {
        "kind": work.kind,
        "signature": work.signature.to_json(),
        "description": described,
        "options": dict(work.options),
        "size": len(work.body),
    }
    write(pipe, head, [work.body])


def read_work(pipe: BinaryIO) -> Work:
    """Returns what is asked.

    Raises:
        EOFError: The other side is gone.
    """
    head = read_head(pipe)
    described = head["description"]
    return Work(
        head["kind"],
        Signature.from_json(head["signature"]),
        read_bytes(pipe, head["size"]),
        None if described is None else Description.from_json(described),
        head["options"],
    )


def write_parsed(pipe: BinaryIO, parsed: Parsed, *, is_last: bool) -> None:
    """Writes what was read, and whether the process ends with it."""
    tensors, buffers = [], []
    for name, value in parsed.inputs.items():
        is_text = value.dtype.kind in "OUS"
        buffer = pack(value) if is_text else np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        dtype = _TEXT if is_text else value.dtype.name
        tensors.append([name, dtype, list(value.shape), len(buffer)])
        buffers.append(buffer)
    sizes = [len(file) for file in parsed.files]
    told = {"tensors": tensors, "files": sizes, "facts": dict(parsed.facts)}
    write(pipe, {**told, "is_last": is_last}, [*buffers, *parsed.files])


def read_parsed(pipe: BinaryIO, head: Mapping[str, Any]) -> Parsed:
    """Returns what was read, from the head of its message on.

    Raises:
        EOFError: The other side is gone.
    """
    inputs = {
        name: unpack(read_bytes(pipe, size), TensorSpec(name, dtype, tuple(shape)), shape)
        for name, dtype, shape, size in head["tensors"]
    }
    files = tuple(read_bytes(pipe, size) for size in head["files"])
    return Parsed(inputs, head["facts"], files)
