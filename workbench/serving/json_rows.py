"""Tensors in JSON as TensorFlow Serving writes them: by rows, by columns, bytes as base64.

Source: https://www.tensorflow.org/tfx/serving/api_rest, "Predict API" and "JSON mapping".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from workbench.core.errors import InputError, NotFoundError, did_you_mean
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.errors import BadRequestError
from workbench.serving.jsonbody import json_kind, shown
from workbench.serving.problems import Problems
from workbench.serving.tensors import as_tensor, input_error

SIGNATURE = "serving_default"
_KEYS = ("instances", "inputs", "signature_name")
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Call:
    """A parsed predict request.

    Attributes:
        inputs: Tensors by name; empty if `files` came.
        is_rows: Whether it came by rows, so that the answer goes by rows.
        is_unbatched: Whether the only row was given without a batch dimension.
        files: Contents of files, for a model that decodes them itself.
    """

    inputs: dict[str, NDArray[Any]]
    is_rows: bool
    is_unbatched: bool = False
    files: tuple[bytes, ...] = ()


def parse_call(body: Mapping[str, Any], signature: Signature) -> Call:
    """Returns the tensors of a predict request.

    Args:
        body: The request's JSON object.
        signature: Of the model.

    Raises:
        BadRequestError: It has neither or both of "instances" and "inputs", or another key.
        NotFoundError: It asks for a signature other than `serving_default`.
        InputError: Its tensors are not what the signature says.
    """
    _check_keys(body)
    if "inputs" in body:
        return Call(_columns(body["inputs"], signature), is_rows=False)
    rows = body["instances"]
    if not isinstance(rows, list) or not rows:
        got = "an empty list" if rows == [] else json_kind(rows)
        raise BadRequestError(
            f"instances: got {got}; a list of at least one instance would be right.",
            hint='One value for each sample, as in {"instances": [[1, 2], [3, 4]]}.',
        )
    files = _files(rows, signature)
    if files:
        return Call({}, is_rows=True, files=files)
    columns = _transposed(rows, signature)
    is_unbatched = len(rows) == 1 and not any(_has_batch(spec) for spec in signature.inputs)
    if is_unbatched:
        columns = {name: column[0] for name, column in columns.items()}
    return Call(_tensors(columns, signature), is_rows=True, is_unbatched=is_unbatched)


def as_b64(value: Any) -> Any:
    """Returns texts, alone or in lists, as objects of base64."""
    if isinstance(value, list):
        return [as_b64(item) for item in value]
    data = value if isinstance(value, bytes) else str(value).encode()
    return {"b64": base64.b64encode(data).decode()}


def _check_keys(body: Mapping[str, Any]) -> None:
    unknown = [key for key in body if key not in _KEYS]
    if unknown:
        near = did_you_mean(unknown[0], _KEYS)
        raise BadRequestError(
            f"Got the key '{unknown[0][:60]}'{near}.", hint=f"Known keys: {', '.join(_KEYS)}."
        )
    if ("instances" in body) == ("inputs" in body):
        got = "both" if "inputs" in body else "neither"
        raise BadRequestError(
            f'Got {got} of "instances" (rows) and "inputs" (columns); one would be right.',
            hint='As in {"instances": [[1, 2], [3, 4]]}.',
        )
    name = body.get("signature_name")
    if name not in (None, "", SIGNATURE):
        raise NotFoundError(
            f"The model has no signature {shown(name)}; it has '{SIGNATURE}'.",
            hint="Leave signature_name out.",
        )


def _columns(value: Any, signature: Signature) -> dict[str, NDArray[Any]]:
    if isinstance(value, Mapping) and not _is_b64(value):
        return _tensors(value, signature)
    if len(signature.inputs) != 1:
        raise BadRequestError(
            f"inputs: got {json_kind(value)}, and the model has {len(signature.inputs)} inputs; "
            "an object with a tensor for each would be right."
        )
    return _tensors({signature.inputs[0].name: value}, signature)


def _transposed(rows: list[Any], signature: Signature) -> dict[str, list[Any]]:
    """Returns rows as columns; each row is an object, or the value of the only input."""
    are_objects = [isinstance(row, Mapping) and not _is_b64(row) for row in rows]
    names = [spec.name for spec in signature.inputs]
    if not any(are_objects) and len(names) == 1:
        return {names[0]: rows}
    problems, right = Problems(), set(names)
    for place, (row, is_object) in enumerate(zip(rows, are_objects, strict=True)):
        if is_object and row.keys() == right:
            continue
        if problems.is_full:
            problems.add("")
        else:
            _note_row(place, row if is_object else None, names, problems)
    if problems:
        raise input_error(problems, signature)
    return {name: [row[name] for row in rows] for name in names}


def _note_row(
    place: int, row: Mapping[str, Any] | None, names: list[str], problems: Problems
) -> None:
    at = f"instances[{place}]"
    if row is None:
        problems.add(f"{at}: an object with {', '.join(names)} would be right")
        return
    problems.add_all(f"{at}: {name} is missing" for name in names if name not in row)
    for key in row:
        if key not in names:
            near = problems.near(key, names)
            problems.add(f"{at}: the model has no input '{key[:60]}'{near}")


def _tensors(values: Mapping[str, Any], signature: Signature) -> dict[str, NDArray[Any]]:
    specs = {spec.name: spec for spec in signature.inputs}
    found: dict[str, NDArray[Any]] = {}
    problems = Problems()
    for name, value in values.items():
        spec = specs.get(name)
        if spec is None:
            near = problems.near(name, specs)
            problems.add(f"{name[:60]}: the model has no such input{near}")
            continue
        try:
            found[name] = as_tensor(_texts(value, spec) if spec.dtype == "str" else value, spec)
        except InputError as error:
            problems.add(error.message)
    if problems:
        raise input_error(problems, signature)
    return found


def _files(rows: list[Any], signature: Signature) -> tuple[bytes, ...]:
    """Returns the contents if each row is an object of base64 and the model takes no text."""
    if len(signature.inputs) != 1 or signature.inputs[0].dtype == "str":
        return ()
    name = signature.inputs[0].name
    plain = [row.get(name) if _has_only(row, name) else row for row in rows]
    if not all(_is_b64(row) for row in plain):
        return ()
    files, problems = [], Problems()
    for place, row in enumerate(plain):
        try:
            files.append(_from_b64(row["b64"], f"instances[{place}]"))
        except InputError as error:
            problems.add(error.message)
    if problems:
        raise input_error(problems, signature)
    return tuple(files)


def _texts(value: Any, spec: TensorSpec, depth: int = 0) -> Any:
    """Returns texts with their base64 objects decoded; ONNX texts are UTF-8."""
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [_texts(item, spec, depth + 1) for item in value]
    if not _is_b64(value):
        return value
    try:
        return _from_b64(value["b64"], spec.name).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{spec.name}: got bytes that are no UTF-8 text") from error


def _from_b64(text: Any, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError, binascii.Error) as error:
        raise InputError(
            f"{place}: got b64 that is not base64; padded base64 would be right"
        ) from (error)


def _is_b64(value: Any) -> bool:
    return _has_only(value, "b64")


def _has_only(value: Any, key: str) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and key in value


def _has_batch(spec: TensorSpec) -> bool:
    return spec.is_batched or spec.shape[:1] == (1,)
