"""How a module of anyone's is called: which tensors it takes, and what it gave, by name.

It reads signatures and structures only, so it needs no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from workbench.core.errors import InputError

OUTPUT = "output"
_SCORED = (OUTPUT, "logits")


@dataclass(frozen=True)
class Taken:
    """Which tensors a module takes.

    Attributes:
        names: In the order of its data's signature.
        by_name: Whether they are given by name, or in order.
    """

    names: tuple[str, ...]
    by_name: bool


def taken(module: Any, names: Sequence[str]) -> Taken:
    """Returns which of the tensors `names` a module takes.

    By name, if every parameter of its `forward` without a default is one of `names`: then only
    those that `forward` names. Else all of them, in order.
    """
    known = getattr(module, "takes", None)
    if isinstance(known, Taken):
        return known
    parameters = _parameters(module)
    needed = {p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC}
    chosen = tuple(name for name in names if name in {p.name for p in parameters})
    is_open = any(p.kind in _VARIADIC for p in parameters)
    if len(names) == 1 or is_open or not chosen or not needed <= set(names):
        return Taken(tuple(names), by_name=False)
    return Taken(chosen, by_name=True)


def takes_any_number(module: Any) -> bool:
    """Returns whether a module's `forward` is `forward(*tensors)`."""
    return any(p.kind is p.VAR_POSITIONAL for p in _parameters(module))


def call(module: Callable[..., Any], inputs: Any) -> Any:
    """Returns what a module gives for one tensor, or for those it takes of tensors by name."""
    args, kwargs = arguments(module, inputs)
    return module(*args, **kwargs)


def arguments(module: Any, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments by which a module is called, in order and by name.

    Raises:
        InputError: The inputs lack one that it takes.
    """
    if not isinstance(inputs, Mapping):
        return (inputs,), {}
    takes = taken(module, list(inputs))
    missing = [name for name in takes.names if name not in inputs]
    if missing:
        raise InputError(
            f"Got {', '.join(map(repr, inputs))}; the module takes {', '.join(takes.names)}, too."
        )
    chosen = {name: inputs[name] for name in takes.names}
    return ((), chosen) if takes.by_name else (tuple(chosen.values()), {})


def named_outputs(output: Any) -> dict[str, Any]:
    """Returns what a module gave, by name, the one that its task scores first, as "output".

    That is the one named "output" or "logits", else the first. Others keep their names, or become
    "output_1", "output_2", … in order; what is None is left out.

    Raises:
        InputError: It gave nothing.
    """
    found = dict(_leaves(output, ""))
    if not found:
        raise InputError(
            f"The model's forward gave {_words(output)}, which holds no tensor.",
            hint="Return a tensor, or several as a tuple, a dict or a dataclass.",
        )
    scored = next((name for name in _SCORED if name in found), next(iter(found)))
    rest = {name: value for name, value in found.items() if name != scored}
    return {OUTPUT: found[scored], **{_numbered(name): value for name, value in rest.items()}}


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameters(module: Any) -> list[inspect.Parameter]:
    forward = getattr(module, "forward", module)
    try:
        return list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):  # what is written in C says nothing of its parameters
        return []


def _leaves(output: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(output, Mapping):
        parts = list(output.items())
    elif is_dataclass(output) and not isinstance(output, type):
        parts = [(field.name, getattr(output, field.name)) for field in fields(output)]
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        parts = list(zip(output._fields, output, strict=True))
    elif isinstance(output, (tuple, list)):
        parts = list(enumerate(output))
    elif hasattr(output, _SCORED[1]):
        parts = [(_SCORED[1], output.logits)]
    else:
        if output is not None:
            yield name, output
        return
    for key, value in parts:
        yield from _leaves(value, f"{name}_{key}" if name else str(key))


def _numbered(name: str) -> str:
    """Returns a name for an output that has only a place: "1" becomes "output_1"."""
    return f"{OUTPUT}_{name}" if name[:1].isdigit() else name


def _words(output: Any) -> str:
    return "None" if output is None else f"an empty {type(output).__name__}"
