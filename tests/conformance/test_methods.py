"""Every compression method, by its key, on a small CNN and on an imported ONNX file."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study, digits, imported_study
from workbench.compression import METHODS, parse
from workbench.compression.method import STAGES
from workbench.core.errors import UnsupportedError
from workbench.exporting.graph import initializers, save_graph
from workbench.runtime.session import open_session

_VALUES = {
    "clip": "99",
    "distill": "0.5,epochs=3",
    "low_rank": "0.9",
    "prune": "0.3",
    "prune_structured": "0.5,epochs=1",
    "qat": "8,epochs=1",
}


def recipe_of(key: str) -> str:
    return f"{key}:{_VALUES[key]}" if key in _VALUES else key


@pytest.fixture(params=list(METHODS))
def key(request) -> str:
    return request.param


def answers(subject, tmp_path, name: str) -> np.ndarray:
    path = save_graph(subject.graph, tmp_path / f"{name}.onnx")
    return open_session(path).run(digits().val.batch(np.arange(64))[0])


def test_it_says_what_it_is(key):
    method = METHODS.get(key)
    assert method.summary
    assert method.stage in STAGES
    assert METHODS.info(key).reason is None
    for name, field in method.Config.model_fields.items():
        assert field.description, f"{key}.{name} has no description"


def test_text_and_json_are_one(key):
    recipe = parse(recipe_of(key))
    assert parse(str(recipe)) == recipe
    assert parse(recipe.to_json()) == recipe
    assert parse(str(recipe)).digest == parse(recipe.to_json()).digest


def test_it_works_on_a_trained_network(key, tmp_path):
    study = cnn_study()
    before = study.build("baseline")
    weights = initializers(before.graph)
    state = {name: value.copy() for name, value in before.state.items()}
    after = study.build(recipe_of(key))
    outputs = answers(after, tmp_path, "after")
    assert np.isfinite(outputs).all()
    truth = digits().val.targets[:64]
    assert (outputs.argmax(1) == truth).mean() > 0.6
    assert after.graph.SerializeToString() != before.graph.SerializeToString()
    assert_equal(initializers(before.graph), weights)
    assert_equal(before.state, state)


def test_it_works_on_an_imported_file_or_says_why_not(key, tmp_path):
    study = imported_study()
    original = study.build("baseline").graph.SerializeToString()
    if METHODS.get(key).stage == "structure":
        with pytest.raises(UnsupportedError, match=f"{key}.*PyTorch"):
            study.build(recipe_of(key))
    else:
        outputs = answers(study.build(recipe_of(key)), tmp_path, "after")
        assert (outputs.argmax(1) == digits().val.targets[:64]).mean() > 0.6
    assert study.build("baseline").graph.SerializeToString() == original


def test_twice_gives_the_same_bytes(key):
    study = cnn_study()
    first, second = (study.build(recipe_of(key)).graph for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


def assert_equal(got, expected):
    assert list(got) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value)
