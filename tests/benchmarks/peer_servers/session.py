"""ONNX Runtime as the peers run it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime


def session_of(model: str) -> onnxruntime.InferenceSession:
    """Returns a session with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def answer(session: onnxruntime.InferenceSession, rows: Any) -> np.ndarray:
    """Returns the first output for rows as JSON has them."""
    output: np.ndarray = session.run(None, {"input": np.asarray(rows, np.float32)})[0]
    return output
