"""Models of one's own: modules from a cell and ONNX files, on the digits."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import workbench as wb


class Cell(nn.Module):
    """A module as a person writes it in a cell, weights fixed by the class means."""

    def __init__(self, data):
        super().__init__()
        inputs, targets = data.train.batch(np.arange(len(data.train)))
        means = np.stack([inputs[targets == k].mean(0).ravel() for k in range(10)])
        self.body = nn.Linear(64, 10)
        self.body.weight.data = torch.from_numpy(means / 16)
        self.body.bias.data = torch.from_numpy(-(means**2).sum(1) / 32)

    def forward(self, x):
        return self.body(x.flatten(1))


def save_classifier(path, data, *, softmax=False, classes=10, extra_input=False):
    """Writes nearest class mean as an ONNX file: logits, or probabilities."""
    cell = Cell(data)
    weights = cell.body.weight.detach().numpy().T[:, :classes].copy()
    bias = cell.body.bias.detach().numpy()[:classes].copy()
    nodes = [
        helper.make_node("Flatten", ["picture"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["scores"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["scores"], ["chances"], axis=1))
    inputs = [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 1, 8, 8])]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n"]))
    out = "chances" if softmax else "scores"
    graph = helper.make_graph(
        nodes,
        "nearest",
        inputs,
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def test_a_module_from_a_cell_becomes_a_run_every_verb_accepts(ready):
    run = ready.space.import_model(Cell(ready.data), ready.data)
    assert run.status == "succeeded"
    assert run.metrics["val_accuracy"] > 0.85
    score = next(e for e in run.events() if e.kind == "score")
    assert score.data["value"] == run.metrics["val_accuracy"]
    assert ready.space.export(run).parity is not None
    version = ready.space.register(run, "mine")
    assert ready.space.evaluate(version)["accuracy"] == run.metrics["val_accuracy"]


def test_files_with_logits_and_with_probabilities_are_told_apart(ready, tmp_path):
    scores = {}
    for softmax, kind in ((False, "logits"), (True, "probabilities")):
        path = save_classifier(tmp_path / f"{kind}.onnx", ready.data, softmax=softmax)
        run = ready.space.import_model(path, ready.data, metric="f1_macro")
        artifact = ready.space.store.artifacts.get(run.outputs["model"])
        assert artifact.meta["description"]["output"] == kind
        scores[kind] = run.metrics["val_f1_macro"]
        variant = ready.space.study(run).measure("quantize_static")
        assert variant.drop < 0.05
    assert scores["logits"] == scores["probabilities"] > 0.85


def test_a_metric_of_ones_own_scores_the_exported_file(ready):
    def share_of_eights(outputs, targets):
        return float((outputs.argmax(1) == 8).mean())

    run = ready.space.import_model(Cell(ready.data), ready.data, metric=share_of_eights)
    assert 0 < run.metrics["val_share_of_eights"] < 0.3


def test_a_file_without_data_is_taken_as_tensors(ready, tmp_path):
    run = ready.space.import_model(save_classifier(tmp_path / "数字.onnx", ready.data))
    assert run.metrics == {}
    artifact = ready.space.store.artifacts.get(run.outputs["model"])
    assert artifact.meta["description"]["modality"] is None
    with pytest.raises(wb.InputError, match="Give data"):
        ready.space.study(run)


def test_a_failing_export_names_the_line_of_ones_own_code(ready):
    class Bessel(Cell):
        def forward(self, x):
            scores = super().forward(x)
            return torch.special.bessel_j0(scores)  # the culprit

    with pytest.raises(wb.WorkbenchError, match="cannot be exported") as caught:
        ready.space.import_model(Bessel(ready.data), ready.data)
    assert "test_importing.py" in str(caught.value)
    assert "the culprit" in str(caught.value)
    assert [run.status for run in ready.space.runs("import")] == ["failed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": 7}, "10 labels"),
        ({"extra_input": True}, "picture, mask"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_words(ready, tmp_path, options, words):
    path = save_classifier(tmp_path / "model.onnx", ready.data, **options)
    with pytest.raises(wb.InputError, match=words):
        ready.space.import_model(path, ready.data)


def test_what_cannot_be_a_model_is_refused_before_a_run_is_made(ready, tmp_path):
    module = Cell(ready.data)
    refused = [
        ((module,), "Give the data"),
        ((object(), ready.data), "torch.nn.Module"),
        ((tmp_path / "nothing.onnx", ready.data), "nothing.onnx"),
        ((module, "digits.csv"), "Load it first"),
        ((module, ready.data, "f1_marco"), "f1_macro"),
    ]
    for (model, *rest), words in refused:
        data = rest[0] if rest else None
        metric = rest[1] if len(rest) > 1 else None
        with pytest.raises(wb.WorkbenchError, match=words):
            ready.space.import_model(model, data, metric=metric)
    assert ready.space.runs("import") == []


def test_a_file_that_is_no_model_is_said(ready, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(wb.WorkbenchError, match=r"broken\.onnx"):
        ready.space.import_model(broken, ready.data)


def test_a_module_for_other_shapes_is_told_with_both_shapes(ready):
    wide = nn.Sequential(nn.Flatten(), nn.Linear(100, 10))
    with pytest.raises(wb.WorkbenchError) as caught:
        ready.space.import_model(wide, ready.data)
    assert "(1, 8, 8)" in str(caught.value) or "[1, 8, 8]" in str(caught.value)


@pytest.mark.full
def test_the_same_module_with_another_loss_is_another_study(ready):
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    losses = (None, nn.functional.cross_entropy, nn.functional.multi_margin_loss)
    runs = [ready.space.import_model(module, ready.data, loss=loss) for loss in losses]
    refs = [ready.space.study(run).ref for run in runs]
    assert len(set(refs)) == 3
    assert ready.space.study(runs[1]).ref == refs[1]


@pytest.mark.full
def test_a_loss_of_ones_own_is_what_fine_tuning_minimizes(ready):
    called = []

    def refusing(outputs, targets):
        called.append(tuple(outputs.shape))
        return nn.functional.cross_entropy(outputs, targets)

    module = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    )
    run = ready.space.import_model(module, ready.data, loss=refusing)
    ready.space.study(run).measure("prune_structured:0.5,epochs=1")
    assert called
    assert called[0][1] == 10
    with pytest.raises(wb.InputError, match="callable"):
        ready.space.import_model(module, ready.data, loss="cross_entropy")
