"""ONNX files as others write them: weights beside the graph, several tensors, other dtypes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

from workbench.core.errors import InputError, NotFoundError, UnsupportedError
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


def saved(path, nodes, inputs, outputs):
    """Writes a graph of floats; shapes as ONNX takes them, None for a dimension without a name."""

    def made(tensors):
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in tensors.items()
        ]

    graph = helper.make_graph(nodes, "g", made(inputs), made(outputs))
    onnx.save(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), path
    )
    return path


def answers(space, path, feeds):
    """What an endpoint of the file answers in V2, by output."""
    endpoint = space.serve(space.register(space.import_model(path), path.stem))
    try:
        return endpoint.client.infer(feeds)
    finally:
        endpoint.stop()


def test_dimensions_without_a_name_are_not_taken_for_each_other(space, tmp_path):
    path = saved(
        tmp_path / "unnamed.onnx",
        [helper.make_node("MatMul", ["x", "y"], ["z"])],
        {"x": [None, None, None], "y": [None, None, None]},
        {"z": [None, None, None]},
    )
    rng = np.random.default_rng(0)
    feeds = {"x": rng.random((2, 3, 4), np.float32), "y": rng.random((2, 4, 5), np.float32)}
    np.testing.assert_allclose(answers(space, path, feeds)["z"], feeds["x"] @ feeds["y"], rtol=1e-5)


def test_a_tensor_without_dimensions_is_served(space, tmp_path):
    path = saved(
        tmp_path / "scaled.onnx",
        [helper.make_node("Mul", ["x", "alpha"], ["y"])],
        {"x": ["n", 3], "alpha": []},
        {"y": ["n", 3]},
    )
    feeds = {"x": np.ones((2, 3), np.float32), "alpha": np.array(2.5, np.float32)}
    np.testing.assert_allclose(answers(space, path, feeds)["y"], 2.5 * feeds["x"])


def test_a_graph_without_outputs_is_refused(space, tmp_path):
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    path = saved(tmp_path / "mute.onnx", nodes, {"x": ["n", 3]}, {})
    with pytest.raises(UnsupportedError, match="has no outputs"):
        space.import_model(path)


def test_weights_that_are_cut_off_are_told(space, data, tmp_path):
    path = in_two_files(data, tmp_path)
    weights = path.with_name("net.onnx.data")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match=r"cannot be read from net\.onnx\.data"):
        space.import_model(path, data)


def test_a_metric_that_is_no_text_is_told(space, data):
    run = space.import_model(in_two_files(data, space.store.home.scratch), data)
    with pytest.raises(InputError, match="Got 5 for one of the metrics"):
        space.study(run, data, metric=5)
