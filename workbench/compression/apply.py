"""Applies a recipe: structure, then weights, then graph. The subject given is not changed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workbench.compression import batch_norm, correction
from workbench.compression.method import Edited, GraphMethod, Method, StructureMethod, WeightMethod
from workbench.compression.recent import Recent
from workbench.compression.recipe import EVERY_LAYER, Recipe, Step
from workbench.compression.subject import RECURRENT, Layer, Subject, find_layers, torch_weights
from workbench.compression.tools import Tools
from workbench.core import optional
from workbench.core.batch import Batch, count
from workbench.core.errors import UnsupportedError
from workbench.exporting import export_samples
from workbench.exporting.graph import initializers, load_graph, with_initializers
from workbench.exporting.parity import check_parity
from workbench.exporting.state import predictor
from workbench.runtime.session import open_session

Restructure = Callable[[Subject, Step, tuple[Layer, ...]], Subject]

_OUT_LAST = frozenset({"MatMul"})
_PARITY_SAMPLES = 32
_FLOAT = 1  # onnx.TensorProto.FLOAT


@dataclass(frozen=True)
class Group:
    """Layers that get the same steps."""

    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]


def groups_of(recipe: Recipe, subject: Subject) -> tuple[Group, ...]:
    """Returns which layers get which steps; "*" stands for all layers not named.

    Raises:
        InputError: The recipe names unknown layers.
    """
    if not recipe.layers:
        return (Group(subject.layers, recipe.steps),)
    named = [name for name in recipe.layers if name != EVERY_LAYER]
    chosen = dict(zip(named, subject.select(named), strict=True))
    by_steps: dict[tuple[Step, ...], list[Layer]] = {}
    for name, layer in chosen.items():
        by_steps.setdefault(recipe.layers[name], []).append(layer)
    treated = {layer.name for layer in chosen.values()}
    rest = [layer for layer in subject.layers if layer.name not in treated]
    if rest and EVERY_LAYER in recipe.layers:
        by_steps.setdefault(recipe.layers[EVERY_LAYER], []).extend(rest)
    return tuple(Group(tuple(layers), steps) for steps, layers in by_steps.items())


def check_support(recipe: Recipe, subject: Subject, *, is_restructured: bool = False) -> None:
    """Checks the recipe against this model.

    Args:
        recipe: What to do.
        subject: The model.
        is_restructured: Whether its structural steps are done already.

    Raises:
        UnsupportedError: With every method's reason.
    """
    problems = [
        f"{step.method}: {reason}"
        for step in recipe.all_steps()
        if not (is_restructured and step.plugin.stage == "structure")
        and (reason := _other_numbers(subject) or step.plugin.supports(subject, step.config))
    ]
    problems += _clashes(recipe)
    if problems:
        raise UnsupportedError(
            f"The recipe '{recipe}' cannot work on this model.",
            problems=problems,
            context={"recipe": str(recipe)},
        )


def _other_numbers(subject: Subject) -> str:
    """Returns why methods cannot work on weights that are not float32; empty if they are."""
    names = {layer.initializer for layer in subject.layers}
    kinds = {i.data_type for i in subject.graph.graph.initializer if i.name in names}
    if kinds <= {_FLOAT}:
        return ""
    helper = optional.require("onnx.helper", for_="compressing an ONNX file")
    found = ", ".join(sorted(str(helper.tensor_dtype_to_np_dtype(kind)) for kind in kinds))
    return f"the weights are {found}; float32 is what methods work on"


def apply(
    recipe: Recipe,
    subject: Subject,
    tools: Tools,
    restructure: Restructure,
    recent: Recent[Subject],
) -> Subject:
    """Returns the subject after `recipe`.

    Args:
        recipe: What to do.
        subject: The model.
        tools: Data, calibration, CPU.
        restructure: Applies one structural step and exports its result (remembered by the study).
        recent: Subjects after their weights changed; shared by recipes that differ later.
    """
    for step, names in _structure_work(groups_of(recipe, subject)).items():
        present = [la for la in subject.layers if la.name in names or not recipe.layers]
        subject = restructure(subject, step, tuple(present))
    check_support(recipe, subject, is_restructured=True)
    groups = groups_of(recipe, subject)
    key = subject.structure + "".join(map(str, _weight_work(groups)))
    start = subject
    changed = recent.get(key, lambda: _change_weights(groups, start, tools))
    return change_graph_of(groups, changed, tools)


def _structure_work(groups: Iterable[Group]) -> dict[Step, list[str]]:
    """Returns the layers of each structural step: layers that share one change together."""
    work: dict[Step, list[str]] = {}
    for group in groups:
        for step in _of(group.steps, StructureMethod):
            work.setdefault(step, []).extend(layer.name for layer in group.layers)
    return work


def _weight_work(groups: Iterable[Group]) -> list[tuple[list[str], list[str]]]:
    """Returns what is done to which weights, in words that are the same for the same work."""
    work = [(g.layers, _of(g.steps, WeightMethod)) for g in groups]
    return [([la.name for la in layers], list(map(str, s))) for layers, s in work if s]


def _clashes(recipe: Recipe) -> list[str]:
    graph_steps = [step for step in recipe.all_steps() if step.plugin.stage == "graph"]
    problems = []
    for index, step in enumerate(graph_steps):
        for other in graph_steps[:index]:
            if other.method == step.method and not _is_local(step):
                problems.append(
                    f"'{other}' and '{step}' in one file: the options of {step.method} must be "
                    "the same for all layers that have it"
                )
            elif step.plugin.produces == other.plugin.produces == "int8":
                problems.append(
                    f"'{other}' and '{step}' in one file: both write steps between float and int8 "
                    "around the same tensors; take one of them for all layers"
                )
    return problems


def _change_weights(groups: Iterable[Group], subject: Subject, tools: Tools) -> Subject:
    changed: dict[str, np.ndarray] = {}
    notes: list[str] = []
    for group in groups:
        weights = {layer.name: layer_weight(subject, layer) for layer in group.layers}
        steps = _of(group.steps, WeightMethod)
        for step in steps:
            tools.context.check()
            plugin: WeightMethod = step.plugin  # type: ignore[assignment]
            notes += plugin.notes(weights, step.config)
            weights.update(plugin.change_weights(weights, step.config))
        if steps:
            changed.update(weights)
    if not changed:
        return subject
    subject = subject.with_notes(*notes)
    if not subject.has_module:
        return _patched_file(subject, changed, tools)
    return _patched_module(subject, changed, tools)


def _patched_module(subject: Subject, changed: Mapping[str, np.ndarray], tools: Tools) -> Subject:
    state = dict(subject.state)
    for layer in subject.layers:
        if layer.name in changed:
            state[layer.parameter] = np.asarray(changed[layer.name], state[layer.parameter].dtype)
    if batch_norm.has_batch_norm(subject.module):
        inputs = tools.train_inputs(batch_norm.SAMPLES)
        state = batch_norm.reestimated(subject.module, state, inputs)
        subject = subject.with_notes(f"BatchNorm re-estimated on {count(inputs)} training samples")
    samples = tools.train_inputs(_PARITY_SAMPLES)
    if not subject.fold_map.is_proven:
        return _exported_anew(subject, state, samples)
    graph = with_initializers(subject.graph, subject.fold_map.compute(state))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patched.onnx"
        path.write_bytes(graph.SerializeToString())
        parity = check_parity(
            predictor(subject.module, state),
            open_session(path).run,
            samples,
            batch_sizes=(1, 16),
            what="The patched ONNX file",
        )
    return replace(subject, graph=graph, state=state, parity=parity.max_error)


def _exported_anew(subject: Subject, state: Mapping[str, np.ndarray], samples: Batch) -> Subject:
    module = batch_norm.with_state(subject.module, state)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_samples(module, subject.description, samples, Path(folder))
        graph = load_graph(exported.path)
    return replace(
        subject,
        graph=graph,
        origin=subject.origin,
        layers=find_layers(graph, torch_weights(module), exported.fold_map),
        load=lambda: module,
        state=state,
        fold_map=exported.fold_map,
        parity=exported.parity.max_error,
    ).with_notes(*exported.notes)


def _patched_file(subject: Subject, changed: Mapping[str, np.ndarray], tools: Tools) -> Subject:
    values, before = {}, initializers(subject.graph)
    for layer in subject.layers:
        if layer.name in changed:
            value = changed[layer.name]
            turned = value.T if is_out_last(subject, layer) else value
            values[layer.initializer] = np.ascontiguousarray(turned).reshape(
                before[layer.initializer].shape
            )
    graph = with_initializers(subject.graph, values)
    layers = tuple(layer for layer in subject.layers if layer.name in changed)
    if not correction.correctable(layers):
        return replace(subject, graph=graph)
    inputs = tools.train_inputs(correction.SAMPLES)
    graph = correction.corrected(subject.graph, graph, layers, inputs, tools.context)
    return replace(subject, graph=graph).with_notes(
        f"outputs of changed layers corrected on {count(inputs)} training samples"
    )


def change_graph_of(groups: Iterable[Group], subject: Subject, tools: Tools) -> Subject:
    """Returns the subject after the graph steps of `groups`."""
    chosen: dict[Step, list[str]] = {}
    for group in groups:
        for step in _of(group.steps, GraphMethod):
            chosen.setdefault(step, []).extend(layer.name for layer in group.layers)
    parts: dict[str, tuple[Layer, ...]] = {layer.name: (layer,) for layer in subject.layers}
    for step in sorted(chosen, key=_turn):
        tools.context.check()
        layers = tuple(part for name in chosen[step] for part in parts[name])
        plugin: GraphMethod = step.plugin  # type: ignore[assignment]
        result = plugin.change_graph(subject, layers, step.config, tools)
        edited = result if isinstance(result, Edited) else Edited(result)
        parts = {name: _replaced(part, edited.parts) for name, part in parts.items()}
        subject = _edited(subject, edited)
        subject = replace(subject, format=plugin.produces or subject.format)
    return subject


def _turn(step: Step) -> tuple[bool, bool]:
    """Returns when a graph step's turn is: weights stay float, then layer by layer, then all."""
    return (step.plugin.produces is not None, not _is_local(step))


