from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.runtime import memory, track_peak

MEGABYTE = 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux's")
def test_the_peak_of_the_block_is_found_even_after_a_higher_one():
    np.ones(200 * MEGABYTE, np.uint8).sum()
    with track_peak() as peak:
        np.ones(60 * MEGABYTE, np.uint8).sum()
    if peak.above_idle_bytes is None:
        pytest.skip(peak.reason)
    assert 50 * MEGABYTE < peak.above_idle_bytes < 120 * MEGABYTE


def test_where_the_system_does_not_tell_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(memory, "_STATUS", Path("/nowhere/status"))
    with track_peak() as peak:
        pass
    assert peak.above_idle_bytes is None
    assert "does not tell" in peak.reason
