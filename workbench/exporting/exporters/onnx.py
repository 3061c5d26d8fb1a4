"""ONNX by PyTorch's dynamo exporter; the older TorchScript one when that fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core import optional
from workbench.core.records import Description
from workbench.exporting.blame import ExportError, first_line, line_of_user
from workbench.exporting.exporter import Exporter, Written
from workbench.exporting.graph import load_graph, save_graph, without_prefix
from workbench.exporting.quiet import quiet
from workbench.exporting.traceable import Traceable, named_axes, traceable

if TYPE_CHECKING:
    from torch import nn

    from workbench.core.batch import Batch

_FOR = "exporting a model to ONNX"
_OPSET = 20


class Onnx(Exporter):
    """See the module's docstring."""

    summary = "ONNX, opset 20, any batch size; for ONNX Runtime and most other engines"
    requires = ("torch", "onnx", "onnxscript")
    suffix = ".onnx"

    def write(
        self, module: nn.Module, description: Description, samples: Batch, path: Path
    ) -> Written:
        """Writes `module`, with nothing in the file but the graph and its weights."""
        traced = traceable(module, description, samples)
        try:
            written = _by_dynamo(traced, description, path)
        except Exception as error:  # noqa: BLE001 - torch.export raises whatever the module's code raises
            written = _by_torchscript(traced, description, path, error)
        graph = load_graph(path)
        save_graph(without_prefix(graph, traced.prefix) if traced.prefix else graph, path)
        return written


def _by_dynamo(traced: Traceable, description: Description, path: Path) -> Written:
    torch = optional.require("torch", for_=_FOR)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            traced.module,
            traced.args,
            dynamo=True,
            dynamic_shapes=traced.dynamic_shapes,
            verbose=False,
            **_names(description),
        )
        program.save(str(path), external_data=False)
    folded = folded_batch_norms(program.exported_program)
    return Written(path, "dynamo", {traced.own(a): traced.own(b) for a, b in folded.items()})


def _by_torchscript(
    traced: Traceable, description: Description, path: Path, cause: Exception
) -> Written:
    torch = optional.require("torch", for_=_FOR)
    signature = description.signature
    dynamic = {s.name: named_axes(s) for s in (*signature.inputs, *signature.outputs)}
    where = line_of_user(cause, traced.module)
    try:
        with quiet(), torch.no_grad():
            torch.onnx.export(
                traced.module,
                traced.args,
                str(path),
                dynamo=False,
                dynamic_axes=dynamic,
                opset_version=_OPSET,
                **_names(description),
            )
    except Exception as error:  # noqa: BLE001 - likewise
        where = where or line_of_user(error, traced.module)
        raise ExportError(
            f"The model cannot be exported to ONNX{_at(where)}: {first_line(cause)}",
            problems=[
                f"exporter 'dynamo': {type(cause).__name__}: {first_line(cause)}",
                f"exporter 'torchscript': {type(error).__name__}: {first_line(error)}",
            ],
            hint="Rewrite that line with tensor operations only: no branch on a tensor's value, "
            "no NumPy, no Python number taken from a tensor.",
            context={"where": where},
        ) from cause
    note = (
        f"the newer exporter failed{_at(where)} ({first_line(cause)}), so the older one was used; "
        "branches that depend on data are frozen as they went for the sample"
    )
    return Written(path, "torchscript", notes=(note,))


def folded_batch_norms(program: Any) -> dict[str, str]:
    """Returns weight name → BatchNorm name for each BatchNorm right after a weighted operator.

    Args:
        program: A `torch.export.ExportedProgram`.
    """
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    found: dict[str, str] = {}
    for node in program.graph.nodes:
        if node.op != "call_function" or "batch_norm" not in str(node.target):
            continue
        stem = _state_name(node.args, names, ".running_mean")
        weight = _state_name(getattr(node.args[0], "args", ()), names, "weight")
        if stem and weight:
            found[weight] = stem.removesuffix(".running_mean")
    return found


def _state_name(args: Any, names: Mapping[str, str], ending: str) -> str | None:
    for arg in args:
        name = names.get(getattr(arg, "name", ""), "")
        if name.endswith(ending):
            return name
    return None


def _names(description: Description) -> dict[str, list[str]]:
    signature = description.signature
    return {
        "input_names": [spec.name for spec in signature.inputs],
        "output_names": [spec.name for spec in signature.outputs],
    }


def _at(where: str) -> str:
    return f" at {where}" if where else ""


PLUGIN = Onnx()
