"""A comparison as the user reads it, on real data."""

import json

import numpy as np
from sklearn.datasets import load_diabetes

from workbench.runtime.session import open_session


def test_flips_lead_to_samples_and_blame_adds_up(ready):
    study = ready.space.study(ready.run, ready.data)
    found = study.compare("prune:0.8")
    val = ready.data.val
    answers = [
        open_session(v.path).run(val.batch(np.arange(len(val)))[0]).argmax(axis=1)
        for v in (study.baseline, found.variant)
    ]
    assert sorted(f.index for f in found.flips) == np.flatnonzero(answers[0] != answers[1]).tolist()
    flip = found.flips[0]
    assert str(found.sample(flip).target) == flip.target
    assert abs(sum(b.share for b in found.blame) - 1) < 1e-6
    assert "answered differently" in str(found)
    assert "calibration error" in str(found)
    assert found.variant.reason in str(found)
    json.dumps(found.to_json())


def test_a_regression_has_changes(ready):
    inputs, targets = load_diabetes(return_X_y=True)
    data = ready.space.load("arrays", inputs=inputs, targets=targets, modality="table")
    run = ready.space.train(data, "mlp", epochs=2, threads=1)
    study = ready.space.study(run, data)
    found = study.compare("quantize_dynamic")
    assert found.changes
    assert not found.flips
    assert "largest changes" in str(found)
    best = study.search(max_drop=100.0, budget=1)
    assert best.confirmation is None or best.confirmation.metric == study.baseline.metric


def test_several_values_are_compared_by_their_error(ready):
    inputs, targets = load_diabetes(return_X_y=True)
    both = np.stack([targets, -targets], axis=1)
    data = ready.space.load("arrays", inputs=inputs, targets=both, modality="table")
    run = ready.space.train(data, "linear", epochs=1, threads=1)
    found = ready.space.study(run, data).compare("prune:0.5")
    assert {change.of for change in found.changes} == {"error"}
    assert "its error was" in str(found)
    assert ": is 0," not in str(found)
