"""How each ONNX initializer is computed from the torch state: variants are patched, not exported.

The exporter folds BatchNorm into the weights before it, so initializers are not the torch weights.
A rule is kept only if it gives the baseline's very bits. NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from workbench.core.errors import StateError

RuleKind = Literal["copy", "transpose", "reshape", "bn_weight", "bn_bias"]
State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class BatchNorm:
    """What a rule must know of a BatchNorm layer: its name and epsilon."""

    name: str
    eps: float


@dataclass(frozen=True)
class Rule:
    """One initializer's origin.

    Attributes:
        kind: How it is computed.
        source: Name of the torch tensor (the weight; for `bn_bias` the bias, "" if there is none).
        batch_norm: The BatchNorm folded in, for the `bn_` kinds.
        axis: Output axis of the weight, for `bn_weight`.
        order: Axes for `transpose`, the shape for `reshape`.
    """

    kind: RuleKind
    source: str
    batch_norm: BatchNorm | None = None
    axis: int = 0
    order: tuple[int, ...] = ()

    def compute(self, state: State) -> np.ndarray:
        """Returns the initializer for `state` (torch tensors by name, as arrays)."""
        if self.batch_norm is not None:
            return self._folded(state, self.batch_norm)
        value = state[self.source]
        if self.kind == "transpose":
            return np.ascontiguousarray(value.transpose(self.order))
        return value.reshape(self.order) if self.kind == "reshape" else value

    def _folded(self, state: State, norm: BatchNorm) -> np.ndarray:
        mean = state[f"{norm.name}.running_mean"]
        variance = state[f"{norm.name}.running_var"]
        gamma = state.get(f"{norm.name}.weight", np.ones_like(mean))
        beta = state.get(f"{norm.name}.bias", np.zeros_like(mean))
        scale = gamma / np.sqrt(variance + norm.eps)
        if self.kind == "bn_weight":
            weight = state[self.source]
            return np.asarray(weight * _along(scale, weight.ndim, self.axis))
        bias = state[self.source] if self.source else np.zeros_like(mean)
        return (bias - mean) * scale + beta

    def to_json(self) -> dict[str, Any]:
        """Returns the rule as JSON-able values."""
        norm = self.batch_norm
        return {
            "kind": self.kind,
            "source": self.source,
            "batch_norm": None if norm is None else {"name": norm.name, "eps": norm.eps},
            "axis": self.axis,
            "order": list(self.order),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rule:
        """Rebuilds a rule from `to_json`."""
        norm = data["batch_norm"]
        return cls(
            kind=data["kind"],
            source=data["source"],
            batch_norm=None if norm is None else BatchNorm(norm["name"], norm["eps"]),
            axis=data["axis"],
            order=tuple(data["order"]),
        )


@dataclass(frozen=True)
class FoldMap:
    """The rules of one exported file.

    Attributes:
        rules: By initializer name.
        constants: Initializers that no rule gives; taken to be independent of the parameters.
        reason: Why variants cannot be patched; empty if the map is proven.
    """

    rules: Mapping[str, Rule] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    reason: str = "not proven yet"

    @property
    def is_proven(self) -> bool:
        """Whether patched files may stand in for exported ones."""
        return not self.reason

    def compute(self, state: State) -> dict[str, np.ndarray]:
        """Returns every ruled initializer for `state`.

        Raises:
            StateError: The map is not proven.
        """
        if self.reason:
            raise StateError(
                f"The weights of this file cannot be patched: {self.reason}.",
                hint="Export the variant instead.",
            )
        return self.compute_unproven(state)

    def compute_unproven(self, state: State) -> dict[str, np.ndarray]:
        """Returns what `compute` does, proven or not; for the proof itself."""
        return {name: rule.compute(state) for name, rule in self.rules.items()}

    def initializer_of(self, parameter: str) -> str | None:
        """Returns the initializer that holds the torch weight `parameter`, folded or not."""
        for name, rule in self.rules.items():
            if rule.source == parameter:
                return name
        return None

    def to_json(self) -> dict[str, Any]:
        """Returns the map as JSON-able values."""
        return {
            "rules": {name: rule.to_json() for name, rule in self.rules.items()},
            "constants": list(self.constants),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FoldMap:
        """Rebuilds a map from `to_json`."""
        rules = {name: Rule.from_json(rule) for name, rule in data["rules"].items()}
        return cls(rules, tuple(data["constants"]), data["reason"])


def find_rules(
    initializers: State,
    state: State,
    batch_norms: Mapping[str, float],
    hints: Mapping[str, str] | None = None,
) -> FoldMap:
    """Finds for each float initializer the rule that gives its bits; the map is not proven yet.

    Args:
        initializers: The file's, by name.
        state: The torch tensors by name.
        batch_norms: Epsilon of each BatchNorm layer by name.
        hints: Weight name → BatchNorm name where the exporter knows; tried first.
    """
    finder = _Finder(state, batch_norms, hints or {})
    rules: dict[str, Rule] = {}
    constants: list[str] = []
    for name, value in sorted(initializers.items(), key=lambda item: item[1].ndim, reverse=True):
        if not np.issubdtype(value.dtype, np.floating):
            continue
        rule = finder.find(name, value)
        if rule is None:
            constants.append(name)
        else:
            rules[name] = rule
    return FoldMap(rules, tuple(constants))


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Returns whether two arrays have the same shape, dtype and bytes."""
    return (
        first.shape == second.shape
        and first.dtype == second.dtype
        and first.tobytes() == second.tobytes()
    )


