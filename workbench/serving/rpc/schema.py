"""The messages of Open Inference Protocol V2 over gRPC, as a table of fields with their numbers.

The table states what goes over the wire; names of nested types do not, so all types stand side by
side. Sources: open_inference_grpc.proto in https://github.com/kserve/open-inference-protocol, the
repository, configuration and health calls of grpc_service.proto and model_config.proto in
https://github.com/triton-inference-server/common, and health.proto of gRPC (grpc.health.v1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workbench.core.optional import require
from workbench.serving.errors import BadRequestError

FOR, EXTRA = "the endpoint's gRPC port", "grpc"
_PACKAGE = "workbench.rpc"

# "TYPE name" in the order of the numbers from 1; "=N" where a number is skipped; "[]" repeats and
# "{}" maps texts to the type.
_MESSAGES = {
    "Nothing": "",
    "Health": "int32 status",
    "Live": "bool live",
    "Ready": "bool ready",
    "Model": "string name, string version",
    "Server": "string name, string version, string[] extensions",
    "TensorMetadata": "string name, string datatype, int64[] shape",
    "ModelMetadata": "string name, string[] versions, string platform, TensorMetadata[] inputs, "
    "TensorMetadata[] outputs",
    "InputConfig": "string name, int32 data_type, int64[] dims=4",
    "OutputConfig": "string name, int32 data_type, int64[] dims",
    "Config": "string name, string platform, int32 max_batch_size=4, InputConfig[] input, "
    "OutputConfig[] output, string backend=17",
    "ModelConfig": "Config config",
    "IndexRequest": "string repository_name, bool ready",
    "IndexEntry": "string name, string version, string state, string reason",
    "Index": "IndexEntry[] models",
    "RepositoryParameter": "bool bool_param, int64 int64_param, string string_param, "
    "bytes bytes_param",
    "RepositoryModel": "string repository_name, string model_name, "
    "RepositoryParameter{} parameters",
    "InferParameter": "bool bool_param, int64 int64_param, string string_param, "
    "double double_param, uint64 uint64_param",
    "Contents": "bool[] bool_contents, int32[] int_contents, int64[] int64_contents, "
    "uint32[] uint_contents, uint64[] uint64_contents, float[] fp32_contents, "
    "double[] fp64_contents, bytes[] bytes_contents",
    "InferInput": "string name, string datatype, int64[] shape, InferParameter{} parameters, "
    "Contents contents",
    "WantedOutput": "string name, InferParameter{} parameters",
    "InferRequest": "string model_name, string model_version, string id, "
    "InferParameter{} parameters, InferInput[] inputs, WantedOutput[] outputs, "
    "bytes[] raw_input_contents",
    "InferOutput": "string name, string datatype, int64[] shape, InferParameter{} parameters, "
    "Contents contents",
    "InferResponse": "string model_name, string model_version, string id, "
    "InferParameter{} parameters, InferOutput[] outputs, bytes[] raw_output_contents",
    "StreamInferResponse": "string error_message, InferResponse infer_response",
}
_CHOICES = ("InferParameter", "RepositoryParameter")
_FIELD = re.compile(r"(\w+)(\[\]|\{\})? (\w+)(?:=(\d+))?")
# FieldDescriptorProto.Type
_TYPES = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3


class Schema:
    """Makes, reads and writes messages by the names of the table.

    Raises:
        MissingDependencyError: protobuf is not installed.
    """

    def __init__(self) -> None:
        proto = require("google.protobuf.descriptor_pb2", for_=FOR, extra=EXTRA)
        pools = require("google.protobuf.descriptor_pool", for_=FOR, extra=EXTRA)
        factory = require("google.protobuf.message_factory", for_=FOR, extra=EXTRA)
        self._decode_error = require("google.protobuf.message", for_=FOR, extra=EXTRA).DecodeError
        pool = pools.DescriptorPool()  # its own, so that a client in the same process may have one
        pool.AddSerializedFile(_file(proto).SerializeToString())
        self._classes = {
            name: factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
            for name in _MESSAGES
        }

    def new(self, name: str, /, **values: Any) -> Any:
        """Returns a message; a field of messages takes dicts."""
        return self._classes[name](**values)

    def write(self, name: str, /, **values: Any) -> bytes:
        """Returns the bytes of a message."""
        data: bytes = self.new(name, **values).SerializeToString()
        return data

    def read(self, name: str, data: bytes) -> Any:
        """Returns the message in `data`.

        Raises:
            BadRequestError: The bytes are another message, or none.
        """
        try:
            return self._classes[name].FromString(data)
        except self._decode_error as error:
            raise BadRequestError(
                f"Got {len(data)} bytes that are not the protobuf message of this call.",
                hint="Use a client of the Open Inference Protocol, version 2.",
            ) from error


def table() -> dict[str, list[tuple[int, str, str]]]:
    """Returns number, name and type of each field, by message, as the table states them."""
    return {
        name: [(number, field, kind + form) for number, field, kind, form in _fields(text)]
        for name, text in _MESSAGES.items()
    }


def choice(parameter: Any) -> Any:
    """Returns the value that a parameter holds; None if it holds none."""
    name = parameter.WhichOneof("choice")
    return None if name is None else getattr(parameter, name)


def _fields(text: str) -> Iterator[tuple[int, str, str, str]]:
    number = 0
    for found in _FIELD.finditer(text):
        number = int(found[4]) if found[4] else number + 1
        yield number, found[3], found[1], found[2] or ""


def _file(proto: Any) -> Any:
    file = proto.FileDescriptorProto(name="v2.proto", package=_PACKAGE, syntax="proto3")
    for name, text in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name in _CHOICES:
            message.oneof_decl.add(name="choice")
        for number, field, kind, form in _fields(text):
            made = message.field.add(name=field, number=number, label=_OPTIONAL)
            _set_type(made, kind)
            if form:
                made.label = _REPEATED
            if form == "{}":
                made.type_name = _entry(message, name, field, kind)
                made.type = _MESSAGE
            if name in _CHOICES:
                made.oneof_index = 0
    return file


def _set_type(field: Any, kind: str) -> None:
    field.type = _TYPES.get(kind, _MESSAGE)
    if field.type == _MESSAGE:
        field.type_name = f".{_PACKAGE}.{kind}"


def _entry(message: Any, owner: str, field: str, kind: str) -> str:
    """Adds the pair that a map is made of, and returns its name."""
    name = f"{field.title()}Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_OPTIONAL, type=_TYPES["string"])
    _set_type(entry.field.add(name="value", number=2, label=_OPTIONAL), kind)
    return f".{_PACKAGE}.{owner}.{name}"
