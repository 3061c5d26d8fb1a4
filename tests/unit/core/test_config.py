"""Configs take what a form or a shell has: text."""

import pytest
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError


class Sizes(Config):
    hidden: tuple[int, ...] = Field((1,), description="Sizes")
    weights: tuple[float, ...] | str | None = Field(None, description="Weights")
    name: str = Field("", description="A name")


@pytest.mark.parametrize("text", ["64,32", "64, 32", "(64, 32)", "[64, 32,]"])
def test_a_list_may_be_written_as_text(text):
    assert Sizes.parse({"hidden": text}, what="sizes").hidden == (64, 32)


def test_text_that_is_no_list_stays_text():
    parsed = Sizes.parse({"name": "a, b", "weights": "balanced"}, what="sizes")
    assert (parsed.name, parsed.weights) == ("a, b", "balanced")


def test_the_part_that_is_wrong_is_named():
    with pytest.raises(InputError) as refused:
        Sizes.parse({"hidden": "64,x"}, what="sizes")
    (problem,) = refused.value.problems
    assert problem.startswith("hidden.1: ")
    assert "'x'" in problem
