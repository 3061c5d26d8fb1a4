"""A method that a notebook defines works in the processes that measure, too."""

from __future__ import annotations

import pytest
from pydantic import Field

from workbench.compression.method import WeightMethod
from workbench.compression.methods import METHODS
from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.flow.workspace import Workspace


class KeepConfig(Config):
    share: float = Field(ge=0, le=1, description="What is left of each weight")


class Keep(WeightMethod):
    summary = "scales every weight"
    Config = KeepConfig

    def change_weights(self, weights, config):
        return {name: config.share * value for name, value in weights.items()}


class Drop(Keep):
    def change_weights(self, weights, config):
        return {name: 0 * value for name, value in weights.items()}


@pytest.fixture
def methods(monkeypatch):
    monkeypatch.setattr(METHODS, "_loaded", dict(METHODS._loaded))
    monkeypatch.setattr(METHODS, "_own", set())
    return METHODS


@pytest.mark.full
def test_the_measuring_process_has_it_and_its_later_state(ready, methods):
    methods.plugin("keep")(Keep)
    space = Workspace(ready.space.store.home.root, inline=False)
    study = space.study(ready.run, space.load(ready.data.ref))
    assert study.measure("keep:1.0").score == study.baseline.score
    methods.plugin("keep")(Drop)  # the cell was run again
    assert study.measure("keep:0.5").score < 0.5 * study.baseline.score
    assert study.measure("keep:0.9 + quantize_static:8").size_bytes < study.baseline.size_bytes


def test_a_method_that_was_there_before_is_not_replaced(methods):
    with pytest.raises(InputError, match="taken"):
        methods.plugin("prune")(Keep)
