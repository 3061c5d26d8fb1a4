"""A model of one's own with several tensors goes from data to a file that answers as it does."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from workbench.core.batch import named
from workbench.core.errors import WorkbenchError
from workbench.evaluation import evaluate
from workbench.flow.resolve import resolve_model
from workbench.flow.workspace import Workspace
from workbench.runtime.session import open_session
from workbench.screens.forms import training_form
from workbench.screens.views import dataset as view
from workbench.widgets.dataset_cards import dataset_card

COUNT = 300


class Sums(nn.Module):
    """The sum of rows of handwriting over time, beside what codes say; also every moment."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(10, 8)
        self.moments = nn.Linear(8, 8)
        self.head = nn.Linear(16, 1)

    def forward(self, codes, rows, time_lengths):
        mask = torch.arange(rows.shape[1])[None] < time_lengths[:, None]
        moments = torch.relu(self.moments(rows)) * mask[..., None]
        hidden = torch.cat([moments.sum(1), self.embed(codes).sum(1)], 1)
        return {"moments": moments, "logits": self.head(hidden)}


def digits_in_time():
    """Pictures cut to 3 to 8 rows, each a moment; two codes; the ink plus the codes."""
    images = load_digits().images[:COUNT] / 16
    rows = [image[: 3 + i % 6].astype(np.float32) for i, image in enumerate(images)]
    codes = np.random.default_rng(0).integers(0, 10, (COUNT, 2))
    targets = np.array([r.sum() / 10 + c.sum() / 10 for r, c in zip(rows, codes, strict=True)])
    return {"rows": rows, "codes": codes}, targets


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / ".workbench", inline=True)


@pytest.fixture
def data(space):
    inputs, targets = digits_in_time()
    return space.load("arrays", inputs=inputs, targets=targets, axes={"rows": ("time", None)})


def test_it_goes_from_data_to_a_file_that_answers_as_torch_does(space, data):
    run = space.train(data, Sums(), epochs=10, lr=0.02, threads=1)
    assert run.metrics["val_r2"] > 0.9
    export = space.export(run)
    model = resolve_model(space.store, run)
    signature = model.description.signature
    assert [spec.name for spec in signature.inputs] == ["rows", "codes", "time_lengths"]
    assert [spec.name for spec in signature.outputs] == ["output", "moments"]
    assert signature.outputs[1].shape == ("batch", "time", 8)
    session = onnxruntime.InferenceSession(str(export.path))
    names = [spec.name for spec in signature.inputs]
    for rows in ([0], range(7), [3, 5]):  # batches of other numbers and lengths
        batch, _ = data.test.batch(list(rows))
        with torch.no_grad():
            expected = model.module(*(torch.from_numpy(batch[name]) for name in names))
        got = session.run(None, named(batch, names))
        np.testing.assert_allclose(got[0], expected["output"].numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(got[1], expected["moments"].numpy(), rtol=1e-4, atol=1e-4)
    score = evaluate(open_session(export.path).run, data, "val").metrics["r2"]
    assert score == pytest.approx(run.metrics["val_r2"], abs=1e-4)


def test_without_a_module_the_run_says_what_would_fit(space, data):
    with pytest.raises(WorkbenchError, match="cannot learn from") as caught:
        space.train(data)
    assert "wb.train(data, module)" in str(caught.value)


def test_data_of_several_tensors_can_be_looked_at(space, data):
    state = json.loads(json.dumps(view.state(data)))
    assert state["shape_words"] == "rows float32 [time, 8], codes int64 [2]"
    assert not state["has_tiles"]
    assert "rows float32" in dataset_card(data).html()
    shown = view.table_rows(data, "val")
    assert shown["columns"] == ["rows", "codes"]
    assert shown["rows"][0][0].endswith("…")
    (form,) = training_form(space)["datasets"]
    assert set(form["unfit"]) >= {"linear", "cnn", "mlp"}
    assert json.loads(json.dumps(data.to_json()))["sample_shape"] is None
