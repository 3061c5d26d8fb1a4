"""A module as an exporter wants it: tensors in order, a tuple of tensors out, every size free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core import optional
from workbench.core.batch import Batch, count, named, rows
from workbench.core.module_call import takes_any_number
from workbench.core.records import Description
from workbench.core.resizing import enlarged
from workbench.core.signature import TensorSpec, free_dimensions, free_sizes

if TYPE_CHECKING:
    from torch import nn

_FOR = "exporting a model to ONNX"
_ROWS = 2


@dataclass(frozen=True)
class Traceable:
    """What is given to `torch.onnx.export`.

    Attributes:
        module: Takes `args` in order.
        args: Tensors whose free sizes differ from each other, so that none is taken for another.
        dynamic_shapes: The free dimensions of each.
        prefix: What the names of the module's own state begin with.
    """

    module: nn.Module
    args: tuple[Any, ...]
    dynamic_shapes: Any
    prefix: str = ""

    def own(self, name: str) -> str:
        """Returns the name of a tensor of the state as the module itself has it."""
        return name.removeprefix(self.prefix)


def traceable(module: nn.Module, description: Description, samples: Batch) -> Traceable:
    """Returns `module` ready to be traced; one tensor in and one out are left as they are."""
    torch = optional.require("torch", for_=_FOR)
    signature = description.signature
    specs = signature.inputs
    names = [spec.name for spec in specs]
    tensors = named(_with_free_sizes(samples, specs), names)
    args = tuple(torch.from_numpy(np.ascontiguousarray(tensors[name])) for name in names)
    shapes = tuple(named_axes(spec) for spec in specs)
    is_single = len(specs) == len(signature.outputs) == 1 and not isinstance(samples, Mapping)
    if is_single and not takes_any_number(module):
        return Traceable(module, args, shapes)
    in_order = optional.require("workbench.exporting.in_order", for_=_FOR).InOrder
    own = in_order(module, names if isinstance(samples, Mapping) else None)
    return Traceable(own, args, (shapes,), own.prefix)


def named_axes(spec: TensorSpec) -> dict[int, str]:
    """Returns the symbolic dimensions of a tensor by axis, the batch among them."""
    return {axis: dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}


def _with_free_sizes(samples: Batch, specs: tuple[TensorSpec, ...]) -> Batch:
    few = rows(samples, np.arange(_ROWS) % count(samples))
    sizes = free_sizes(named(few, [spec.name for spec in specs]), specs)
    chosen: dict[str, int] = {}
    for dim in free_dimensions(specs):
        size = max(sizes[dim], _ROWS + 1)
        while size in chosen.values():
            size += 1
        chosen[dim] = size
    return enlarged(few, specs, chosen) if chosen else few
