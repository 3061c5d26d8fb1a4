"""The body of a V2 inference request, JSON with or without binary tensors, as tensors.

Sources: https://github.com/kserve/open-inference-protocol and extension_binary_data.md in
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from workbench.core.errors import InputError, did_you_mean
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.binary import DATATYPES, unpack
from workbench.serving.deadlines import read_parameter
from workbench.serving.engine import Tensors
from workbench.serving.errors import BadRequestError
from workbench.serving.jsonbody import check_counts, json_kind, parse_object, shown
from workbench.serving.large_json import LARGE_BYTES, LargeJson
from workbench.serving.messages import Request
from workbench.serving.problems import Problems
from workbench.serving.shapes import checked_shape
from workbench.serving.tensors import as_tensor, check_output, first_few, input_error

HEADER_LENGTH = b"inference-header-content-length"
_LARGE = LargeJson()
_LONGEST = 1024
_MOST_LAYOUTS = 64
_MOST_DIGITS = 18


class Call(NamedTuple):
    """A parsed infer request.

    Attributes:
        inputs: Tensors by name.
        id: The caller's own id for the request.
        wanted: Names of the outputs asked for; empty for all.
        binary: Names of the outputs to send as bytes.
        timeout_s: How long the caller waits; None for ever.
    """

    inputs: Tensors
    id: str | None = None
    wanted: tuple[str, ...] = ()
    binary: frozenset[str] = frozenset()
    timeout_s: float | None = None


class CallReader:
    """Reads the requests to one model.

    The JSON part of binary requests says only how the bytes behind it are laid out, and is the same
    again and again: a layout that was found right is remembered by its bytes.

    Args:
        signature: Of the model.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._layouts: dict[bytes, Layout] = {}

    def read(self, request: Request) -> Call:
        """Returns what a request asks of the model; see `parse_call`."""
        if HEADER_LENGTH not in request.headers:
            return parse_call(request.body, b"", self._signature)
        end = json_end(request)
        header, blobs = request.body[:end], memoryview(request.body)[end:]
        layout = self._layouts.get(header)
        if layout is not None and layout.size == len(blobs):
            inputs = {
                name: unpack(blobs[begin:end], spec, shape)
                for name, spec, shape, begin, end in layout.places
            }
            return Call(inputs, *layout.call[1:])
        call = parse_call(header, blobs, self._signature)
        if len(header) <= _LONGEST and len(self._layouts) < _MOST_LAYOUTS:
            layout = _layout(call, len(blobs), self._signature)
            if layout is not None:
                self._layouts[header] = layout
        return call


class Layout(NamedTuple):
    """Where the tensors of a binary request lie.

    Attributes:
        call: What it asks, without its tensors.
        places: Name, tensor, shape, first byte, byte behind the last.
        size: Bytes in all.
    """

    call: Call
    places: tuple[tuple[str, TensorSpec, tuple[int, ...], int, int], ...]
    size: int


def _layout(call: Call, size: int, signature: Signature) -> Layout | None:
    """Returns the layout of a request that was read; None if some of it is not in the bytes."""
    places = []
    begin = 0
    for name, value in call.inputs.items():
        spec = _spec(name, signature)
        end = begin + value.nbytes
        places.append((name, spec, value.shape, begin, end))
        begin = end
    if begin != size or any(spec.dtype == "str" for _, spec, *_ in places):
        return None
    return Layout(call._replace(inputs={}), tuple(places), size)


def parse_call(header: bytes, blobs: bytes | memoryview, signature: Signature) -> Call:
    """Returns what a request asks of a model with this signature.

    Args:
        header: The JSON part.
        blobs: The bytes behind it.
        signature: Of the model.

    Raises:
        BadRequestError: The body is no infer request.
        InputError: All that is wrong with its tensors and outputs.
    """
    body = None
    if len(header) > LARGE_BYTES:
        check_counts(header)
        body = _LARGE.load(bytes(header))
    if body is None:
        body = parse_object(header)
    items = body.get("inputs")
    if not isinstance(items, list):
        raise BadRequestError(
            f"inputs: got {json_kind(items) if 'inputs' in body else 'nothing'}; "
            "a list of tensors would be right.",
            hint='As in {"inputs": [{"name": …, "shape": …, "datatype": …, "data": …}]}.',
        )
    inputs: dict[str, NDArray[Any]] = {}
    problems = Problems()
    for place, item in enumerate(first_few("inputs", items, signature.inputs, problems)):
        try:
            name, value, blobs = _tensor(item, place, signature, blobs)
            if name in inputs:
                problems.add(f"{name}: given twice; once would be right")
            inputs[name] = value
        except InputError as error:
            problems.add(error.message)
    if blobs:
        problems.add(f"the body has {len(blobs)} bytes more than its tensors need")
    is_plain = len(body) == 1
    call = Call(inputs) if is_plain else _asked(inputs, body, signature, problems)
    if problems:
        raise input_error(problems, signature)
    return call


