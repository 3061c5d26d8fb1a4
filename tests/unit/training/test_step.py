import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from workbench.core.errors import CancelledError, InputError, NotFoundError, UnsupportedError
from workbench.core.host import FileLock
from workbench.core.records import Description
from workbench.data import load
from workbench.engine.loop import evaluate
from workbench.families.network import load_network
from workbench.store import NullContext, RunContext
from workbench.training.config import TrainConfig, train_config
from workbench.training.step import default_family, train

QUICK = {"family": "mlp", "epochs": 3, "threads": 1}


@pytest.fixture
def digits(store):
    return load(store, "digits", split=(0.5, 0.25, 0.25))


@pytest.fixture
def context(tmp_path):
    return NullContext(tmp_path)


def test_a_cnn_reads_97_of_100_digits_it_never_saw(store, digits, context):
    trained = train(context, TrainConfig(threads=1), digits, store)
    model = load_network(store, context.outputs["model"])
    score = evaluate(model, digits.test.batches(256), "classification")["accuracy"]
    assert score >= 0.97
    assert trained.description.family["kind"] == "cnn"
    assert context.metrics["val_accuracy"] >= 0.97
    assert {"val_loss", "params", "best_epoch", "train_seconds"} <= set(context.metrics)
    assert not any(name.startswith("test") for name in context.metrics)


def test_each_epoch_is_logged_and_the_best_one_kept(store, digits, context):
    trained = train(context, TrainConfig(**QUICK), digits, store)
    rows = [data for kind, data in context.events if kind == "metrics"]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert {"train_loss", "val_loss", "val_accuracy", "lr", "samples_per_s"} <= set(rows[0])
    assert trained.metrics["val_accuracy"] == max(row["val_accuracy"] for row in rows)
    again = evaluate(trained.module, digits.val.batches(256), "classification")
    assert again["accuracy"] == trained.metrics["val_accuracy"]


def test_the_artifact_describes_itself(store, digits, context):
    artifact = train(context, TrainConfig(**QUICK), digits, store).artifact
    assert artifact.kind == "network"
    description = Description.from_json(artifact.meta["description"])
    assert description.labels == digits.labels
    assert description.output == "logits"
    assert description.signature.inputs[0].shape == ("batch", 1, 8, 8)
    assert description.signature.outputs[0].shape == ("batch", 10)
    assert description.modality == "image"
    assert description.preprocessing["kind"] == "image"
    assert description.family["hidden"] == [128, 64]


def test_equal_seeds_give_the_same_artifact(store, digits, tmp_path):
    digests = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = TrainConfig(**QUICK, seed=seed)
        digests.append(train(NullContext(folder), config, digits, store).artifact.digest)
    assert digests[0] == digests[1] != digests[2]


def test_stop_keeps_the_best_so_far_and_pause_blocks(store, digits):
    run = store.runs.create("train", {}, {})
    signals = {"batch": threading.Event(), "paused": threading.Event()}
    events: list[str] = []

    def watch(kind, data):
        events.append(kind)
        if kind == "paused" or (kind == "batch" and data["epoch"] > 2):
            signals[kind].set()

    context = RunContext(store.runs, run.id, watch)
    config = TrainConfig(**{**QUICK, "epochs": 100_000}, schedule="constant", warmup=0)
    with FileLock(store.runs.lock_path(run.id)), ThreadPoolExecutor(1) as pool:
        store.runs.start(run.id)
        training = pool.submit(train, context, config, digits, store)
        assert signals["batch"].wait(60)
        store.runs.set_control(run.id, "pause")
        assert signals["paused"].wait(10)
        before = len(events)
        with pytest.raises(TimeoutError):
            training.result(timeout=0.3)
        assert len(events) == before, "nothing happens during a pause"
        store.runs.set_control(run.id, "stop")
        with pytest.raises(CancelledError):
            training.result(timeout=10)
    context.close()
    record = store.runs.get(run.id)
    assert record.metrics["val_accuracy"] > 0.3
    load_network(store, store.artifacts.get(record.outputs["model"]))


def test_a_stop_before_the_first_epoch_ends_still_leaves_a_model(store, digits, context):
    def stop():
        raise CancelledError("The run was stopped.")

    context.check = stop
    stopped = []
    with pytest.raises(CancelledError):
        train(context, TrainConfig(**QUICK), digits, store, on_stop=stopped.append)
    assert context.outputs["model"] == stopped[0].artifact
    assert "val_accuracy" not in context.metrics


class Own(nn.Module):
    def __init__(self, outputs=10):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten())
        self.last = nn.Linear(8 * 36, outputs)

    def forward(self, images):
        return self.last(self.layers(images))


def test_a_module_of_ones_own_is_trained_but_not_saved_as_a_network(store, digits, context):
    config = TrainConfig(epochs=4, lr=0.01, threads=1)
    trained = train(context, config, digits, store, module=Own())
    assert trained.artifact is None
    assert trained.description.family is None
    assert context.outputs == {}
    assert context.metrics["val_accuracy"] > 0.9


def test_a_module_that_does_not_fit_the_labels_is_refused_at_once(digits, context):
    with pytest.raises(InputError, match=r"\(3, 7\); \(3, 10\) is needed"):
        train(context, TrainConfig(threads=1), digits, module=Own(7))


