"""Infer messages to tensors and back: raw bytes or typed contents, as the caller sent them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError, did_you_mean
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.batching import Outputs
from workbench.serving.binary import DATATYPES, datatype_of, pack, unpack
from workbench.serving.deadlines import read_parameter
from workbench.serving.engine import Tensors
from workbench.serving.jsonbody import shown
from workbench.serving.problems import Problems
from workbench.serving.rpc.schema import Schema, choice
from workbench.serving.served import Served
from workbench.serving.shapes import checked_shape
from workbench.serving.tensors import as_tensor, check_output, first_few, input_error

_CONTENTS = {
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
}
_WANTS_END, _IS_END = "triton_enable_empty_final_response", "triton_final_response"
_REFUSED = {
    "shared_memory_region": "tensors come inside the message",
    "classification": "ask /predict for labels",
}


@dataclass(frozen=True)
class Call:
    """A parsed infer request.

    Attributes:
        inputs: Tensors by name.
        id: The caller's own id for the request; "" for none.
        wanted: Names of the outputs asked for; empty for all.
        is_raw: Whether the outputs go out as bytes.
        timeout_s: How long the caller waits; None for ever.
        wants_end: Whether an answer in pieces ends with an empty one that says so.
    """

    inputs: Tensors
    id: str
    wanted: tuple[str, ...]
    is_raw: bool
    timeout_s: float | None
    wants_end: bool = False


def parse(message: Any, signature: Signature) -> Call:
    """Returns what an `InferRequest` asks of a model.

    Raises:
        InputError: Everything that does not fit, at once.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    raw: Sequence[bytes] = message.raw_input_contents
    problems = Problems()
    if raw and len(raw) != len(message.inputs):
        problems.add(
            f"raw_input_contents: got {len(raw)} for {len(message.inputs)} inputs; "
            "one for each would be right"
        )
        raise input_error(problems, signature)
    inputs: dict[str, NDArray[Any]] = {}
    for place, item in enumerate(first_few("inputs", message.inputs, signature.inputs, problems)):
        try:
            value = _tensor(item, raw[place] if raw else None, specs)
            if item.name in inputs:
                problems.add(f"{item.name}: given twice; once would be right")
            inputs[item.name] = value
        except InputError as error:
            problems.add(error.message)
    parameters = {name: choice(value) for name, value in message.parameters.items()}
    timeout_s = read_parameter(parameters, problems)
    wanted = _wanted(message.outputs, signature, problems)
    if problems:
        raise input_error(problems, signature)
    is_raw = bool(raw) or parameters.get("binary_data_output") is True
    wants_end = parameters.get(_WANTS_END) is True
    return Call(inputs, message.id, wanted, is_raw, timeout_s, wants_end)


def call_of(inputs: Tensors, facts: Mapping[str, Any]) -> Call:
    """Returns a request that was read elsewhere."""
    return Call(inputs, **{**facts, "wanted": tuple(facts["wanted"])})


def facts_of(call: Call) -> dict[str, Any]:
    """Returns what `call_of` takes, as JSON-able values."""
    return {
        "id": call.id,
        "wanted": call.wanted,
        "is_raw": call.is_raw,
        "timeout_s": call.timeout_s,
        "wants_end": call.wants_end,
    }


def encode(schema: Schema, served: Served, call: Call, outputs: Outputs) -> bytes:
    """Returns the bytes of the `InferResponse`."""
    data: bytes = _response(schema, served, call, outputs).SerializeToString()
    return data


def encode_piece(schema: Schema, served: Served, call: Call, outputs: Outputs) -> bytes:
    """Returns the bytes of a `StreamInferResponse`."""
    response = _response(schema, served, call, outputs)
    return schema.write("StreamInferResponse", infer_response=response)


def encode_end(schema: Schema, served: Served, call: Call) -> bytes:
    """Returns the bytes of the last `StreamInferResponse` of a request; none if unwanted."""
    if not call.wants_end:
        return b""
    response = schema.new(
        "InferResponse", model_name=served.name, model_version=served.version, id=call.id
    )
    response.parameters[_IS_END].bool_param = True
    return schema.write("StreamInferResponse", infer_response=response)


def _response(schema: Schema, served: Served, call: Call, outputs: Outputs) -> Any:
    """Returns the `InferResponse`.

    Typed contents know no half-precision numbers: with one among them, all outputs go raw.
    """
    names = call.wanted or tuple(outputs)
    is_raw = call.is_raw or any(outputs[name].dtype == np.float16 for name in names)
    message = schema.new(
        "InferResponse", model_name=served.name, model_version=served.version, id=call.id
    )
    for name in names:
        value = outputs[name]
        datatype = datatype_of(value.dtype)
        made = message.outputs.add(name=name, datatype=datatype, shape=value.shape)
        if is_raw:
            message.raw_output_contents.append(pack(value))
        else:
            getattr(made.contents, _CONTENTS[datatype]).extend(_flat(value))
    return message


def _tensor(item: Any, raw: bytes | None, specs: Mapping[str, TensorSpec]) -> NDArray[Any]:
    name = item.name
    spec = specs.get(name)
    if spec is None:
        raise InputError(f"{name[:60]}: the model has no such input{did_you_mean(name, specs)}")
    _check_parameters(name, item.parameters)
    shape = checked_shape(list(item.shape), name)
    datatype = DATATYPES[spec.dtype]
    if item.datatype != datatype:
        got = shown(item.datatype)
        raise InputError(f"{name}: got the datatype {got}; '{datatype}' would be right")
    if raw is not None:
        return unpack(memoryview(raw), spec, shape)
    return as_tensor(_typed(item.contents, spec, datatype), spec, shape)


def _typed(contents: Any, spec: TensorSpec, datatype: str) -> list[Any]:
    field = _CONTENTS.get(datatype)
    if field is None:
        raise InputError(f"{spec.name}: {datatype} goes as raw_input_contents only")
    given = [descriptor.name for descriptor, _ in contents.ListFields()]
    if any(name != field for name in given):
        raise InputError(
            f"{spec.name}: got {', '.join(given)}; {field} would be right for {datatype}"
        )
    values = list(getattr(contents, field))
    return values if datatype != "BYTES" else [_text(spec, i, v) for i, v in enumerate(values)]


def _text(spec: TensorSpec, place: int, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{spec.name}: text {place} is not UTF-8") from error


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    for refused, instead in _REFUSED.items():
        if refused in parameters:
            raise InputError(f"{name}: the parameter '{refused}' is not known here; {instead}")


def _wanted(items: Sequence[Any], signature: Signature, problems: Problems) -> tuple[str, ...]:
    known = [spec.name for spec in signature.outputs]
    items = first_few("outputs", items, signature.outputs, problems)
    seen: set[str] = set()
    for item in items:
        check_output(item.name, known, seen, problems)
        try:
            _check_parameters(item.name[:60], item.parameters)
        except InputError as error:
            problems.add(error.message)
    return tuple(item.name for item in items)


def _flat(value: NDArray[Any]) -> list[Any]:
    flat = value.ravel().tolist()
    return flat if value.dtype.kind not in "OUS" else [str(item).encode() for item in flat]
