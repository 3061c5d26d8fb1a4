"""What a module of the user's own takes and gives, found by running it on two sizes of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from workbench.core.batch import Batch, count, named
from workbench.core.errors import InputError
from workbench.core.module_call import OUTPUT, call, named_outputs, taken
from workbench.core.resizing import enlarged
from workbench.core.signature import Signature, TensorSpec, free_sizes
from workbench.engine.tensors import device_of, input_tensors
from workbench.training.module_check import place_of

if TYPE_CHECKING:
    from workbench.data import Split

_ROWS = (3, 2)


def signature_of(module: nn.Module, split: Split, answer: tuple[int, ...]) -> Signature:
    """Returns the tensors that `module` takes and gives, each free dimension by its name.

    A size of an output that changes as that of an input does is that dimension; one that changes
    otherwise gets a name of its own.

    Args:
        module: Takes some or all of the tensors of the data.
        split: Real samples to try it on, which also give lazy layers their sizes.
        answer: What the task needs of one sample.

    Raises:
        InputError: It fails, with the line, or gives another shape.
    """
    few, more = _batches(split)
    specs = split.signature
    names = taken(module, [spec.name for spec in specs]).names
    inputs = tuple(spec for spec in specs if spec.name in names)
    _refuse_texts(inputs)
    sizes = [free_sizes(named(batch, list(names)), inputs) for batch in (few, more)]
    outputs = _outputs(module, few, inputs), _outputs(module, more, inputs)
    _check(outputs[0], (count(few), *answer))
    return Signature(inputs, _specs(outputs, sizes, set(names)))


def _refuse_texts(inputs: Sequence[TensorSpec]) -> None:
    texts = [spec.name for spec in inputs if spec.dtype == "str"]
    if texts:
        raise InputError(
            f"The module would get {', '.join(map(repr, texts))}: texts, of which torch has none.",
            hint="Name only the other tensors in forward, or load the texts as int64 codes.",
        )


def _batches(split: Split) -> tuple[Batch, Batch]:
    """Returns two batches whose numbers of samples and free dimensions differ, each by itself."""
    step = 1 if split.is_padded else 0
    few = [split.inputs[step * i % len(split)] for i in range(_ROWS[0])]
    specs = split.decoded
    names = [spec.name for spec in specs]
    found: dict[str, int] = {}
    for sample in few:
        rows = {name: tensor[None] for name, tensor in named(sample, names).items()}
        for dim, size in free_sizes(rows, specs).items():
            found[dim] = max(size, found.get(dim, 1))
    sizes = {dim: size + 1 + i for i, (dim, size) in enumerate(found.items())}
    more = [_enlarged(sample, specs, sizes) for sample in few[: _ROWS[1]]]
    return split.collated(few), split.collated(more)


def _enlarged(sample: Batch, specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> Batch:
    rows = {name: tensor[None] for name, tensor in named(sample, [s.name for s in specs]).items()}
    longer = enlarged(rows, specs, sizes)
    found = {name: tensor[0] for name, tensor in named(longer, list(rows)).items()}
    return found if isinstance(sample, Mapping) else next(iter(found.values()))


def _outputs(
    module: nn.Module, batch: Batch, inputs: Sequence[TensorSpec]
) -> dict[str, torch.Tensor]:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            found = named_outputs(call(module, input_tensors(batch, device_of(module))))
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        sizes = free_sizes(named(batch, [spec.name for spec in inputs]), inputs)
        where = ", ".join(f"{dim} = {size}" for dim, size in sizes.items())
        takes = ", ".join(f"{spec.name} {spec.words}" for spec in inputs)
        raise InputError(
            f"The module failed on {where}{place_of(error)}: {error}",
            hint=f"It gets {takes}; name them as parameters of forward, or take all in this order.",
        ) from error
    finally:
        module.train(was_training)
    return {name: _checked(name, value) for name, value in found.items()}


def _checked(name: str, value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    raise InputError(
        f"The module's forward gave a {type(value).__name__} as '{name}', not a tensor.",
        hint="Return tensors only, each with a row for each sample.",
    )


def _check(outputs: Mapping[str, torch.Tensor], wanted: tuple[int, ...]) -> None:
    got = tuple(outputs[OUTPUT].shape)
    if got == wanted or (wanted[1:] == (1,) and got == wanted[:1]):
        return
    others = f"; it also gave {', '.join(list(outputs)[1:])}" if len(outputs) > 1 else ""
    raise InputError(
        f"For {wanted[0]} samples the module gave an output of shape {got}; {wanted} is "
        f"needed{others}.",
        hint="What is scored is the output named 'output' or 'logits', else the first.",
    )


def _specs(
    outputs: tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor]],
    sizes: Sequence[Mapping[str, int]],
    taken_names: set[str],
) -> tuple[TensorSpec, ...]:
    pairs = {(sizes[0][dim], sizes[1][dim]): dim for dim in sizes[0]}
    first, second = outputs
    found = []
    for name, tensor in first.items():
        unique = f"output_{name}" if name in taken_names else name
        changes = enumerate(zip(tensor.shape, second[name].shape, strict=True))
        shape = tuple(
            a if a == b else pairs.get((a, b), f"{unique}_{axis}") for axis, (a, b) in changes
        )
        found.append(TensorSpec(unique, str(tensor.dtype).removeprefix("torch."), shape))
    return tuple(found)
