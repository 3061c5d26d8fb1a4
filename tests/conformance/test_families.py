"""What every family must do, whichever file it is in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits

from workbench.core.config import saved_config
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.engine.config import FitConfig
from workbench.engine.loop import fit, outputs_of
from workbench.families import FAMILIES
from workbench.families.network import Normalized, load_network, save_network
from workbench.families.network.storage import network_files, read_network
from workbench.tasks import TASKS

SHAPES = ((1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 17, 23), (6,), (1,))
TASK = {TASKS.get(key).form: key for key in reversed(TASKS.keys())}  # the first of each form
FAMILY_SHAPES = [
    (key, shape)
    for key in FAMILIES
    for shape in SHAPES
    if FAMILIES.get(key).supports(shape, TASK[FAMILIES.get(key).form]) is None
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(key, shape=None, outputs=10, seed=0, **options):
    shape = shape or fitting_shape(key)
    torch.manual_seed(seed)
    net = FAMILIES.get(key).build(FAMILIES.parse(key, options), shape, outputs)
    return Normalized(net, np.zeros([1] * len(shape)) + 3.0, np.ones([1] * len(shape)) * 5.0)


def fitting_shape(key):
    return next(shape for found, shape in FAMILY_SHAPES if found == key)


def answer_shape(key, shape, outputs):
    places = shape[1:] if FAMILIES.get(key).form == "places" else ()
    return (outputs, *places)


def description(key, shape, outputs=10, **options):
    return Description(
        task=TASK[FAMILIES.get(key).form],
        output="logits",
        labels=tuple(str(i) for i in range(outputs)),
        signature=Signature(
            (TensorSpec("input", "float32", ("batch", *shape)),),
            (TensorSpec("output", "float32", ("batch", *answer_shape(key, shape, outputs))),),
        ),
        family=saved_config(key, FAMILIES.parse(key, options)),
    )


def inputs(shape, count=3):
    return np.random.default_rng(0).normal(3, 5, (count, *shape)).astype(np.float32)


def last_layer(model):
    return [m for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))][-1]


def classes_like(outputs):
    """A class for each sample, or for each place of it, of those that the outputs have."""
    count = outputs.numel() // outputs.shape[1]
    return (torch.arange(count) % outputs.shape[1]).reshape(len(outputs), *outputs.shape[2:])


def test_every_family_says_what_it_is():
    assert set(FAMILIES) >= {"linear", "mlp", "cnn", "resnet"}
    for key in FAMILIES:
        assert FAMILIES.info(key).reason is None
        assert FAMILIES.get(key).summary.endswith(".")
        fields = FAMILIES.get(key).Config.model_fields.values()
        assert all(field.description for field in fields), key


@pytest.mark.parametrize(("key", "shape"), FAMILY_SHAPES)
@pytest.mark.parametrize("outputs", [1, 10])
def test_each_sample_keeps_its_row(key, shape, outputs):
    model = network(key, shape, outputs)
    for count in (1, 3):
        wanted = (count, *answer_shape(key, shape, outputs))
        assert outputs_of(model, inputs(shape, count)).shape == wanted
    alone = outputs_of(model, inputs(shape)[:1])
    together = outputs_of(model, inputs(shape))
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("key", "shape"), FAMILY_SHAPES)
def test_gradient_reaches_every_parameter(key, shape):
    model = network(key, shape).train()
    outputs = model(torch.from_numpy(inputs(shape, 32)))
    loss = torch.nn.functional.cross_entropy(outputs, classes_like(outputs))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("key", FAMILIES.keys())
def test_output_layer_has_a_bias(key):
    model = network(key)
    last = last_layer(model)
    assert last.bias is not None


@pytest.mark.parametrize("key", FAMILIES.keys())
def test_the_seed_decides_the_weights(key):
    first, again, other = network(key), network(key), network(key, seed=1)
    x = inputs(fitting_shape(key))
    assert np.array_equal(outputs_of(first, x), outputs_of(again, x))
    assert not np.array_equal(outputs_of(first, x), outputs_of(other, x))


@pytest.mark.parametrize("key", FAMILIES.keys())
def test_saved_and_loaded_is_the_same_network(key, store):
    shape = fitting_shape(key)
    model = network(key, shape)
    model.train()(torch.from_numpy(inputs(shape, 32)))  # moves the running statistics
    artifact = save_network(store, model, description(key, shape))
    loaded = load_network(store, artifact)
    assert not loaded.training
    assert {name: value.dtype for name, value in model.state_dict().items()} == {
        name: value.dtype for name, value in loaded.state_dict().items()
    }
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    assert np.array_equal(outputs_of(model, inputs(shape)), outputs_of(loaded, inputs(shape)))
    assert save_network(store, loaded, description(key, shape)).digest == artifact.digest


@pytest.mark.parametrize("key", FAMILIES.keys())
def test_pruned_network_is_rebuilt_by_its_history(key):
    pruning = pytest.importorskip("torch_pruning")
    shape = fitting_shape(key)
    model = network(key, shape)
    last = last_layer(model)
    pruner = pruning.pruner.MagnitudePruner(
        model,
        torch.zeros(2, *shape),
        importance=pruning.importance.MagnitudeImportance(p=2),
        pruning_ratio=0.5,
        ignored_layers=[last],
    )
    before = sum(p.numel() for p in model.parameters())
    pruner.step()
    model.pruning_history = pruner.pruning_history()
    is_smaller = sum(p.numel() for p in model.parameters()) < before
    assert is_smaller or key == "linear"  # a single layer has no channel to lose
    loaded = read_network(*network_files(model, description(key, shape)).values())
    assert np.array_equal(outputs_of(model, inputs(shape)), outputs_of(loaded, inputs(shape)))


@pytest.mark.parametrize("key", FAMILIES.keys())
def test_it_learns_a_few_samples_by_heart(key):
    digits, labels = load_digits(return_X_y=True)
    shape, form = (1, 8, 8), FAMILIES.get(key).form
    x = digits[:64].reshape(-1, *shape).astype(np.float32)
    y = (x[:, 0] > 8).astype(np.int64) if form == "places" else labels[:64]
    model = network(key, shape, int(y.max()) + 1)
    config = FitConfig(epochs=40, lr=FAMILIES.get(key).rate, seed=0, threads=1)
    result = fit(model, lambda _: [(x, y)], lambda: [(x, y)], config, task=TASK[form])
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.5 * losses[0]
    first = TASKS.get(TASK[form]).metrics(labeled=True)[0]
    assert result.history[-1][f"val_{first}"] >= 0.9


@pytest.mark.parametrize("key", [k for k, s in FAMILY_SHAPES if s == (6,)])
def test_it_learns_a_value_in_the_users_units(key):
    x, y = load_diabetes(return_X_y=True)
    x, y = x.astype(np.float32), y.astype(np.float32)
    torch.manual_seed(0)
    net = FAMILIES.get(key).build(FAMILIES.parse(key, {}), (10,), 1)
    model = Normalized(net, x.mean(0), x.std(0), y.mean(), y.std())
    config = FitConfig(epochs=60, lr=FAMILIES.get(key).rate, threads=1)
    result = fit(model, lambda _: [(x, y)], lambda: [(x, y)], config, task="regression")
    best = result.history[result.best_epoch - 1]
    assert best["val_r2"] > 0.4
    assert best["val_rmse"] < y.std()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")  # of the exporter's own internals
@pytest.mark.parametrize(("key", "shape"), FAMILY_SHAPES)
def test_it_exports_with_a_free_batch(key, shape, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = network(key, shape).eval()
    program = torch.onnx.export(
        model,
        (torch.from_numpy(inputs(shape)),),
        dynamo=True,
        dynamic_shapes=({0: "batch"},),
        input_names=["input"],
        output_names=["output"],
        verbose=False,
    )
    program.save(tmp_path / "model.onnx", external_data=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for count in (1, 5):
        x = inputs(shape, count)
        (got,) = session.run(None, {"input": x})
        np.testing.assert_allclose(got, outputs_of(model, x), rtol=1e-3, atol=1e-4)
