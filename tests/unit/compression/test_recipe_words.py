"""A recipe by layer, told in one line."""

import pytest

from workbench.compression.recipe import parse
from workbench.compression.recipe_words import by_layer, summary

MIXED = {
    "*": "prune_structured:0.3 + cluster:16",
    "head": "prune_structured:0.3 + quantize_weights:4",
    "stem": "prune_structured:0.3",
}


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("", "baseline"),
        ("prune:0.5 + half:fp16", "prune:0.5 + half:fp16"),
        (MIXED, "prune_structured:0.3 + cluster:16; 2 layers otherwise"),
        ({"head": "prune:0.5"}, "prune:0.5; 1 layer otherwise"),
        ({"head": "prune:0.5", "*": "baseline"}, "left as it is; 1 layer otherwise"),
    ],
)
def test_in_one_line(recipe, words):
    assert summary(str(parse(recipe)) if recipe else "") == words


def test_a_method_that_is_gone_is_still_told():
    assert summary("gone:3 + half:fp16") == "gone:3 + half:fp16"
    assert summary('{"a": "gone:3", "*": "gone:4"}') == "gone:4; 1 layer otherwise"


def test_each_layer_says_what_the_others_do_not():
    assert by_layer(str(parse(MIXED))) == [
        ("head", "quantize_weights:4"),
        ("stem", "left as it is"),
    ]
    assert by_layer("half") == []
