"""The export step: write, check parity, prove the fold map."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.core.batch import Batch, count, joined, named
from workbench.core.records import Description
from workbench.core.signature import free_dimensions
from workbench.exporting.exporters import EXPORTERS
from workbench.exporting.fold_map import FoldMap, find_rules
from workbench.exporting.graph import (
    initializers,
    load_graph,
    save_graph,
    structure_digest,
    with_initializers,
)
from workbench.exporting.padding import Rows, padding_notes
from workbench.exporting.parity import Parity, ParityError, Predict, check_parity
from workbench.exporting.sizes import check_sizes
from workbench.exporting.state import answerer, batch_norms_of, evaluating, perturbed, state_of
from workbench.runtime.session import Session, open_session

if TYPE_CHECKING:
    from torch import nn

    from workbench.exporting.exporter import Written

_SAMPLES = 42
_PROOF_SEEDS = (0, 1)
_PROOF_TOLERANCE = 1e-3


class _Data(Protocol):
    @property
    def val(self) -> Rows: ...


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
    samples, _ = next(dataset.val.batches(_SAMPLES))
    done = export_samples(module, description, samples, directory, exporter=exporter, name=name)
    if not free_dimensions(description.signature.inputs):
        return done
    return replace(done, notes=(*done.notes, *padding_notes(answerer(module), dataset.val)))


def export_samples(
    module: nn.Module,
    description: Description,
    samples: Batch,
    directory: Path,
    *,
    exporter: str = "onnx",
    name: str = "model",
) -> Exported:
    """Does what `export` does, checked on `samples`, N rows of what the module takes."""
    plugin = EXPORTERS.get(exporter)
    directory.mkdir(parents=True, exist_ok=True)
    samples = _at_least_two(_taken(samples, description))
    with evaluating(module):
        written = plugin.write(module, description, samples, directory / f"{name}{plugin.suffix}")
    parity, unproven = _check_written(module, written, samples, description)
    fold_map = prove_fold_map(module, written, samples)
    structure = structure_digest(load_graph(written.path))
    notes = (*written.notes, *unproven)
    if not fold_map.is_proven:
        notes = (*notes, f"each variant is exported anew, which is slower: {fold_map.reason}")
    return Exported(written.path, written.exporter, parity, fold_map, structure, notes)


def prove_fold_map(module: nn.Module, written: Written, samples: Batch) -> FoldMap:
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


def _check_written(
    module: nn.Module, written: Written, samples: Batch, description: Description
) -> tuple[Parity, tuple[str, ...]]:
    """Returns how far the file is from the module, and what could not be proven."""
    answers = answerer(module), _answers(open_session(written.path))
    try:
        parity = check_parity(*answers, samples)
        return parity, check_sizes(*answers, samples, description.signature.inputs)
    except ParityError as error:
        problems = (*error.problems, *written.notes)
        raise ParityError(
            error.message, problems=problems, hint=error.hint, context=error.context
        ) from error


def _answers(session: Session) -> Predict:
    """Returns a session as a function of batches to all its outputs."""
    names = [spec.name for spec in session.signature.inputs]
    return lambda batch: session.run_named(named(batch, names))


def _check_patched(
    module: nn.Module, graph: Any, found: FoldMap, state: dict[str, np.ndarray], samples: Batch
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patched.onnx"
        save_graph(with_initializers(graph, found.compute_unproven(state)), path)
        check_parity(
            answerer(module, state),
            _answers(open_session(path)),
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


def _taken(samples: Batch, description: Description) -> Batch:
    """Returns those tensors that the model takes, each of its own type."""
    specs = description.signature.inputs
    found = {
        name: np.ascontiguousarray(tensor, spec.dtype)
        for spec, (name, tensor) in zip(
            specs, named(samples, [spec.name for spec in specs]).items(), strict=True
        )
    }
    return found if isinstance(samples, Mapping) else next(iter(found.values()))


def _at_least_two(samples: Batch) -> Batch:
    return samples if count(samples) > 1 else joined([samples, samples])
