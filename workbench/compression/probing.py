"""Measures cells of the sensitivity table on a model; the table itself knows no model."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.compression import batch_norm
from workbench.compression.effects import (
    BATCH_NORM_GAIN,
    CORRECTION_GAIN,
    Effect,
    Effects,
    group_key,
    shared_key,
)
from workbench.compression.feeding import feeds_of
from workbench.compression.gauss_newton import Projections
from workbench.compression.look_repair import Repair
from workbench.compression.look_runner import LookRunner
from workbench.compression.macs import count_macs, free_sizes, tensor_shapes
from workbench.compression.moments import Moments, moments_of
from workbench.compression.sensitivity import (
    COMMON,
    Cell,
    Fact,
    SensitivityTable,
    change_vector,
)
from workbench.compression.subject import Layer, Subject
from workbench.compression.suffix import Probes, run_graph
from workbench.compression.tools import Tools, spread
from workbench.compression.treatments import Treatment, changes_weights, key_of
from workbench.core.batch import count, rows
from workbench.exporting.graph import with_initializers

if TYPE_CHECKING:
    import onnx

_SAMPLES, _QUICK_MACS = (12, 32), 400_000_000
_MOMENT_SAMPLES, _FEWEST = 64, 8
_MOST_BYTES = 400_000_000
_MOST_GRADIENTS = 64_000_000
_PROJECTED, _PROJECTED_MACS, _FIRST_SAMPLES = (8, 20), 250_000_000, 4
_REPAIR_SAMPLES, _REPAIR_MACS = (16, 64), 250_000_000
_MOST_EFFECTS = 256_000_000
_CORRECTED = frozenset({"Conv", "Gemm"})


class Prober:
    """Runs changed layers on held-out samples.

    Weight methods end in a re-estimated BatchNorm, which moves the answers even where no weight
    changed. So there are two starting points, and the step between them is a cell of its own.

    Args:
        subject: The model.
        tools: Its data.
        samples: Held-out samples to use; by default what is quick for this model.
    """

    def __init__(self, subject: Subject, tools: Tools, samples: int | None = None) -> None:
        self.subject = subject
        self._tools = tools
        self._folder = Path(tempfile.mkdtemp(prefix="workbench-probe-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.layers = [layer for layer in subject.layers if layer.node and layer.initializer]
        self._free = free_sizes(subject.graph, spread(tools.data.val, 1))
        macs = count_macs(subject.graph, self._free)
        few = int(np.clip(_QUICK_MACS // max(macs, 1), *_SAMPLES))
        self._inputs = spread(tools.data.val, self.fitting(samples or few, _MOST_BYTES))
        self._plain = self._world("plain", subject, {})
        self._changed: tuple[Probes, Effects] | None = None
        self._first: tuple[Probes, Effects] | None = None
        self._projections: Projections | None = None
        self._recent: dict[Cell, Effect] = {}
        self._recent_bytes = 0
        self._all_moments: dict[str, Moments] | None = None

    @property
    def plain(self) -> Effects:
        """Effects on the model as it is."""
        return self._plain[1]

    @property
    def samples(self) -> int:
        """How many held-out samples are used."""
        return count(self._inputs)

    def effects(self, chosen: Mapping[str, Treatment]) -> dict[str, Effect]:
        """Returns the effect on each layer of its treatment, remembered where it was probed.

        Where the operator is another, weights that come close stand in for it.
        """
        groups: dict[tuple[bool, str], dict[str, Treatment]] = {}
        found: dict[str, Effect] = {}
        for name, treatment in chosen.items():
            known = self._recent.get((name, key_of(treatment)))
            if known is None:
                group = (changes_weights(treatment), group_key(treatment))
                groups.setdefault(group, {})[name] = treatment
            else:
                found[name] = known
        for (is_changing, _), group_of in groups.items():
            source = (self._world_of_weights() if is_changing else self._plain)[1]
            effects = source.of(group_of)
            self._remember(group_of, effects)
            found.update({name: _standing_in(effect) for name, effect in effects.items()})
        return found

    def forget(self) -> None:
        """Drops the effects that were remembered for quick looks."""
        self._recent.clear()
        self._recent_bytes = 0

    def _remember(self, group: Mapping[str, Treatment], effects: Mapping[str, Effect]) -> None:
        for name, treatment in group.items():
            weight = _standing_in(effects[name]).weight
            size = 0 if weight is None else weight.nbytes
            if self._recent_bytes + size <= _MOST_EFFECTS:
                self._recent[name, key_of(treatment)] = _standing_in(effects[name])
                self._recent_bytes += size

    def runner(self, *, is_changing: bool) -> LookRunner:
        """Returns what answers for recipes.

        Args:
            is_changing: Whether the recipes change weights, so that BatchNorm is re-estimated.
        """
        graph = (self._world_of_weights() if is_changing else self._plain)[1].subject.graph
        folder = self._part("looks")
        repair = self._repair(graph, folder) if is_changing else None
        return LookRunner(graph, self.layers, repair, folder)

    def _repair(self, graph: onnx.ModelProto, folder: Path) -> Repair | None:
        names = [la.name for la in self._repaired() if la.op_type in _CORRECTED]
        if not names:
            return None
        quick = int(np.clip(_REPAIR_MACS // max(self.plain.macs, 1), *_REPAIR_SAMPLES))
        inputs = self._tools.train_inputs(self.fitting(quick, _MOST_BYTES))
        has_module = self.subject.has_module
        gain = BATCH_NORM_GAIN if has_module else CORRECTION_GAIN
        return Repair(graph, self.layers, names, inputs, folder, gain)

    @property
    def can_project(self) -> bool:
        """Whether a first answer from gradients is possible for every layer."""
        return self.subject.has_module and all(
            layer.name in self.projections for layer in self.layers
        )

    @property
    def projections(self) -> Projections:
        """Random gradients, computed once."""
        if self._projections is None:
            sizes = sum(self.plain.base[layer.initializer].size for layer in self.layers)
            quick = int(np.clip(_PROJECTED_MACS // max(self.plain.macs, 1), *_PROJECTED))
            most = min(quick, self.samples)
            taken = int(np.clip(_MOST_GRADIENTS // max(sizes, 1), min(4, most), most))
            self._projections = Projections(
                self.subject,
                self.layers,
                rows(self._inputs, slice(taken)),
                self._plain[0].outputs[:taken],
                self._tools.seed,
            )
        return self._projections

    def add_common(self, table: SensitivityTable) -> None:
        """Adds what re-estimating BatchNorm does, to all layers at once."""
        if COMMON in table:
            return
        change = self._world_of_weights()[0].outputs - self._plain[0].outputs
        table.add([COMMON], self._vector(change, projected=False)[None], [Fact()])

    def add(
        self,
        table: SensitivityTable,
        chosen: Mapping[str, Treatment],
        *,
        projected: bool = False,
    ) -> None:
        """Adds a cell for each of these layers with its treatment, where it is not there yet.

        Args:
            table: Where to.
            chosen: Steps by layer.
            projected: From gradients instead of passes; for a table of first answers.
        """
        groups: dict[tuple[bool, str], dict[str, Treatment]] = {}
        for name, treatment in chosen.items():
            if (name, key_of(treatment)) not in table:
                group = (changes_weights(treatment), group_key(treatment))
                groups.setdefault(group, {})[name] = treatment
        for (is_changing, _), group_of in groups.items():
            self._add_group(table, group_of, is_changing, projected)

    def _add_group(
        self,
        table: SensitivityTable,
        chosen: Mapping[str, Treatment],
        is_changing: bool,
        projected: bool,
    ) -> None:
        if is_changing and not projected:
            self.add_common(table)
        probes, effects = self._world_for(is_changing, projected)
        found = effects.of(chosen)
        if not projected:
            self._remember(chosen, found)
        cells: list[Cell] = [(name, key_of(chosen[name])) for name in found]
        features = [
            self._projected(name, effect, effects)
            if projected and effect.weight is not None
            else self._vector(self._change(name, effect, probes), projected)
            for name, effect in found.items()
        ]
        facts = [Fact(float(e.bytes), float(e.macs)) for e in found.values()]
        table.add(cells, np.stack(features), facts)
        shared = shared_key(next(iter(chosen.values())))
        if shared in effects.shared_bytes:
            table.shared_bytes[shared] = effects.shared_bytes[shared]

    def _change(self, name: str, effect: Effect, probes: Probes) -> np.ndarray:
        if effect.weight is None:
            return np.asarray(self._answers_of(effect) - probes.outputs)
        values = probes.layer_input(name)
        if effect.grid is not None:
            values = effect.grid.round(values)
        changed = probes.changed(name, effect.weight, effect.bias, values)
        return np.asarray(changed - probes.outputs)

    def _answers_of(self, effect: Effect) -> np.ndarray:
        graph = effect.graph if effect.graph is not None else self.subject.graph
        feeds = feeds_of(graph, self._inputs)
        found = run_graph(graph, feeds, self._folder)
        return found[graph.graph.output[0].name]

    def _vector(self, change: np.ndarray, projected: bool) -> np.ndarray:
        if projected:
            return self.projections.of_outputs(change)
        before = self._plain[0].outputs
        about = self.subject.description
        return change_vector(about.task, before, before + change, about.output)

    def _projected(self, name: str, effect: Effect, effects: Effects) -> np.ndarray:
        before = effects.base[effects.layers[name].initializer]
        weight = effect.weight if effect.weight is not None else before
        old = effects.bias_of(name)
        bias = effect.bias
        if bias is not None and old is not None:
            bias = bias - old.reshape(bias.shape)
        return self.projections.feature(name, weight - before, bias)

    def _world_for(self, is_changing: bool, projected: bool) -> tuple[Probes, Effects]:
        if not is_changing:
            return self._plain
        return self._first_world() if projected else self._world_of_weights()

    def _first_world(self) -> tuple[Probes, Effects]:
        """Returns the start for first answers: nothing is re-estimated, layers are repaired."""
        if self._first is None:
            probes = self._plain[0]
            moments = self._moments_at(probes, self._repaired(), _FIRST_SAMPLES)
            self._first = (probes, self._world_effects(self.subject, moments))
        return self._first

    def _world_of_weights(self) -> tuple[Probes, Effects]:
        if self._changed is None:
            subject, repaired = self.subject, self._repaired()
            if subject.has_module and repaired:
                inputs = self._tools.train_inputs(batch_norm.SAMPLES)
                state = batch_norm.reestimated(subject.module, subject.state, inputs)
                graph = with_initializers(subject.graph, subject.fold_map.compute(state))
                subject = replace(subject, graph=graph, state=state)
                self._changed = self._world("changed", subject, self._moments(subject, repaired))
            elif repaired:
                effects = self._world_effects(subject, self._moments(subject, repaired))
                self._changed = (self._plain[0], effects)
            else:
                self._changed = self._plain
        return self._changed

    def repaired_by(self, chosen: Mapping[str, Treatment]) -> list[str]:
        """Returns the layers whose outputs are repaired in a file with these treatments."""
        names = [layer.name for layer in self._repaired()]
        if self.subject.has_module:
            return names
        return [name for name in names if changes_weights(chosen.get(name, ()))]

    def _repaired(self) -> list[Layer]:
        """Returns the layers whose outputs get their moments back after a change."""
        if not self.subject.has_module:
            return [layer for layer in self.layers if layer.op_type in _CORRECTED]
        rules = self.subject.fold_map.rules
        if not self.subject.fold_map.is_proven:
            return []
        return [la for la in self.layers if rules[la.initializer].batch_norm is not None]

    def _moments(self, subject: Subject, layers: list[Layer]) -> dict[str, Moments]:
        folder = self._part("moments")
        probes = Probes(subject.graph, layers, self._tools.train_inputs(_MOMENT_SAMPLES), folder)
        return self._moments_at(probes, layers)

    def _moments_at(
        self, probes: Probes, layers: list[Layer], samples: int | None = None
    ) -> dict[str, Moments]:
        effects = self.plain
        found = {}
        for layer in layers:
            node = effects.nodes[layer.node]
            weight = effects.base[layer.initializer]
            if node.op_type in _CORRECTED:
                values = probes.layer_input(layer.name)[:samples]
                found[layer.name] = moments_of(node, values, weight)
        return found

    def _world(
        self, name: str, subject: Subject, moments: dict[str, Moments]
    ) -> tuple[Probes, Effects]:
        probes = Probes(subject.graph, self.layers, self._inputs, self._part(name))
        return probes, self._world_effects(subject, moments)

    def _world_effects(self, subject: Subject, moments: dict[str, Moments]) -> Effects:
        return Effects(subject, self._tools, moments, self._moments_of_all, self._folder)

    def _moments_of_all(self) -> dict[str, Moments]:
        if self._all_moments is None:
            known = [la for la in self.layers if la.op_type in _CORRECTED]
            self._all_moments = self._moments(self.subject, known)
        return self._all_moments

    def _part(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def fitting(self, samples: int, most: int) -> int:
        """Returns how many of `samples` keep what layers read within `most` bytes."""
        size = sum(math.prod(shape) for shape in self._input_shapes()) * np.float32().nbytes
        return int(np.clip(most // max(size, 1), _FEWEST, samples))

    def _input_shapes(self) -> list[tuple[int, ...]]:
        shapes = tensor_shapes(self.subject.graph, self._free)
        nodes = {node.name: node for node in self.subject.graph.graph.node}
        read = [nodes[la.node].input[la.data_place(nodes[la.node])] for la in self.layers]
        return [shapes.get(name, (0,)) for name in read]


def _standing_in(effect: Effect) -> Effect:
    if effect.weight is None and effect.near is not None:
        return replace(effect, weight=effect.near[0], bias=effect.near[1], graph=None, near=None)
    return replace(effect, graph=None, near=None)