_NONE: frozenset[str] = frozenset()


def _asked(
    inputs: Tensors, body: Mapping[str, Any], signature: Signature, problems: Problems
) -> Call:
    """Returns what a request asks beside its inputs."""
    wanted, binary = _outputs(body, signature, problems)
    timeout_s = read_parameter(body.get("parameters"), problems)
    return Call(inputs, _id(body.get("id"), problems), wanted, binary, timeout_s)


def _id(value: Any, problems: Problems) -> str | None:
    """Returns the caller's own id; a number is taken as its text."""
    if isinstance(value, list | dict):
        problems.add(f"id: got {shown(value)}; a text would be right")
        return None
    return None if value is None else str(value)


def call_of(inputs: Tensors, facts: Mapping[str, Any]) -> Call:
    """Returns a request that was read elsewhere."""
    binary = frozenset(facts["binary"])
    return Call(inputs, facts["id"], tuple(facts["wanted"]), binary, facts["timeout_s"])


def json_end(request: Request) -> int:
    """Returns the length of the JSON part of a request's body.

    Raises:
        BadRequestError: Its header says something else.
    """
    if HEADER_LENGTH not in request.headers:
        return len(request.body)
    length = request.headers[HEADER_LENGTH]
    if not length.isdigit() or len(length) > _MOST_DIGITS or int(length) > len(request.body):
        raise BadRequestError(
            f"Inference-Header-Content-Length: got {length.decode('latin-1')[:20]!r} for a body of "
            f"{len(request.body)} bytes; the length of its JSON part would be right."
        )
    return int(length)


def _tensor(
    item: Any, place: int, signature: Signature, blobs: bytes | memoryview
) -> tuple[str, NDArray[Any], bytes | memoryview]:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str):
        raise InputError(f"inputs[{place}]: got {json_kind(item)} without a name; a tensor")
    parameters = item.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    rest = blobs
    if isinstance(size, int) and not isinstance(size, bool):
        if not 0 <= size <= len(blobs):
            left = f"{len(blobs)} bytes are left"
            raise InputError(f"{name[:60]}: binary_data_size is {size}; {left}")
        blobs, rest = blobs[:size], blobs[size:]
    spec = _spec(name, signature)
    shape = checked_shape(item.get("shape"), name)
    if item.get("datatype") != DATATYPES[spec.dtype]:
        got, wanted = shown(item.get("datatype")), DATATYPES[spec.dtype]
        raise InputError(f"{name}: got the datatype {got}; '{wanted}' would be right")
    if size is not None:
        return name, unpack(blobs, spec, shape), rest
    if "data" not in item:
        raise InputError(f"{name}: got no data; a list of values would be right")
    return name, as_tensor(item["data"], spec, shape), rest


def _spec(name: str, signature: Signature) -> TensorSpec:
    for spec in signature.inputs:
        if spec.name == name:
            return spec
    known = [spec.name for spec in signature.inputs]
    raise InputError(f"{name[:60]}: the model has no such input{did_you_mean(name, known)}")


def _outputs(
    body: Mapping[str, Any], signature: Signature, problems: Problems
) -> tuple[tuple[str, ...], frozenset[str]]:
    items, parameters = body.get("outputs"), body.get("parameters")
    if not items and not parameters:
        return (), _NONE
    known = [spec.name for spec in signature.outputs]
    all_binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    if not items:
        return (), frozenset(known) if all_binary else _NONE
    items = items if isinstance(items, list) else [items]
    wanted: list[str] = []
    binary: set[str] = set()
    seen: set[str] = set()
    for item in first_few("outputs", items, signature.outputs, problems):
        name = item.get("name") if isinstance(item, dict) else None
        if not check_output(name, known, seen, problems):
            continue
        wanted.append(name)
        options = item.get("parameters")
        choice = options.get("binary_data") if isinstance(options, dict) else None
        if choice is True or (choice is None and all_binary):
            binary.add(name)
    return tuple(wanted), frozenset(binary)
