"""ONNX files on ONNX Runtime, loaded by path: from bytes a load stalls every other thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.signature import Signature, TensorSpec
from workbench.runtime.session import Session, open_session
from workbench.serving.engine import Engine, Tensors
from workbench.serving.errors import ModelError


class OnnxConfig(BaseConfig):
    """How ONNX Runtime runs a model."""

    threads: int = Field(1, ge=1, le=256, description="Threads inside one prediction")


class OnnxModel:
    """One session, opened just as the measurements of a study open theirs."""

    def __init__(self, session: Session) -> None:
        self._session: Session | None = session
        self.signature: Signature = session.signature
        self._is_open = any(_may_not_fit(spec) for spec in self.signature.inputs)

    def predict(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Returns the outputs by name.

        Raises:
            InputError: ONNX Runtime failed on the sizes or codes that were given.
            ModelError: It failed on numbers, of the sizes that it takes.
        """
        if self._session is None:
            raise ModelError("The model was unloaded.", hint="Send the request again.")
        try:
            values = self._session.run_named(inputs)
        except Exception as error:
            if self._is_open:
                raise _refusal(inputs, error) from error
            raise ModelError(
                f"The model failed on an input that fits its signature: {_first_line(error)}",
                hint="Try one sample alone; if it fails too, the model file is at fault.",
            ) from error
        return {name: np.asarray(value) for name, value in values.items()}

    def close(self) -> None:
        """Gives the session's memory back."""
        self._session = None


class OnnxEngine(Engine):
    """ONNX Runtime on the CPU."""

    summary = "ONNX files on ONNX Runtime"
    requires = ("onnxruntime",)
    Config = OnnxConfig
    suffixes = (".onnx",)

    def load(self, path: Path, config: BaseConfig) -> OnnxModel:
        """Loads the file; see `Engine.load`."""
        session = open_session(path, getattr(config, "threads", 1))
        for spec in (*session.signature.inputs, *session.signature.outputs):
            if not _is_servable(spec.dtype):
                raise UnsupportedError(
                    f"The tensor '{spec.name}' is a {spec.dtype}, which cannot be served.",
                    hint="Export the model with plain tensors (for scikit-learn: zipmap=False).",
                )
        return OnnxModel(session)


def _may_not_fit(spec: TensorSpec) -> bool:
    """Returns whether values of the right dtype and shape may yet be none that a model knows.

    Codes may be beyond its table, sizes below its kernel or beyond what it was trained for. A file
    does not say so; it has answered an example when it was loaded.
    """
    is_code = spec.dtype == "str" or np.dtype(spec.dtype).kind in "iu"
    return is_code or any(isinstance(dim, str) for dim in spec.shape[1:])


def _refusal(inputs: Tensors, error: Exception) -> InputError:
    got = ", ".join(f"{name} {value.dtype} {list(value.shape)}" for name, value in inputs.items())
    return InputError(
        f"The model does not take such sizes or codes: got {got}.",
        problems=[_first_line(error)],
        hint="Give codes that it knows, and sizes as those that it was trained on.",
    )


def _is_servable(dtype: str) -> bool:
    try:
        return np.dtype(dtype).kind in "fiubU"
    except TypeError:
        return False


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)


PLUGIN = OnnxEngine()
