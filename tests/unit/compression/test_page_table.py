"""The page's table says what the kernel says, in JavaScript too, for recipes of every form."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.unit.compression.page_reference import score_of
from tests.unit.compression.trained import resnet_study
from workbench.compression.estimator import Estimator
from workbench.compression.looks import candidates
from workbench.compression.page_table import PageTable
from workbench.compression.recipe import Recipe, parse
from workbench.compression.treatments import default_treatments
from workbench.widgets import live

SCRIPT = Path(live.__file__).parents[1] / "static" / "estimate.js"
RUN = """
import { readFileSync } from "node:fs";
import { open, estimate } from "./estimate.mjs";
const bytes = readFileSync("numbers.bin");
const table = open(
  JSON.parse(readFileSync("head.json", "utf8")), bytes,
);
const recipes = JSON.parse(readFileSync("recipes.json", "utf8"));
console.log(JSON.stringify(recipes.map((recipe) => estimate(table, recipe))));
"""
FIGURES = ("score", "size_bytes", "latency_ms", "macs")


@functools.cache
def refined() -> Estimator:
    estimator = Estimator(resnet_study(), samples=16, seed=2)
    estimator.refine(looks=12)
    estimator.observe(resnet_study().measure("quantize_static"))
    estimator.observe(resnet_study().measure("prune_structured:0.3"))
    return estimator


@functools.cache
def table() -> PageTable:
    return refined().page_table()


def in_node(recipes: list[object], folder: Path) -> list[dict]:
    node = shutil.which("node")
    if node is None and os.environ.get("CI"):
        pytest.fail("CI must have node.")
    if node is None:
        pytest.skip("needs node (apt install nodejs)")
    (folder / "estimate.mjs").write_text(SCRIPT.read_text())
    (folder / "run.mjs").write_text(RUN)
    (folder / "head.json").write_text(json.dumps(table().head))
    (folder / "numbers.bin").write_bytes(table().numbers)
    (folder / "recipes.json").write_text(json.dumps(recipes))
    done = subprocess.run(
        [node, "run.mjs"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def recipes() -> list[Recipe]:
    names = refined().locator.names
    choices = default_treatments(refined().subject)
    found = candidates(names, choices, 99)
    return [*found[: len(choices)], *found[len(choices) :: 3]]


@pytest.mark.full
def test_the_message_is_small():
    assert len(table().numbers) + len(json.dumps(table().head)) < 250_000


def test_a_plain_reading_of_the_table_gives_the_kernel_s_scores():
    between = [
        {"net.stem.0": "prune:0.42,scope=layer"},
        {"net.stem.0": "prune:0.12,scope=layer"},
        {"net.stem.0": "prune:0.2,scope=layer + quantize_static"},
    ]
    for recipe in [*recipes()[::4], *map(parse, between)]:
        layers = {n: [{"kind": s.method, **s.config.to_json()} for s in steps]
                  for n, steps in recipe.layers.items()}  # fmt: skip
        said = refined().estimate(recipe).score
        found = score_of(table(), layers)
        assert found == pytest.approx((said.value, said.low, said.high), abs=1e-3)


def test_the_page_says_what_the_kernel_says(tmp_path):
    names = refined().locator.names
    asked: list[object] = [
        "",
        "prune:0.5",
        "prune:0.31 + quantize_static",
        "prune:0.5,scope=layer",
        "prune:0.985,scope=layer",
        "quantize_static:8",
        "cluster:16",
        "half",
        "prune_n_m",
        "prune_structured:0.7",
        "prune_structured:0.4",
        "prune_structured:0.3 + quantize_static",
        {"*": "half", names[0]: "prune:0.44,scope=layer"},
        {names[1]: "quantize_static", names[2]: "prune:0.1,scope=layer"},
        *[recipe.to_json() for recipe in recipes()],
    ]
    assert len(asked) >= 90
    found = in_node(asked, tmp_path)
    for recipe, page in zip(asked, found, strict=True):
        said = refined().estimate(recipe)
        assert page is not None, recipe
        assert page["needs_training"] == said.needs_training
        if said.reason == "measured":
            continue
        assert page["reason"] == said.reason
        for name in FIGURES:
            figure = getattr(said, name)
            scale = 1.0 if name == "score" else max(figure.value, 1e-9)
            want = np.array([figure.value, figure.low, figure.high]) / scale
            got = np.array([page[name][end] for end in ("value", "low", "high")]) / scale
            assert got == pytest.approx(want, abs=1e-3), (recipe, name)


def test_what_the_table_does_not_hold_is_left_to_the_kernel(tmp_path):
    layer = refined().locator.names[1]
    unknown = ["cluster:7", {layer: "half + nothing"}, "no_method", {"nowhere": "half"}]
    assert in_node(unknown, tmp_path) == [None] * len(unknown)
