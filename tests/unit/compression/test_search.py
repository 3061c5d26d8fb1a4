"""What a search believes of structures, and how it writes recipes that begin with one."""

import pytest

from tests.unit.compression.trained import cnn_study
from workbench.compression.recipe import Recipe, parse
from workbench.compression.search import split_structure, with_structure
from workbench.compression.structure_ladder import Ladder, Rung


@pytest.mark.parametrize(
    "rest",
    ["cluster:16", {"a": "cluster:16"}, {"*": "cluster:16", "b": "half:fp16"}],
    ids=["all", "one layer", "all but one"],
)
def test_a_structure_put_before_a_recipe_is_taken_off_again(rest):
    recipe = parse(rest)
    step = parse("prune_structured:0.3").steps[0]
    whole = with_structure(recipe, step)
    assert split_structure(whole) == (0.3, recipe)
    assert split_structure(parse(whole.to_json())) == (0.3, recipe)


def test_recipes_without_one_structure_for_all_have_none():
    plain = parse("cluster:16")
    assert split_structure(plain) == (None, plain)
    assert split_structure(Recipe()) == (None, Recipe())
    assert split_structure(parse({"a": "prune_structured:0.3"}))[0] == 0.0


def test_the_ladder_follows_what_was_measured():
    blank = Ladder([])
    assert blank.drop(0.3)[0] < blank.drop(0.6)[0]
    assert blank.shrink(0.6) < blank.shrink(0.3) < 1
    known = Ladder([Rung(0.5, -1.2, 4.0)])
    assert known.drop(0.5)[0] == pytest.approx(4.0)
    assert known.shrink(0.5) == pytest.approx(0.301, abs=0.001)
    assert known.drop(0.5)[1] < known.drop(0.6)[1] < blank.drop(0.6)[1] + 1e-9
    often = Ladder([Rung(0.5, -1.2, 4.0 + 0.05 * i) for i in range(5)])
    assert often.drop(0.5)[1] < known.drop(0.5)[1], "five that agree leave little doubt"


def test_layers_that_begin_alike_share_one_network():
    engine = cnn_study()
    layers = [layer.name for layer in engine.build("").layers]
    uniform = engine.build("prune_structured:0.4")
    recipe = {"*": "prune_structured:0.4", layers[1]: "prune_structured:0.4 + cluster:16"}
    mixed = engine.build(recipe)
    assert mixed.history == uniform.history
    assert len(mixed.history) == 1
