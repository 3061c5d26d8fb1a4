"""ONNX files as others write them: weights beside the graph, several tensors, other dtypes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench.core.errors import InputError, NotFoundError
from workbench.flow.workspace import Workspace

DIGITS = 10


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("foreign") / ".workbench", inline=True)


@pytest.fixture(scope="module")
def data(space):
    return space.load("digits")


def classifier(data):
    """Nearest class mean, as a graph whose weights are large enough to be kept outside."""
    rows, targets = np.asarray(data.train.inputs, np.float32), data.train.targets
    means = np.stack([rows[targets == k].mean(0).ravel() for k in range(DIGITS)])
    weight, bias = (2 * means.T).astype(np.float32), -(means**2).sum(1).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", DIGITS])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def in_two_files(data, folder, location="net.onnx.data"):
    onnx.save_model(
        classifier(data),
        folder / "net.onnx",
        save_as_external_data=True,
        location=location,
        size_threshold=0,
    )
    return folder / "net.onnx"


def test_weights_beside_the_file_come_along_and_are_served(space, data, tmp_path):
    path = in_two_files(data, tmp_path)
    run = space.import_model(path, data)
    path.with_name("net.onnx.data").unlink()  # nothing is read from there any more
    version = space.register(run, "two-files")
    assert version.size_bytes > 2560
    space.verify(version)
    endpoint = space.serve(version.ref)
    try:
        sample = np.asarray(data.test[0].input)
        wanted = onnx_answer(version.path, data.test.batch([0])[0])
        found = endpoint.predict(sample)[0]
        assert found.label == str(wanted.argmax())
    finally:
        endpoint.stop()


def onnx_answer(path, inputs):
    return onnx.reference.ReferenceEvaluator(str(path)).run(None, {"pixels": inputs})[0]


def test_missing_weights_are_named(space, data, tmp_path):
    path = in_two_files(data, tmp_path)
    path.with_name("net.onnx.data").unlink()
    with pytest.raises(NotFoundError, match=r"net\.onnx\.data, which is not beside it"):
        space.import_model(path, data)


def test_weights_outside_the_folder_are_refused(space, data, tmp_path):
    path = in_two_files(data, tmp_path)
    graph = onnx.load(path, load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../etc/passwd"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(InputError, match="outside its own folder"):
        space.import_model(path, data)


def test_two_inputs_of_other_dtypes_and_two_outputs_are_registered_and_served(space, tmp_path):
    codes = helper.make_tensor_value_info("codes", TensorProto.INT64, ["n", 3])
    scale = helper.make_tensor_value_info("scale", TensorProto.DOUBLE, ["n", 1])
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["codes"], ["numbers"], to=TensorProto.DOUBLE),
            helper.make_node("Mul", ["numbers", "scale"], ["scaled"]),
            helper.make_node("ReduceMax", ["codes"], ["largest"], keepdims=0, axes=[1]),
        ],
        "g",
        [codes, scale],
        [
            helper.make_tensor_value_info("scaled", TensorProto.DOUBLE, ["n", 3]),
            helper.make_tensor_value_info("largest", TensorProto.INT64, ["n"]),
        ],
    )
    path = tmp_path / "two.onnx"
    onnx.save(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 13)]), path
    )
    version = space.register(space.import_model(path), "two-of-each")
    space.verify(version)
    endpoint = space.serve(version.ref)
    try:
        given = {"codes": np.array([[1, 5, 2]]), "scale": np.array([[0.5]])}
        outputs = endpoint.client.infer(given)
        assert np.array_equal(outputs["scaled"], [[0.5, 2.5, 1.0]])
        assert outputs["largest"].tolist() == [5]
    finally:
        endpoint.stop()
