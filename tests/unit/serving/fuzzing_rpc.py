"""Whatever message comes over gRPC is answered in words: for the tests and the soak."""

from __future__ import annotations

import grpc
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from tests.unit.serving.fuzzing import MODELS, TIMEOUT_S

WRONG = ("INTERNAL", "UNKNOWN")
NAMES = st.sampled_from(["input", "x", "count", "text", "y", ""])
EXTREME = st.sampled_from([0, 1, -1, 2**31, 2**53, 2**62, 2**63 - 1, -(2**63)])
SHAPES = (
    st.sampled_from([[1, 1, 8, 8], [3], [2, 2], [2]])
    | st.lists(st.integers(-1, 9) | EXTREME, max_size=5)
    | st.builds(lambda dim, count: [dim] * count, EXTREME, st.sampled_from([33, 65, 1000]))
)
MANY = st.sampled_from([1, 1, 1, 1, 20, 300])
CONTENTS = st.one_of(
    st.tuples(st.just("fp32_contents"), st.lists(st.floats(width=32), max_size=4)),
    st.just(("fp32_contents", [0.5] * 64)),
    st.tuples(st.just("int64_contents"), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)),
    st.tuples(st.just("bytes_contents"), st.lists(st.binary(max_size=4), max_size=4)),
    st.tuples(st.just("bool_contents"), st.lists(st.booleans(), max_size=4)),
)
TENSORS = st.tuples(
    NAMES, st.sampled_from(["FP32", "INT64", "BYTES", "FP16", "x"]), SHAPES, st.none() | CONTENTS
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["timeout", "binary_data_output", "classification", "sequence_id"]),
    st.one_of(
        st.tuples(st.just("int64_param"), st.integers(-(2**63), 2**63 - 1)),
        st.tuples(st.just("bool_param"), st.booleans()),
        st.tuples(st.just("string_param"), st.text(max_size=4)),
        st.tuples(st.just("double_param"), st.floats()),
    ),
    max_size=2,
)


def _message(model, version, tensors, raws, outputs, parameters, many) -> bytes:
    made = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, datatype, shape, contents in tensors * many:
        tensor = made.inputs.add(name=name, datatype=datatype, shape=shape)
        if contents is not None:
            getattr(tensor.contents, contents[0]).extend(contents[1])
    made.raw_input_contents.extend(raws)
    for name in outputs * many:
        made.outputs.add(name=name)
    for name, (kind, value) in parameters.items():
        setattr(made.parameters[name], kind, value)
    return made.SerializeToString()


RAWS = st.binary(max_size=16) | st.sampled_from([bytes(256), bytes(12), bytes(16), bytes(32)])
MESSAGES = st.builds(
    _message,
    st.sampled_from((*MODELS, "")),
    st.sampled_from(["", "1", "9"]),
    st.lists(TENSORS, max_size=3),
    st.just([]) | st.lists(RAWS, max_size=3),
    st.lists(st.sampled_from(["output", "sum", "echo_bytes", "z"]), max_size=2),
    PARAMETERS,
    MANY,
) | st.binary(max_size=60)


PATH = f"/{service_pb2.DESCRIPTOR.services_by_name['GRPCInferenceService'].full_name}/ModelInfer"


def answer_of(port: int, token: str, message: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """Asks once, over a channel of its own, and returns the answer."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        metadata = (("authorization", f"Bearer {token}"),)
        return channel.unary_unary(PATH)(message, metadata=metadata, timeout=timeout_s)


def code_of(port: int, token: str, message: bytes, timeout_s: float = TIMEOUT_S) -> str:
    """Asks once and returns the name of the status."""
    try:
        answer_of(port, token, message, timeout_s)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


class RpcCaller:
    """Sends messages over one channel."""

    def __init__(self, port: int, token: str) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._infer = self._channel.unary_unary(PATH)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def check(self, data: bytes) -> None:
        """Sends a message and checks what every answer must be.

        Raises:
            AssertionError: It is an internal error, a refusal without words, or none at all.
        """
        try:
            self._infer(data, metadata=self._metadata, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            refused = error
        else:
            return
        code = dict(refused.trailing_metadata() or ()).get("workbench-error")
        is_model = code == "model_failed"  # numbers so large that the model overflows
        assert code, (refused, data)  # not answered by us: a hang, or a crash
        assert refused.code().name not in WRONG or is_model, (refused, data)
        assert refused.details(), (refused, data)

    def close(self) -> None:
        self._channel.close()
