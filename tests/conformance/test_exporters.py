"""Every exporter, by its key."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.optional import require
from workbench.exporting import EXPORTERS


@pytest.fixture(params=list(EXPORTERS))
def key(request) -> str:
    return request.param


def test_it_says_what_it_is(key):
    exporter = EXPORTERS.get(key)
    assert exporter.summary
    assert exporter.suffix.startswith(".")
    assert EXPORTERS.info(key).reason is None


def test_it_writes_one_file_that_is_the_same_twice(key, tmp_path):
    nets = require("tests.unit.exporting.nets", for_="tests")
    samples = np.random.default_rng(0).uniform(0, 16, (4, 1, 8, 8)).astype(np.float32)
    exporter = EXPORTERS.get(key)
    paths = [
        exporter.write(nets.conv_net(), nets.description(), samples, tmp_path / name).path
        for name in (f"a{exporter.suffix}", f"b{exporter.suffix}")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
