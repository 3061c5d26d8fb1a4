"""Rules against an independent computation in NumPy. No torch."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import StateError
from workbench.exporting.fold_map import find_rules


def state(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def values(*shape):
        return rng.normal(size=shape).astype(np.float32)

    return {
        "conv.weight": values(4, 3, 3, 3),
        "conv.bias": values(4),
        "bn.weight": values(4),
        "bn.bias": values(4),
        "bn.running_mean": values(4),
        "bn.running_var": np.abs(values(4)) + 0.1,
        "other.running_mean": values(4),
        "other.running_var": np.abs(values(4)) + 0.1,
        "linear.weight": values(5, 7),
    }


def folded(s: dict[str, np.ndarray], eps: float) -> tuple[np.ndarray, np.ndarray]:
    scale = s["bn.weight"] / np.sqrt(s["bn.running_var"] + np.float32(eps))
    weight = np.stack([w * g for w, g in zip(s["conv.weight"], scale, strict=True)])
    bias = (s["conv.bias"] - s["bn.running_mean"]) * scale + s["bn.bias"]
    return weight.astype(np.float32), bias.astype(np.float32)


NORMS = {"bn": 1e-3, "other": 1e-5}


@pytest.mark.parametrize("hints", [{}, {"conv.weight": "bn"}])
def test_a_folded_pair_is_found_with_and_without_a_hint(hints):
    weight, bias = folded(state(), 1e-3)
    found = find_rules({"x1": weight, "x2": bias}, state(), NORMS, hints)
    assert found.rules["x1"].kind == "bn_weight"
    assert found.rules["x1"].batch_norm.name == "bn"
    assert found.rules["x2"].kind == "bn_bias"
    assert found.rules["x2"].source == "conv.bias"
    other = state(1)
    expected = folded(other, 1e-3)
    got = found.compute_unproven(other)
    np.testing.assert_array_equal(got["x1"], expected[0])
    np.testing.assert_array_equal(got["x2"], expected[1])


def test_transposed_and_reshaped_weights_are_found():
    s = state()
    values = {"a": s["linear.weight"].T.copy(), "b": s["linear.weight"].reshape(5, 7, 1)}
    found = find_rules(values, s, NORMS)
    assert found.rules["a"].kind == "transpose"
    assert found.rules["b"].kind == "reshape"
    got = found.compute_unproven(state(2))
    np.testing.assert_array_equal(got["a"], state(2)["linear.weight"].T)
    assert got["b"].shape == (5, 7, 1)


def test_one_wrong_bit_is_no_match():
    weight, _ = folded(state(), 1e-3)
    weight[0, 0, 0, 0] = np.nextafter(weight[0, 0, 0, 0], np.float32(9))
    found = find_rules({"x": weight}, state(), NORMS)
    assert found.constants == ("x",)


def test_a_name_wins_over_equal_bits():
    s = state()
    s["twin.weight"] = s["linear.weight"].copy()
    found = find_rules({"twin.weight": s["twin.weight"]}, s, NORMS)
    assert found.rules["twin.weight"].source == "twin.weight"


def test_an_unproven_map_patches_nothing():
    found = find_rules({"linear.weight": state()["linear.weight"]}, state(), NORMS)
    with pytest.raises(StateError, match="not proven yet"):
        found.compute(state())
