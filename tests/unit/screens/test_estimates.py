"""Estimates in the explorer: the newest question is answered, and nothing waits for it."""

from __future__ import annotations

import base64
import json
import threading

import numpy as np
import pytest

from workbench.screens.estimates import Estimates
from workbench.screens.study import StudyScreen
from workbench.screens.views import estimate as view


class Collected:
    """Answers as they come."""

    def __init__(self):
        self.answers, self.more = [], threading.Condition()

    def __call__(self, answer):
        with self.more:
            self.answers.append(answer)
            self.more.notify_all()

    def until(self, is_there):
        with self.more:
            assert self.more.wait_for(lambda: any(map(is_there, self.answers)), 60)
            return next(a for a in self.answers if is_there(a))


def test_of_questions_that_come_too_fast_only_the_newest_is_answered(road):
    found, measuring = Collected(), threading.Event()
    measuring.set()  # so that nothing is refined meanwhile
    estimates = Estimates(road.study, found, measuring.is_set)
    with road.study.estimator._lock:
        for amount in (0.2, 0.3, 0.4, 0.5):
            estimates.ask(f"prune:{amount}")
    last = found.until(lambda a: a.get("asked") == "prune:0.5")
    assert len([a for a in found.answers if "asked" in a]) <= 2
    value, low, high = last["score"]
    assert low <= value <= high
    estimates.close()


def test_a_recipe_that_cannot_be_is_refused_in_words(road):
    found = Collected()
    estimates = Estimates(road.study, found, lambda: True)
    estimates.ask("prun:0.5")
    assert "prune" in found.until(lambda a: "refusal" in a)["refusal"]
    estimates.close()


def test_it_refines_by_itself_and_waits_while_a_variant_is_measured(road):
    found, measuring = Collected(), threading.Event()
    measuring.set()
    estimates = Estimates(road.study, found, measuring.is_set)
    estimates.ask("")
    assert not found.until(lambda a: "held_of" in a)["is_refined"]
    measuring.clear()
    estimates.ask("")
    account = found.until(lambda a: a.get("is_refined"))
    assert account["held_of"] == len(road.study.variants) - 1
    estimates.close()


def test_the_table_is_told_and_announced_again_when_a_page_is_loaded_again(road):
    if not road.study.estimator.is_refined:
        road.study.refine()
    screen, found = StudyScreen(road.workspace, road.study), Collected()
    screen.subscribe(found)
    assert "no table yet" in screen.do("table")["error"]["message"]
    for number in (1, 2):
        screen.do("estimate", {"recipe": ""})
        found.until(lambda news, wanted=number: news.get("table", {}).get("number", 0) >= wanted)
    told = screen.do("table")["reply"]
    assert told["ref"] == road.study.ref
    assert 0 < len(json.dumps(told)) < 1_500_000
    assert base64.b64decode(told["numbers"]) == bytes(screen.page_table.numbers)
    screen.close()


def test_each_layer_has_its_part_of_the_harm(road):
    if not road.study.estimator.is_refined:
        road.study.refine()
    for recipe in ("prune:0.6", "prune:0.6 + quantize_static", "distill:0.5"):
        shown = view.layers(road.study.estimator, recipe)
        parts = np.array([part for _, part, _ in shown["layers"]])
        assert len(parts) == len(road.study.estimator.prober.layers)
        assert (parts >= 0).all()
        assert parts.sum() == pytest.approx(1, abs=0.1)
        assert sum(share for _, _, share in shown["layers"]) == pytest.approx(1, abs=0.01)


def test_the_screen_keeps_the_account_beside_each_answer(road):
    screen, found = StudyScreen(road.workspace, road.study), Collected()
    screen.subscribe(found)
    screen.do("estimate", {"recipe": "prune:0.9"})
    said = found.until(lambda n: n.get("estimate", {}).get("asked") == "prune:0.9")["estimate"]
    assert screen.busy == []
    assert said["recipe"] == "prune:0.9"
    assert "held_of" in said
    screen.close()
