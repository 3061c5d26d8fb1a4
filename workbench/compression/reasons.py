"""What a variant gains and loses, in words, and why it is not faster. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.core.records import Interval
from workbench.runtime.latency import is_faster, is_slower
from workbench.runtime.profile import OperatorTime

_NOTICEABLE = 0.98
_MANY_ZEROS = 0.1
_WORTH_NAMING = 0.05
_BOUNDARY = "QuantizeLinear/DequantizeLinear"
_FAMILY = {
    "QuantizeLinear": _BOUNDARY,
    "DequantizeLinear": _BOUNDARY,
    "QLinearConv": "Conv",
    "ConvInteger": "Conv",
    "FusedConv": "Conv",
    "NhwcConv": "Conv",
    "NhwcFusedConv": "Conv",
    "QGemm": "Gemm",
    "MatMulInteger": "Gemm",
    "MatMul": "Gemm",
    "DynamicQuantizeMatMul": "Gemm",
    "MatMulIntegerToFloat": "Gemm",
    "FusedMatMul": "Gemm",
    "FusedGemm": "Gemm",
    "QLinearMul": "Mul",
    "QLinearMatMul": "Gemm",
    "QLinearAdd": "Add",
    "NhwcMaxPool": "MaxPool",
}


@dataclass(frozen=True)
class Figures:
    """One file's sizes, and where its time goes.

    Attributes:
        size_bytes: Of the file.
        stored_bytes: After zstd.
        latency_ms: Median of a call; the profile is scaled to it.
        operators: Its operator profile; empty if it was not needed.
        zeros: Share of its weights that are zero.
    """

    size_bytes: int
    stored_bytes: int
    latency_ms: float = 0.0
    operators: Sequence[OperatorTime] = field(default_factory=tuple)
    zeros: float = 0.0


def describe(baseline: Figures, variant: Figures, ratio: Interval) -> str:
    """Returns one sentence such as "×0.27 the bytes; no faster: 0.08 of 0.21 ms go to …".

    Args:
        baseline: The model's figures.
        variant: The variant's figures.
        ratio: Its latency to the baseline's, with the interval.
    """
    saves_bytes = variant.size_bytes < _NOTICEABLE * baseline.size_bytes
    parts = [_bytes(baseline, variant), _time(ratio)]
    if not is_faster(ratio) and variant.operators:
        parts[1] += f": {why_not_faster(baseline, variant)}"
    if not saves_bytes and not is_faster(ratio):
        parts.insert(0, "saves neither bytes nor time")
    return "; ".join(parts)


def why_not_faster(baseline: Figures, variant: Figures) -> str:
    """Returns the operators that eat the gain, with milliseconds, from two operator profiles."""
    before, after = _by_family(baseline), _by_family(variant)
    total = variant.latency_ms
    if {row.op_type for row in baseline.operators} == {row.op_type for row in variant.operators}:
        name = max(after, key=lambda family: after[family])
        same = variant.size_bytes >= _NOTICEABLE * baseline.size_bytes
        what = "the same operators on the same shapes" if same else "the same operators"
        return f"it runs {what} ({after[name]:.2g} of {total:.2g} ms in {name})"
    growth = {name: ms - before.get(name, 0.0) for name, ms in after.items()}
    causes = sorted(growth, key=lambda name: -growth[name])[:2]
    named = [name for name in causes if growth[name] > _WORTH_NAMING * total]
    if not named:
        name = max(after, key=lambda family: after[family])
        return f"{name} takes as long as before ({after[name]:.2g} of {total:.2g} ms)"
    return ", ".join(_cause(name, before, after, total, variant) for name in named)


def _cause(
    name: str, before: dict[str, float], after: dict[str, float], total: float, variant: Figures
) -> str:
    if name in before:
        return f"{name} takes longer ({before[name]:.2g} → {after[name]:.2g} ms)"
    rows = [row for row in variant.operators if _family(row.op_type) == name]
    where = max(rows, key=lambda row: row.ms).node
    return f"{after[name]:.2g} of {total:.2g} ms go to {name} (most at {where})"


def _bytes(baseline: Figures, variant: Figures) -> str:
    size = variant.size_bytes / baseline.size_bytes
    stored = variant.stored_bytes / baseline.stored_bytes
    if size < _NOTICEABLE:
        return f"×{size:.2f} the bytes"
    if size > 1 / _NOTICEABLE:
        return f"larger, ×{size:.2f} the bytes"
    if stored < _NOTICEABLE:
        what = "zeros save" if variant.zeros > _MANY_ZEROS else "saves"
        return f"{what} no bytes in the file (stored: ×{stored:.2f})"
    return "saves no bytes"


def _time(ratio: Interval) -> str:
    if is_faster(ratio):
        return f"×{ratio.value:.2f} the latency"
    if is_slower(ratio):
        return f"slower, ×{ratio.value:.2f} the latency"
    return "no faster"


def _by_family(figures: Figures) -> dict[str, float]:
    """Returns milliseconds by family, scaled so that they sum to the measured latency.

    Profiling inflates small nodes: their sum was twice the latency of a 0.2 ms network.
    """
    profiled = sum(row.ms for row in figures.operators)
    scale = figures.latency_ms / profiled if profiled else 0.0
    totals: dict[str, float] = defaultdict(float)
    for row in figures.operators:
        totals[_family(row.op_type)] += row.ms * scale
    return dict(totals)


def _family(op_type: str) -> str:
    return _FAMILY.get(op_type, op_type)
