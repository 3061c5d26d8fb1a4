from __future__ import annotations

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.counting import counting
from tests.unit.serving.harness import running
from workbench.serving.limits import Limits
from workbench.serving.repository import load_source
from workbench.serving.served import Source
from workbench.serving.service import Settings


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def digits_file(folder):
    return models.save_digits(folder / "digits.onnx")


@pytest.fixture(scope="session")
def square_file(folder):
    return models.save_square(folder / "square.onnx")


@pytest.fixture(scope="session")
def pair_file(folder):
    return models.save_two_inputs(folder / "pair.onnx")


@pytest.fixture(scope="session")
def digits_source(digits_file):
    """A described digits classifier under a Chinese name."""
    return Source("数字", "3", digits_file, models.description(), "model:数字@3")


@pytest.fixture(scope="module")
def endpoint(digits_source, digits_file, square_file, pair_file, tmp_path_factory):
    """One endpoint with four models: a described one and three bare files."""
    log = tmp_path_factory.mktemp("requests")
    with running(digits_source, digits_file, square_file, pair_file, log_folder=log) as found:
        found.log = log
        yield found


@pytest.fixture(scope="session")
def batch():
    """Four digits of the test split, as the model takes them."""
    _, test, _, _ = models.digits()
    return test[:4].reshape(4, 1, 8, 8).astype(np.float32)


@pytest.fixture(scope="session")
def logits(batch):
    """What the digits model must answer to `batch`, computed without it."""
    weights, bias = models.digits_weights()
    return batch.reshape(4, 64) @ (weights / 16) + bias


@pytest.fixture
def counted(square_file, tmp_path):
    """An endpoint, also over gRPC, with a model that counts to 5 in pieces and one that does not.

    A caller that closed its side is not given up by the clock.
    """
    path = tmp_path / "count.count"
    path.write_text("5")
    settings = Settings(drain_s=5, grpc_port=0, limits=Limits(half_closed_s=1000))
    with counting():
        names = (("count", path), ("square", square_file))
        loaded = [load_source(Source(name, "1", file, None, str(file))) for name, file in names]
        model, log = loaded[0].model, tmp_path / "log"
        with running(loaded=loaded, settings=settings, log_folder=log) as endpoint:
            endpoint.model, endpoint.log = model, log
            yield endpoint
            model.gate.set()