def _is_local(step: Step) -> bool:
    return isinstance(step.plugin, GraphMethod) and step.plugin.is_local


def _replaced(layers: Iterable[Layer], parts: Mapping[str, tuple[Layer, ...]]) -> tuple[Layer, ...]:
    return tuple(part for layer in layers for part in parts.get(layer.name, (layer,)))


def _edited(subject: Subject, edited: Edited) -> Subject:
    """Returns the subject with its new graph; new tensors need calibration of their own."""
    subject = replace(subject, graph=edited.graph).with_notes(*edited.notes)
    if not edited.parts:
        return subject
    layers = _replaced(subject.layers, edited.parts)
    return replace(subject, origin=edited.graph, structure=subject.identity, layers=layers)


def layer_weight(subject: Subject, layer: Layer) -> np.ndarray:
    """Returns the weight of a layer as methods see it: output channels first."""
    if layer.parameter:
        return np.array(subject.state[layer.parameter])
    value = initializers(subject.graph)[layer.initializer]
    if layer.op_type in RECURRENT:  # [directions, gates · units, inputs]
        return value.reshape(-1, value.shape[-1])
    return np.ascontiguousarray(value.T) if is_out_last(subject, layer) else value


def is_out_last(subject: Subject, layer: Layer) -> bool:
    """Returns whether the file keeps this layer's output channels on the last axis."""
    if layer.op_type == "Gemm":
        node = next(node for node in subject.graph.graph.node if node.name == layer.node)
        return not any(item.name == "transB" and item.i for item in node.attribute)
    return layer.op_type in _OUT_LAST


def _of(steps: Iterable[Step], kind: type[Method]) -> list[Step]:
    return [step for step in steps if isinstance(step.plugin, kind)]
