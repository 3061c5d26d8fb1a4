import subprocess
import sys

import numpy as np
import pytest
import torch

from workbench.core.errors import InputError, NotFoundError, UnsupportedError
from workbench.data import load
from workbench.evaluation import evaluate
from workbench.tasks import primary_metric


@pytest.fixture
def digits(store):
    return load(store, "digits")


def nearest_mean(dataset):
    """A model by hand: scores fall with the distance to each class's mean picture."""
    inputs, targets = dataset.train.batch(np.arange(len(dataset.train)))
    means = np.stack([inputs[targets == c].mean(0).ravel() for c in range(10)])

    def predict(batch):
        flat = batch.reshape(len(batch), -1)
        return -((flat[:, None] - means) ** 2).sum(-1)

    return predict, means


def test_a_function_is_evaluated_on_the_whole_split(digits):
    predict, _ = nearest_mean(digits)
    found = evaluate(predict, digits, split="test")
    assert next(iter(found.metrics)) == primary_metric("classification", ("a", "b")) == "accuracy"
    assert found.samples == len(digits.test)
    assert found.metrics["accuracy"] > 0.85
    confusion = np.array(found.confusion)
    assert confusion.sum() == found.samples
    assert np.trace(confusion) / found.samples == pytest.approx(found.metrics["accuracy"])
    assert set(found.recall) == set(digits.labels)
    assert found.to_json()["metrics"] == found.metrics


def test_a_torch_module_gives_the_same_as_its_function(digits):
    predict, means = nearest_mean(digits)
    linear = torch.nn.Linear(64, 10)
    with torch.no_grad():  # the same distances, up to a term all classes share
        linear.weight.copy_(torch.from_numpy(2 * means))
        linear.bias.copy_(torch.from_numpy(-(means**2).sum(1)))
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), linear).train()
    assert evaluate(module, digits).confusion == evaluate(predict, digits).confusion
    assert module.training


def test_what_does_not_fit_is_refused(digits):
    predict, _ = nearest_mean(digits)
    with pytest.raises(InputError, match="train, val, test"):
        evaluate(predict, digits, split="holdout")
    with pytest.raises(UnsupportedError, match="r2 judges regression"):
        evaluate(predict, digits, metrics=["r2"])
    with pytest.raises(NotFoundError, match="did you mean 'accuracy'"):
        evaluate(predict, digits, metrics=["acuracy"])
    with pytest.raises(InputError, match="one number for each of 10 labels"):
        evaluate(lambda batch: predict(batch)[:, :5], digits)


def test_evaluation_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import workbench.evaluation"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
