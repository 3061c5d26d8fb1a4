from __future__ import annotations

import numpy as np
import pytest

from tests.unit.runtime.files import linear
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.signature import Signature, TensorSpec
from workbench.runtime import open_session


def test_it_tells_its_signature_and_answers_any_batch(tmp_path):
    session = open_session(linear(tmp_path / "m.onnx"))
    assert session.signature == Signature(
        (TensorSpec("input", "float32", ("batch", 64)),),
        (TensorSpec("output", "float32", ("batch", 10)),),
    )
    batch = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    together = session.run(batch)
    assert together.shape == (5, 10)
    alone = np.concatenate([session.run(batch[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(session.predict([batch[:2], batch[2:]]).shape, (5, 10))
    np.testing.assert_array_equal(session.run_named({"input": batch})["output"], together)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no ONNX file at '.*none\.onnx'"):
        open_session(tmp_path / "none.onnx")


def test_a_file_that_is_not_onnx_is_refused_in_words(tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(UnsupportedError, match=r"cannot load 'bad\.onnx'"):
        open_session(path)


def test_threads_must_be_positive(tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        open_session(linear(tmp_path / "m.onnx"), threads=0)
