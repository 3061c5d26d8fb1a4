import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from workbench.core.errors import CancelledError, InputError
from workbench.engine.callbacks import Callback
from workbench.engine.config import FitConfig
from workbench.engine.loop import DivergedError, epoch_seed, evaluate, fit, outputs_of

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
TRAIN, VAL = slice(0, 300), slice(300, 500)
CONFIG = FitConfig(epochs=4, lr=0.01, threads=1)


def network(seed=0, norm=False):
    torch.manual_seed(seed)
    middle = nn.BatchNorm1d(32) if norm else nn.Dropout(0.2)
    return nn.Sequential(nn.Linear(64, 32), middle, nn.ReLU(), nn.Linear(32, 10))


def batches(epoch, size=50):
    order = np.random.default_rng(epoch_seed(0, epoch)).permutation(300)
    return [
        (X[TRAIN][order[i : i + size]], Y[TRAIN][order[i : i + size]]) for i in range(0, 300, size)
    ]


def val():
    return [(X[VAL], Y[VAL])]


def train(model, config=CONFIG, **more):
    return fit(model, batches, val, config, task="classification", **more)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


class Keep(Callback):
    def __init__(self):
        self.states, self.reports, self.batches = [], [], []

    def on_batch(self, report):
        self.batches.append(report)

    def on_epoch(self, report, state):
        self.reports.append(report)
        self.states.append(state())


class StopAt:
    """A context that stops at its n-th check."""

    def __init__(self, count):
        self.left = count

    def check(self):
        self.left -= 1
        if self.left == 0:
            raise CancelledError("The run was stopped.")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_and_keeps_the_best_epoch(optimizer, precision):
    rate = {"adamw": 0.02, "sgd": 0.3}[optimizer]
    config = FitConfig(epochs=6, optimizer=optimizer, lr=rate, precision=precision, threads=1)
    model = network()
    result = train(model, config)
    scores = [row["val_accuracy"] for row in result.history]
    assert max(scores) > 0.75
    assert result.best_epoch == scores.index(max(scores)) + 1 or scores.count(max(scores)) > 1
    assert not model.training
    assert evaluate(model, val(), "classification")["accuracy"] == max(scores)
    assert model[0].weight.dtype == torch.float32


def test_same_seed_same_weights_whatever_the_global_state():
    first, again, other = network(), network(), network()
    train(first)
    torch.manual_seed(99)
    before = torch.rand(1)
    torch.manual_seed(99)
    train(again)
    assert torch.equal(torch.rand(1), before), "fit leaves the caller's random state alone"
    train(other, CONFIG.model_copy(update={"seed": 1}))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("norm", [False, True])
def test_going_on_from_any_epoch_gives_equal_bits(optimizer, norm):
    config = FitConfig(epochs=4, lr=0.01, optimizer=optimizer, threads=1)
    whole, keep = network(norm=norm), Keep()
    result = train(whole, config, callbacks=[keep])
    for state in keep.states[:-1]:
        resumed = network(seed=5, norm=norm)
        again = train(resumed, config, state=state)
        assert torch.equal(weights(whole), weights(resumed))
        assert again.best_epoch == result.best_epoch
        assert [row["train_loss"] for row in again.history] == [
            row["train_loss"] for row in result.history
        ]


def test_stop_acts_within_a_batch_and_keeps_the_best():
    model, keep = network(), Keep()
    with pytest.raises(CancelledError):
        train(model, callbacks=[keep], context=StopAt(7 * 2 + 4))  # 6 batches and 1 of validation
    assert len(keep.reports) == 2
    assert len(keep.batches) == 2 * 6 + 3
    best = max(keep.reports, key=lambda r: r.metrics["val_accuracy"])
    found = evaluate(model, val(), "classification")["accuracy"]
    assert found == best.metrics["val_accuracy"]


def test_early_stopping_ends_when_nothing_improves():
    config = FitConfig(epochs=50, lr=1e-9, early_stopping=3, warmup=0, threads=1)
    result = train(network(), config)
    assert result.is_stopped_early
    assert len(result.history) == result.best_epoch + 3 < 50


def test_divergence_is_an_error_with_a_way_out():
    with pytest.raises(DivergedError, match=r"became (nan|inf) in epoch 1.*\n.*lower lr"):
        train(network(), FitConfig(optimizer="sgd", lr=1e12, grad_clip=None, warmup=0, threads=1))
    bad = X[:10].copy()
    bad[3, 3] = np.nan
    with pytest.raises(DivergedError):
        fit(network(), lambda _: [(bad, Y[:10])], None, CONFIG, task="classification")


def test_gradient_clipping_limits_the_first_step():
    def moved(clip):
        model = network()
        before = weights(model)
        config = FitConfig(
            epochs=1, optimizer="sgd", lr=1.0, momentum=0, weight_decay=0, schedule="constant",
            warmup=0, grad_clip=clip, threads=1,
        )  # fmt: skip
        fit(model, lambda _: batches(0)[:1], None, config, task="classification")
        return (weights(model) - before).norm().item()

    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(None) > 0.1


def test_the_rate_follows_the_schedule():
    history = train(network(), FitConfig(epochs=4, lr=0.01, warmup=0, threads=1)).history
    rates = [row["lr"] for row in history]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] < 0.01
    without_length = fit(
        network(), lambda epoch: iter(b for b in batches(epoch)), val,
        FitConfig(epochs=4, lr=0.01, warmup=0, threads=1), task="classification",
    )  # fmt: skip
    assert without_length.history[0]["lr"] == 0.01


def test_threads_are_given_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(network())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_last_batch_of_one_sample_does_not_break_batch_norm():
    data = [(X[:8], Y[:8]), (X[8:9], Y[8:9])]
    fit(network(norm=True), lambda _: data, val, CONFIG, task="classification")


def test_batches_may_be_tensors_read_only_or_wider_and_targets_a_column():
    x, y = X[:60].astype(np.float64), Y[:60, None].astype(np.int32)
    frozen = X[:60].copy()
    frozen.flags.writeable = False
    runs = []
    for inputs, targets in [(x, y), (frozen, Y[:60]), (torch.from_numpy(X[:60]), Y[:60])]:
        model = network()
        data = [(inputs, targets)]
        fit(model, lambda _, data=data: data, lambda data=data: data, CONFIG, task="classification")
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


def test_what_cannot_be_trained_is_refused():
    frozen = network().requires_grad_(False)
    with pytest.raises(InputError, match="no parameter"):
        train(frozen)
    with pytest.raises(InputError, match="no batch to train on"):
        fit(network(), lambda _: [], val, CONFIG, task="classification")
    with pytest.raises(InputError, match="no batch to evaluate"):
        evaluate(network(), [], "classification")

    class Words(nn.Module):
        def forward(self, x):
            return "text", x

    with pytest.raises(InputError, match="gave a str, not a tensor"):
        outputs_of(Words(), X[:2])