def test_a_regression_answers_in_the_users_units(store, context):
    x, _ = load_digits(return_X_y=True)  # how much ink is in the picture, in thousandths
    ink = 1000.0 * x.sum(1)
    data = load(
        store, "arrays", inputs=x.reshape(-1, 8, 8), targets=ink, modality="image",
        task="regression",
    )  # fmt: skip
    trained = train(context, TrainConfig(epochs=8, threads=1), data, store)
    assert context.metrics["val_r2"] > 0.9
    assert context.metrics["val_rmse"] < ink.std() / 4
    assert trained.description.output == "value"
    assert trained.description.labels == ()
    model = load_network(store, trained.artifact)
    inputs, targets = data.val.batch(np.arange(8))
    answers = model(torch.from_numpy(inputs)).detach().numpy()
    assert answers.shape == (8, 1)
    np.testing.assert_allclose(answers[:, 0], targets, atol=3 * context.metrics["val_rmse"])


def test_a_module_that_was_trained_before_goes_on_where_it_was(store, context):
    rng = np.random.default_rng(0)
    x = (50 + 9 * rng.normal(size=(200, 2))).astype(np.float32)
    y = 3 * x[:, 0] - x[:, 1] + 1000
    data = load(store, "arrays", inputs=x, targets=y, modality="table", task="regression")
    known = nn.Linear(2, 1)
    known.weight.data[:], known.bias.data[:] = torch.tensor([[3.0, -1.0]]), 1000.0
    options = {"epochs": 1, "threads": 1, "lr": 1e-7}
    trained = train(context, TrainConfig(standardize=False, **options), data, module=known)
    assert trained.metrics["val_r2"] > 0.999


def test_wrong_options_are_refused_with_reasons(digits, context, store):
    with pytest.raises(NotFoundError, match="No family 'cnnn'; did you mean 'cnn'"):
        train(context, TrainConfig(family="cnnn"), digits)
    with pytest.raises(InputError, match=r"family 'cnn'(.|\n)*unknown option 'widht'.*'width'"):
        train(context, TrainConfig(family="cnn", options={"widht": 8}), digits)
    with pytest.raises(InputError, match="nearest are 14 and 20"):
        train(context, TrainConfig(family="resnet", options={"depth": 18}), digits)
    with pytest.raises(InputError, match="got 2 weights for 10 classes"):
        train(context, TrainConfig(**QUICK, class_weights=(1.0, 2.0)), digits)
    with pytest.raises(InputError, match="greater than or equal to 1"):
        TrainConfig.parse({"epochs": 0}, what="training")
    tiny = load(
        store, "arrays", inputs=digits.train.inputs[:, 0, 3:5, 3:5], targets=digits.train.targets,
        modality="image",
    )  # fmt: skip
    assert default_family(tiny) == "mlp"
    with pytest.raises(UnsupportedError, match=r"at least 4×4 pixels, got 2×2.*'mlp'"):
        train(context, TrainConfig(family="resnet"), tiny)


def test_class_weights_mean_nothing_for_values(store, context):
    data = load(
        store, "arrays", inputs=np.random.default_rng(0).normal(size=(60, 8, 8)),
        targets=np.linspace(0, 1, 60), modality="image", task="regression",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"values, not classes(.|\n)*class_weights"):
        train(context, TrainConfig(class_weights="balanced"), data)


def test_balanced_class_weights_find_more_of_a_rare_class(store, tmp_path):
    x, y = load_digits(return_X_y=True)
    keep = np.flatnonzero((y == 3) | (y == 8))
    rare = np.flatnonzero(y[keep] == 8)[15:]
    keep = np.delete(keep, rare)
    data = load(
        store, "arrays", inputs=x[keep].reshape(-1, 8, 8), targets=(y[keep] == 8).astype(int),
        modality="image", labels=["three", "eight"],
    )  # fmt: skip
    found = {}
    for weights in (None, "balanced"):
        config = TrainConfig(
            family="linear", epochs=2, lr=0.005, class_weights=weights, threads=1, warmup=0
        )
        folder = tmp_path / str(weights)
        folder.mkdir()
        module = train(NullContext(folder), config, data).module
        inputs, targets = data.train.batch(np.arange(len(data.train)))
        answers = module(torch.from_numpy(inputs)).argmax(1).numpy()
        found[weights] = np.mean(answers[targets == 1] == 1)
    assert found["balanced"] > found[None]


def test_small_datasets_get_small_batches():
    shape = (1, 8, 8)
    sizes = [TrainConfig().batch_size_for(n, shape) for n in (1, 89, 221, 898, 10**6)]
    assert sizes == [8, 8, 16, 64, 64]
    assert TrainConfig(batch_size=100).batch_size_for(89, shape) == 100


def test_large_images_come_in_small_batches():
    sides = (8, 64, 128, 224, 4000)
    sizes = [TrainConfig().batch_size_for(10**5, (3, side, side)) for side in sides]
    assert sizes == [64, 64, 16, 8, 8]


def test_problems_of_the_training_and_of_the_family_are_told_together():
    with pytest.raises(InputError) as refused:
        train_config("mlp", {"epochs": 0, "hidden": "64,x"})
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["epochs", "hidden.1"]
