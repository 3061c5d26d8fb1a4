"""Every method on every family and task: slow, run by `make test-full`."""

from __future__ import annotations

import functools

import pytest
from sklearn.datasets import load_diabetes

from tests.unit.compression.trained import digits, home
from workbench.compression import METHODS
from workbench.compression.measured import Measured
from workbench.compression.study import StudyEngine
from workbench.core.errors import UnsupportedError
from workbench.data import load
from workbench.store import NullContext
from workbench.training.config import TrainConfig
from workbench.training.step import train

pytestmark = pytest.mark.full

_VALUES = {"clip": ":mse", "low_rank": ":0.95", "prune": ":0.3", "prune_structured": ":0.25"}
_ALLOWED_DROP = {"distill": 0.1, "low_rank": 0.15, "prune": 0.15, "prune_n_m": 0.2}
_ALLOWED_DROP["prune_structured"] = 0.15
_IMPOSSIBLE = {
    ("linear", "prune_structured"): "one layer",
    ("linear", "distill"): "cannot be made smaller",
}


@functools.cache
def study(data: str, family: str) -> StudyEngine:
    table = functools.partial(load, home(), "table", frame=load_diabetes(as_frame=True).frame)
    dataset = digits() if data == "digits" else table(target="target")
    values = {"family": family, "epochs": 8, "seed": 0}
    context = NullContext(home().home.root, home().artifacts)
    train(context, TrainConfig.parse(values, what="training"), dataset, home())
    return StudyEngine(home(), context.outputs["model"], dataset)


def measured(engine: StudyEngine, recipe: str) -> Measured | str:
    """Returns the figures, or the reason why there are none."""
    try:
        return engine.measure(recipe)
    except UnsupportedError as error:
        return str(error)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize(
    ("data", "family"),
    [
        ("digits", "linear"),
        ("digits", "mlp"),
        ("digits", "cnn"),
        ("digits", "resnet"),
        ("diabetes", "linear"),
        ("diabetes", "mlp"),
    ],
)
def test_it_keeps_most_of_the_score_or_says_why_not(data, family, method):
    engine = study(data, family)
    baseline = engine.baseline()
    assert engine.build("baseline").fold_map.is_proven
    recipe = method + _VALUES.get(method, "")
    if (family, method) in _IMPOSSIBLE:
        with pytest.raises(UnsupportedError, match=_IMPOSSIBLE[family, method]):
            engine.measure(recipe)
        return
    variant = measured(engine, recipe)
    if isinstance(variant, str):
        assert "no layer" in variant
        assert family == "linear" or (data, method) == ("diabetes", "low_rank")
        return
    assert variant.score > baseline.score - _ALLOWED_DROP.get(method, 0.03)
    assert variant.reason
