"""What a search believes of structures, and how it writes recipes that begin with one."""

import math

import numpy as np
import pytest

from tests.unit.compression.trained import cnn_study
from workbench.compression.estimator import Estimator
from workbench.compression.goal import Goal, drop_of
from workbench.compression.recipe import Recipe, parse
from workbench.compression.restructuring import (
    Structure,
    split_structure,
    structures_of,
    with_structure,
)
from workbench.compression.search import Search
from workbench.compression.structure_ladder import Ladder, Rung
from workbench.compression.trial_costs import TrialCosts
from workbench.store import NullContext


def step_of(text):
    return parse(text).steps[0]


def structure(kept, effort=1.0):
    return Structure(step_of(f"prune_structured:{1 - kept:g},epochs={4 * effort:g}"), kept, effort)


@pytest.mark.parametrize(
    "rest",
    ["cluster:16", {"a": "cluster:16"}, {"*": "cluster:16", "b": "half:fp16"}],
    ids=["all", "one layer", "all but one"],
)
def test_a_structure_put_before_a_recipe_is_taken_off_again(rest):
    recipe = parse(rest)
    step = step_of("prune_structured:0.3")
    whole = with_structure(recipe, step)
    assert split_structure(whole) == (step, recipe)
    assert split_structure(parse(whole.to_json())) == (step, recipe)


@pytest.mark.parametrize(
    "recipe", [parse("cluster:16"), Recipe(), parse({"a": "prune_structured:0.3"})]
)
def test_recipes_without_one_structure_for_all_stay_whole(recipe):
    assert split_structure(recipe) == (None, recipe)


def test_the_ladder_follows_what_was_measured():
    blank = Ladder([])
    assert blank.drop(structure(0.5))[0] < blank.drop(structure(0.2))[0]
    assert blank.drop(structure(0.2, 4.0))[0] < blank.drop(structure(0.2))[0]
    known = Ladder([Rung(structure(0.25), 4.0, 1.1)])
    assert known.drop(structure(0.25))[0] == pytest.approx(4.0)
    assert known.ratio(structure(0.25)) == known.ratio(structure(0.5)) == pytest.approx(1.1)
    near, far = (known.drop(structure(kept))[1] for kept in (0.2, 0.02))
    assert known.drop(structure(0.25))[1] < near < far < blank.drop(structure(0.02))[1]
    assert known.drop(structure(0.3))[0] > blank.drop(structure(0.3))[0], "worse than thought"
    often = Ladder([Rung(structure(0.25), 4.0 + 0.05 * i) for i in range(5)])
    assert often.drop(structure(0.25))[1] < known.drop(structure(0.25))[1], "five that agree"


def test_the_ladder_is_the_gaussian_process_of_the_book():
    """Against the textbook's formula, written out with NumPy's solver."""
    kept, drops = np.array([0.5, 0.3, 0.1]), np.array([0.4, 2.0, 9.0])
    ladder = Ladder([Rung(structure(k), d) for k, d in zip(kept, drops, strict=True)])
    places = 1 - np.sqrt(np.append(kept, 0.2))

    def prior(place):
        return np.arcsinh(12 * place**3 / 0.5)

    every = 0.25 + 0.36 * np.exp(-0.5 * ((places[:, None] - places) / 0.15) ** 2)
    own, cross = every[:3, :3] + 0.15**2 * np.eye(3), every[3, :3]
    left = np.arcsinh(drops / 0.5) - prior(places[:3])
    center = prior(places[3]) + cross @ np.linalg.solve(own, left)
    spread = np.sqrt(every[3, 3] - cross @ np.linalg.solve(own, cross) + 0.15**2)
    assert ladder.drop(structure(0.2)) == pytest.approx((0.5 * np.sinh(center), spread))


def test_the_cost_of_the_next_network_follows_what_was_paid():
    costs = TrialCosts(plain_s=0.5, network_s=4.0, epoch_s=0.5)
    usual, longer = (step_of(f"prune_structured:0.5,epochs={n}") for n in (4, 16))
    assert (costs.of(None), costs.of(usual), costs.of(longer)) == (0.5, 6.0, 12.0)
    costs.note(usual, 9.0)
    assert costs.of(usual) == costs.of(None) == 0.5, "it is there now"
    assert costs.of(step_of("prune_structured:0.6")) == pytest.approx(9.0)
    assert costs.of(longer) == pytest.approx(18.0), "half as slow again as expected"
    costs.note(longer, 21.0)
    assert costs.of(step_of("prune_structured:0.6,epochs=10")) == pytest.approx(15.0), "in between"
    for _ in range(9):
        costs.note(None, 2.0)
    assert costs.of(usual) == 2.0, "the machine got busy"


@pytest.mark.full
def test_networks_that_come_out_alike_are_offered_once(tmp_path):
    engine = cnn_study()
    subject = engine.build("")
    found = structures_of(subject, fine=True)
    assert {item.effort for item in found} == {1.0, 4.0}
    shares = [item.kept for item in found if item.effort == 1.0]
    assert shares == sorted(set(shares), reverse=True)
    tools = engine.tools(NullContext(tmp_path))
    for item in found[::4]:
        config = item.step.config.model_copy(update={"epochs": 0})
        done = item.step.plugin.change_structure(subject, subject.layers, config, tools)
        sizes = [
            sum(part.numel() for part in one.parameters()) for one in (done.module, subject.module)
        ]
        assert sizes[0] / sizes[1] == pytest.approx(item.kept), "known before it was trained"


@pytest.mark.full
def test_a_search_told_what_it_proposed_goes_on_with_other_files():
    engine = cnn_study()
    estimator = Estimator(engine)
    search = Search(estimator, Goal(max_drop=0.05), only_front=True)
    search.prepare(looks=6)
    files = set()
    for _ in range(6):
        recipe = search.propose(lambda step: 1.0 if step is None else math.inf)
        assert split_structure(recipe)[0] is None, "there is no time to train a network"
        measured = engine.measure(recipe)
        assert measured.artifact not in files, "no file is proposed twice"
        files.add(measured.artifact)
        search.tell(measured)
    assert split_structure(search.propose())[0] is not None, "now there is"
    front = search.front()
    assert len(front) >= 3
    assert search.best().size_bytes == min(m.size_bytes for m in front if drop_of(m) <= 0.05)


def test_layers_that_begin_alike_share_one_network():
    engine = cnn_study()
    layers = [layer.name for layer in engine.build("").layers]
    uniform = engine.build("prune_structured:0.4")
    recipe = {"*": "prune_structured:0.4", layers[1]: "prune_structured:0.4 + cluster:16"}
    mixed = engine.build(recipe)
    assert mixed.history == uniform.history
    assert len(mixed.history) == 1
