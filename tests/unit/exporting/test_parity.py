from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.exporting.parity import ParityError, check_parity

SAMPLES = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def double(batch: np.ndarray) -> np.ndarray:
    return batch * 2


def test_equal_answers_pass_with_the_figures():
    parity = check_parity(double, lambda b: b + b + np.float32(1e-6), SAMPLES)
    assert 0 < parity.max_error < 1e-5
    assert parity.samples == sum(parity.batch_sizes)
    assert parity.batch_sizes[0] == 1


def test_one_wrong_sample_is_named():
    def wrong(batch):
        out = batch * 2
        out[(batch == SAMPLES[7]).all(axis=1)] += 0.5
        return out

    with pytest.raises(ParityError, match=r"error 0\.5 at sample 7 \(batch of 7\)") as caught:
        check_parity(double, wrong, SAMPLES)
    assert caught.value.context["sample"] == 7
    assert "model: [" in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_fails(bad):
    with pytest.raises(ParityError):
        check_parity(double, lambda b: b * bad, SAMPLES)
    with pytest.raises(ParityError):
        check_parity(lambda b: b * bad, lambda b: b * bad, SAMPLES)


def test_a_batch_that_collapses_is_found():
    with pytest.raises(ParityError, match="fixed batch size"):
        check_parity(double, lambda b: b[:1] * 2, SAMPLES)


def test_large_outputs_are_judged_by_their_size():
    check_parity(lambda b: b * 1e6, lambda b: b * 1e6 + 10, SAMPLES)
    with pytest.raises(ParityError):
        check_parity(lambda b: b * 1e6, lambda b: b * 1e6 + 1e4, SAMPLES)


def test_no_samples_is_an_error():
    with pytest.raises(InputError, match="no samples"):
        check_parity(double, double, SAMPLES[:0])
