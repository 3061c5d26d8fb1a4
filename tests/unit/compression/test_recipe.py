from __future__ import annotations

import pytest

from workbench.compression import METHODS, Recipe, parse
from workbench.core.errors import InputError


def test_text_is_read_and_written():
    recipe = parse("clip:99.9 + prune:0.5,scope=layer+quantize_static:8")
    assert str(recipe) == "clip:99.9 + prune:0.5,scope=layer + quantize_static:8"
    assert [step.method for step in recipe.steps] == ["clip", "prune", "quantize_static"]
    assert recipe.steps[1].config.amount == 0.5


@pytest.mark.parametrize(
    "written",
    [
        "prune:0.5 + half",
        " prune : 0.5+half:fp16 ",
        ["prune:0.5", "half"],
        [{"kind": "prune", "amount": 0.5}, "half"],
        '[{"kind": "prune", "amount": 0.5}, "half"]',
        {"steps": ["prune:0.5,scope=global", "half"]},
    ],
)
def test_all_forms_mean_the_same(written):
    assert parse(written).digest == parse("prune:0.5 + half").digest
    assert str(parse(written)) == "prune:0.5 + half:fp16"


@pytest.mark.parametrize("text", ["", "baseline", [], Recipe()])
def test_nothing_is_the_baseline(text):
    assert parse(text).is_baseline
    assert str(parse(text)) == "baseline"


def test_layers_have_recipes_of_their_own():
    recipe = parse({"net.0": "prune:0.5", "*": ["quantize_static"]})
    assert parse(str(recipe)) == recipe
    assert parse(recipe.to_json()) == recipe
    assert [step.method for step in recipe.all_steps()] == ["prune", "quantize_static"]
    assert parse({"*": ["quantize_static"], "net.0": "prune:0.5"}).digest == recipe.digest


def test_every_problem_is_named_at_once():
    with pytest.raises(InputError) as caught:
        parse("quantise_static + prune:1.5,skope=layer + half:bf17 + 7")
    text = str(caught.value)
    assert "did you mean 'quantize_static'?" in text
    assert "amount: Input should be less than 1, got 1.5" in text
    assert "unknown option 'skope'; did you mean 'scope'?" in text
    assert "format: Input should be 'fp16'" in text
    assert "'7' does not start with a method's name" in text
    assert "workbench methods" in text


def test_problems_name_their_layer():
    with pytest.raises(InputError, match=r"net\.0: prune: amount"):
        parse({"net.0": "prune:2"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quantize_static + prune:0.5", "write 'prune:0.5 + quantize_static:8'"),
        ("prune:0.5 + prune_structured:0.5", "changes the network's shape, so it comes before"),
        ("quantize_static + half", "'quantize_static' before it already made them int8"),
        ("half + quantize_dynamic", "'half' before it already made them float16"),
    ],
)
def test_an_order_that_cannot_work_is_refused_with_its_reason(text, words):
    with pytest.raises(InputError, match="not valid") as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["prune", "clip:100", "clip:maximum", "prune:0.5,", "prune 0.5"])
def test_values_are_checked(text):
    if text == "prune:0.5,":
        assert str(parse(text)) == "prune:0.5"
        return
    with pytest.raises(InputError):
        parse(text)


@pytest.mark.parametrize("text", ["{not json", "prune:0.5,scope", 7, None, {"kind": "prune"}])
def test_what_is_no_recipe_is_refused_in_words(text):
    with pytest.raises(InputError, match="recipe"):
        parse(text)


def test_listing_methods_names_all():
    known = {"clip", "half", "prune", "prune_structured", "quantize_dynamic", "quantize_static"}
    assert known <= set(METHODS.keys())


def test_a_recipe_read_before_is_the_same_object_and_wrong_ones_are_wrong_again():
    assert parse("prune:0.5 + half") is parse("prune:0.5 + half")
    assert parse({"a": "half"}) is parse({"a": "half"})
    assert parse([{"kind": "prune", "amount": 0.5}]) == parse("prune:0.5")
    for _ in range(2):
        with pytest.raises(InputError, match="not valid"):
            parse("prune:1.2")
    with pytest.raises(InputError) as caught:
        parse({"kind": "prune", "amount": float("nan")})
    assert "nan" in str(caught.value.problems)
