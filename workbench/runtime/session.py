"""ONNX Runtime sessions: loaded by path, threads pinned, warmed. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core import optional
from workbench.core.batch import Batch, named
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.signature import Signature, TensorSpec

if TYPE_CHECKING:
    import onnxruntime

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    **{f"tensor(int{bits})": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"tensor(uint{bits})": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "tensor(bool)": "bool",
    "tensor(string)": "str",
}
_UNNAMED = "dim_{}"


class Session:
    """An ONNX file ready to run on the CPU.

    Args:
        path: The `.onnx` file.
        threads: Threads inside an operator; operators run one after another.
        profile_prefix: Where the operator profile is written; None for no profile.
    """

    def __init__(self, path: Path, *, threads: int = 1, profile_prefix: Path | None = None) -> None:
        self.path = path
        self.threads = threads
        self.ort = _open(path, threads, profile_prefix)
        self.signature = Signature(
            tuple(_spec(item) for item in self.ort.get_inputs()),
            tuple(_spec(item) for item in self.ort.get_outputs()),
        )
        self._inputs = [spec.name for spec in self.signature.inputs]
        self._outputs = [self.signature.outputs[0].name]

    def feeds(self, batch: Batch) -> dict[str, np.ndarray]:
        """Returns the tensors of `batch` by the names of the inputs.

        Raises:
            InputError: The model takes others.
        """
        return named(batch, self._inputs)

    def run(self, batch: Batch) -> np.ndarray:
        """Returns the first output for `batch` [N, …]: one tensor, or one for each input."""
        output: np.ndarray = self.ort.run(self._outputs, named(batch, self._inputs))[0]
        return output

    def run_named(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns every output by name for inputs by name."""
        names = [spec.name for spec in self.signature.outputs]
        return dict(zip(names, self.ort.run(names, dict(feeds)), strict=True))

    def predict(self, batches: Iterable[Batch]) -> np.ndarray:
        """Returns the first output for all `batches`, joined along dim 0."""
        return np.concatenate([self.run(batch) for batch in batches])

    def warm(self, batch: Batch, runs: int = 2) -> Session:
        """Runs `batch` a few times, so that the first counted run is like the others."""
        for _ in range(runs):
            self.run(batch)
        return self


def open_session(
    path: Path | str, threads: int = 1, *, profile_prefix: Path | None = None
) -> Session:
    """Returns a session for the ONNX file at `path`.

    Raises:
        InputError: There is no such file, or ONNX Runtime cannot load it.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no ONNX file at '{file}'.", hint="Give the path of a file.")
    if threads < 1:
        raise InputError(f"threads is {threads}; at least 1 would be right.")
    return Session(file, threads=threads, profile_prefix=profile_prefix)


def _open(path: Path, threads: int, profile_prefix: Path | None) -> onnxruntime.InferenceSession:
    ort = optional.require("onnxruntime", for_="running ONNX files")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnsupportedError(
            f"ONNX Runtime cannot load '{path.name}': {_first_line(error)}",
            hint="Is it a complete ONNX file, with operators that ONNX Runtime knows?",
            context={"path": str(path)},
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _spec(item: Any) -> TensorSpec:
    shape = tuple(
        dim if isinstance(dim, int | str) else _UNNAMED.format(index)
        for index, dim in enumerate(item.shape)
    )
    return TensorSpec(item.name, _DTYPES.get(item.type, item.type), shape)
