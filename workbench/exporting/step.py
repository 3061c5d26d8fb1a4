"""The export step: write, check parity, prove the fold map."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.core.records import Description
from workbench.exporting.exporters import EXPORTERS
from workbench.exporting.fold_map import FoldMap, find_rules
from workbench.exporting.graph import (
    initializers,
    load_graph,
    save_graph,
    structure_digest,
    with_initializers,
)
from workbench.exporting.parity import Parity, ParityError, check_parity
from workbench.exporting.state import batch_norms_of, evaluating, perturbed, predictor, state_of
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    from torch import nn

    from workbench.exporting.exporter import Written

_SAMPLES = 42
_PROOF_SEEDS = (0, 1)
_PROOF_TOLERANCE = 1e-3


class _Split(Protocol):
    def __len__(self) -> int: ...
    def batch(self, indices: Any) -> tuple[np.ndarray, np.ndarray]: ...


class _Data(Protocol):
    @property
    def val(self) -> _Split: ...


@dataclass(frozen=True)
class Exported:
    """A file and what was proven of it.

    Attributes:
        path: The file.
        exporter: What wrote it: "dynamo" or "torchscript".
        parity: How far it is from the module.
        fold_map: How its initializers come from the torch state.
        structure: Digest of its nodes and shapes, the same for every patched variant.
        notes: What the user should know.
    """

    path: Path
    exporter: str
    parity: Parity
    fold_map: FoldMap
    structure: str
    notes: tuple[str, ...] = ()


def export(
    module: nn.Module,
    description: Description,
    dataset: _Data,
    directory: Path,
    *,
    exporter: str = "onnx",
    name: str = "model",
) -> Exported:
    """Exports `module` to `directory`, checked on samples of the validation split.

    Raises:
        ExportError: It cannot be exported; the message names the line of the module's code.
        ParityError: The file answers differently.
    """
    count = min(_SAMPLES, len(dataset.val))
    samples, _ = dataset.val.batch(np.arange(count))
    return export_samples(module, description, samples, directory, exporter=exporter, name=name)


def export_samples(
    module: nn.Module,
    description: Description,
    samples: np.ndarray,
    directory: Path,
    *,
    exporter: str = "onnx",
    name: str = "model",
) -> Exported:
    """Does what `export` does, checked on `samples`, float32 [N, …]."""
    plugin = EXPORTERS.get(exporter)
    directory.mkdir(parents=True, exist_ok=True)
    samples = _at_least_two(np.ascontiguousarray(samples, dtype=np.float32))
    with evaluating(module):
        written = plugin.write(module, description, samples, directory / f"{name}{plugin.suffix}")
    parity = _check_written(module, written, samples)
    fold_map = prove_fold_map(module, written, samples)
    structure = structure_digest(load_graph(written.path))
    notes = written.notes
    if not fold_map.is_proven:
        notes = (*notes, f"each variant is exported anew, which is slower: {fold_map.reason}")
    return Exported(written.path, written.exporter, parity, fold_map, structure, notes)


def prove_fold_map(module: nn.Module, written: Written, samples: np.ndarray) -> FoldMap:
    """Finds the rules, then proves them together on other weights.

    Bits on the baseline prove each rule; that no initializer was missed, and that no two tensors
    with equal bits were taken for each other, is proven with the whole state perturbed: the
    patched file must answer as the torch module does with the same perturbed state.
    """
    graph, state = load_graph(written.path), state_of(module)
    found = find_rules(
        initializers(graph), state, batch_norms_of(module), dict(written.batch_norms)
    )
    for seed in _PROOF_SEEDS:
        other = perturbed(state, seed)
        try:
            _check_patched(module, graph, found, other, samples)
        except ParityError as error:
            return FoldMap(found.rules, found.constants, _unproven(found, error))
    return FoldMap(found.rules, found.constants, "")


def _check_written(module: nn.Module, written: Written, samples: np.ndarray) -> Parity:
    try:
        return check_parity(predictor(module), open_session(written.path).run, samples)
    except ParityError as error:
        problems = (*error.problems, *written.notes)
        raise ParityError(
            error.message, problems=problems, hint=error.hint, context=error.context
        ) from error


def _check_patched(
    module: nn.Module, graph: Any, found: FoldMap, state: dict[str, np.ndarray], samples: np.ndarray
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patched.onnx"
        save_graph(with_initializers(graph, found.compute_unproven(state)), path)
        session = open_session(path)
        check_parity(
            predictor(module, state),
            session.run,
            samples,
            tolerance=_PROOF_TOLERANCE,
            batch_sizes=(1, 8),
            what="The patched file",
        )


def _unproven(found: FoldMap, error: ParityError) -> str:
    unknown = ", ".join(found.constants[:5])
    if unknown:
        return f"no rule gives the bits of {unknown} (patched file off by {_size(error)})"
    return f"patched files answer differently (off by {_size(error)})"


def _size(error: ParityError) -> str:
    value = error.context.get("max_error")
    return "more than any number" if value is None else f"{value:.2g}"


def _at_least_two(samples: np.ndarray) -> np.ndarray:
    return samples if len(samples) > 1 else np.concatenate([samples, samples])