class _Finder:
    """Tries candidates, likeliest first, and compares bits."""

    def __init__(
        self, state: State, batch_norms: Mapping[str, float], hints: Mapping[str, str]
    ) -> None:
        self.state = state
        self.norms = {name: BatchNorm(name, eps) for name, eps in batch_norms.items()}
        self.hints = hints
        self.folded: dict[str, str] = dict(hints)

    def find(self, name: str, value: np.ndarray) -> Rule | None:
        for rule in self._candidates(name, value):
            if same_bits(rule.compute(self.state), value):
                if rule.kind == "bn_weight" and rule.batch_norm is not None:
                    self.folded[rule.source] = rule.batch_norm.name
                return rule
        return None

    def _candidates(self, name: str, value: np.ndarray) -> Iterator[Rule]:
        if name in self.state and self.state[name].shape == value.shape:
            yield Rule("copy", name)
        yield from self._folded_weights(name, value)
        yield from self._folded_biases(name, value)
        yield from self._copies(value)
        yield from self._reordered(value)

    def _copies(self, value: np.ndarray) -> Iterator[Rule]:
        for source, tensor in self.state.items():
            if tensor.shape == value.shape:
                yield Rule("copy", source)

    def _reordered(self, value: np.ndarray) -> Iterator[Rule]:
        for source, tensor in self.state.items():
            if tensor.ndim >= 2 and tensor.shape[::-1] == value.shape:
                yield Rule("transpose", source, order=tuple(range(tensor.ndim))[::-1])
            if tensor.size == value.size and tensor.shape != value.shape:
                yield Rule("reshape", source, order=tuple(value.shape))

    def _folded_weights(self, name: str, value: np.ndarray) -> Iterator[Rule]:
        if value.ndim < 2:
            return
        for source in self._near(name):
            if self.state[source].shape != value.shape:
                continue
            for axis in (0, 1):
                for norm in self._norms_for(source, value.shape[axis]):
                    yield Rule("bn_weight", source, norm, axis=axis)

    def _folded_biases(self, name: str, value: np.ndarray) -> Iterator[Rule]:
        if value.ndim != 1:
            return
        for weight, norm_name in self._folded_near(name):
            norm = self.norms.get(norm_name)
            if norm is None or self.state[f"{norm_name}.running_mean"].shape != value.shape:
                continue
            bias = weight.removesuffix("weight") + "bias"
            has_bias = weight.endswith("weight") and bias in self.state
            yield Rule("bn_bias", bias if has_bias else "", norm)

    def _near(self, name: str) -> list[str]:
        return sorted(self.state, key=lambda source: source != name)

    def _folded_near(self, name: str) -> list[tuple[str, str]]:
        stem = name.removesuffix("_bias").removesuffix("bias")
        pairs = list(self.folded.items())
        return sorted(pairs, key=lambda pair: not (pair[0] == stem or pair[0] == stem + "weight"))

    def _norms_for(self, source: str, features: int) -> list[BatchNorm]:
        fitting = [
            norm
            for norm in self.norms.values()
            if self.state[f"{norm.name}.running_mean"].shape == (features,)
        ]
        return sorted(fitting, key=lambda norm: self.hints.get(source) != norm.name)


def _along(scale: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    shape = [1] * ndim
    shape[axis] = -1
    return scale.reshape(shape)
