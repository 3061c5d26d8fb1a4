"""ONNX files on ONNX Runtime, loaded by path: from bytes a load stalls every other thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError
from workbench.core.optional import require
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.engine import Engine, Tensors
from workbench.serving.errors import ModelError

_DTYPES = {
    "float": "float32",
    "double": "float64",
    "string": "object",
    **{f"float{n}": f"float{n}" for n in (16,)},
    **{f"{sign}int{n}": f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)},
    "bool": "bool",
}
_ERRORS_ONLY = 3


class OnnxConfig(Config):
    """How ONNX Runtime runs a model."""

    threads: int = Field(1, ge=1, le=256, description="Threads inside one prediction")


class OnnxModel:
    """One session."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.signature = Signature(_specs(session.get_inputs()), _specs(session.get_outputs()))
        self._outputs = [spec.name for spec in self.signature.outputs]

    def predict(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Returns the outputs by name.

        Raises:
            ModelError: ONNX Runtime failed on these inputs.
        """
        try:
            values = self._session.run(self._outputs, inputs)
        except Exception as error:
            raise ModelError(
                f"The model failed on an input that fits its signature: {_first_line(error)}",
                hint="Try one sample alone; if it fails too, the model file is at fault.",
            ) from error
        return {
            name: np.asarray(value) for name, value in zip(self._outputs, values, strict=True)
        }

    def close(self) -> None:
        """Gives the session's memory back."""
        self._session = None


class OnnxEngine(Engine):
    """ONNX Runtime on the CPU."""

    summary = "ONNX files on ONNX Runtime"
    requires = ("onnxruntime",)
    Config = OnnxConfig
    suffixes = (".onnx",)

    def load(self, path: Path, config: Config) -> OnnxModel:
        """Loads the file; see `Engine.load`."""
        if not path.is_file():
            raise NotFoundError(f"No file '{path}'.", hint="Give the path of an .onnx file.")
        runtime = require("onnxruntime", for_="serving ONNX files")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = getattr(config, "threads", 1)
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise InputError(
                f"Got '{path.name}', which ONNX Runtime cannot load: {_first_line(error)}",
                hint="An ONNX model that passes onnx.checker would be right.",
            ) from error
        return OnnxModel(session)


def _specs(arguments: list[Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(arg.name, _dtype(arg), tuple(_dim(dim, i) for i, dim in enumerate(arg.shape)))
        for arg in arguments
    )


def _dtype(argument: Any) -> str:
    inner = argument.type.removeprefix("tensor(").removesuffix(")")
    if inner not in _DTYPES:
        raise InputError(
            f"The tensor '{argument.name}' is a {argument.type}; "
            f"tensors of {', '.join(_DTYPES)} can be served.",
            hint="Export the model with plain tensors (for scikit-learn: zipmap=False).",
        )
    return _DTYPES[inner]


def _dim(dim: Any, place: int) -> int | str:
    if isinstance(dim, int):
        return dim
    return str(dim) if dim else ("batch" if place == 0 else f"dim{place}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)


PLUGIN = OnnxEngine()
