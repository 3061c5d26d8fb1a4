"""Every engine plug-in, by its key: it loads, answers as the reference does, refuses in words."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tests.unit.serving import models
from workbench.core.errors import WorkbenchError
from workbench.serving.engine import batches_faithfully, example_inputs
from workbench.serving.engines import ENGINES

SAVERS = {".onnx": models.save_digits}


@pytest.fixture(params=list(ENGINES))
def engine(request):
    return ENGINES.get(request.param)


@pytest.fixture
def path(engine, tmp_path):
    suffix = engine.suffixes[0]
    return SAVERS[suffix](tmp_path / f"model{suffix}")


def test_it_says_what_it_is(engine):
    assert engine.summary
    assert all(suffix.startswith(".") for suffix in engine.suffixes)
    assert "threads" in engine.Config.model_fields
    assert ENGINES.info(engine.key).reason is None


def test_its_numbers_are_those_of_the_reference(engine, path):
    model = engine.load(path, engine.Config())
    inputs = example_inputs(model.signature, 3)
    found = model.predict(inputs)
    assert list(found) == [spec.name for spec in model.signature.outputs]
    right = ReferenceEvaluator(onnx.load(path)).run(None, inputs)
    for value, expected in zip(found.values(), right, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4)
    assert batches_faithfully(model)
    model.close()


def test_it_runs_in_the_thread_that_batching_gives_it(engine, path):
    model = engine.load(path, engine.Config(threads=1))
    inputs, found = example_inputs(model.signature, 1), []
    thread = threading.Thread(target=lambda: found.append(model.predict(inputs)))
    thread.start()
    thread.join()
    assert found


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 100, b"PK\x03\x04 not a model"])
def test_a_broken_or_missing_file_is_refused_in_words(engine, tmp_path, content):
    path = tmp_path / f"broken{engine.suffixes[0]}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkbenchError) as caught:
        engine.load(path, engine.Config())
    assert caught.value.http_status < 500
    assert caught.value.hint


def test_a_closed_model_says_so(engine, path):
    model = engine.load(path, engine.Config())
    model.close()
    with pytest.raises(WorkbenchError):
        model.predict(example_inputs(model.signature, 1))
