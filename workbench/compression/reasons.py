"""What a variant gains and loses, in words, and why it is not faster. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.core.records import Interval
from workbench.runtime.profile import OperatorTime, time_by_type

_NOTICEABLE = 0.98
_BOUNDARY = ("QuantizeLinear", "DequantizeLinear")
_FAMILY = {
    "QLinearConv": "Conv",
    "ConvInteger": "Conv",
    "FusedConv": "Conv",
    "NhwcConv": "Conv",
    "NhwcFusedConv": "Conv",
    "QGemm": "Gemm",
    "MatMulInteger": "MatMul",
    "DynamicQuantizeMatMul": "MatMul",
    "MatMulIntegerToFloat": "MatMul",
    "FusedMatMul": "MatMul",
    "QLinearAdd": "Add",
    "QLinearMatMul": "MatMul",
}


@dataclass(frozen=True)
class Figures:
    """Sizes of one file."""

    size_bytes: int
    stored_bytes: int


def describe(
    baseline: Figures,
    variant: Figures,
    ratio: Interval,
    before: Sequence[OperatorTime] = (),
    after: Sequence[OperatorTime] = (),
) -> str:
    """Returns one sentence such as "×0.27 the bytes; no faster: 0.08 of 0.21 ms go to …".

    Args:
        baseline: Sizes of the baseline.
        variant: Sizes of the variant.
        ratio: Latency to the baseline, with its interval.
        before: The baseline's operators; needed only if the variant is not faster.
        after: The variant's operators.
    """
    saves_bytes = variant.size_bytes < _NOTICEABLE * baseline.size_bytes
    saves_time = ratio.high < 1.0
    parts = [_bytes(baseline, variant), _time(ratio)]
    if not saves_time and after:
        parts[1] += f": {why_not_faster(before, after)}"
    if not saves_bytes and not saves_time:
        parts.insert(0, "saves neither bytes nor time")
    return "; ".join(parts)


def why_not_faster(before: Sequence[OperatorTime], after: Sequence[OperatorTime]) -> str:
    """Returns the operators that eat the gain, with milliseconds, from two operator profiles."""
    total = sum(row.ms for row in after)
    added = _added(before, after)
    if added:
        types = "/".join(dict.fromkeys(row.op_type for row in added))
        spent = sum(row.ms for row in added)
        where = max(added, key=lambda row: row.ms).node
        text = f"{spent:.2g} of {total:.2g} ms go to {types}"
        if spent > 0.05 * total:
            return f"{text} (most at {where})"
    slowest = _slowest_change(before, after)
    if slowest is None:
        return "the same operators take the same time"
    name, old, new = slowest
    change = "takes no less time" if new <= old * 1.05 else "takes longer"
    return f"{name} {change} ({old:.2g} → {new:.2g} ms)"


def _bytes(baseline: Figures, variant: Figures) -> str:
    size = variant.size_bytes / baseline.size_bytes
    stored = variant.stored_bytes / baseline.stored_bytes
    if size >= _NOTICEABLE:
        if stored < _NOTICEABLE:
            return f"saves no bytes in the file (stored: ×{stored:.2f})"
        return "saves no bytes"
    return f"×{size:.2f} the bytes"


def _time(ratio: Interval) -> str:
    if ratio.high < 1.0:
        return f"×{ratio.value:.2f} the latency"
    if ratio.low > 1.0:
        return f"slower, ×{ratio.value:.2f} the latency"
    return "no faster"


def _added(before: Sequence[OperatorTime], after: Sequence[OperatorTime]) -> list[OperatorTime]:
    """Returns the operators of types that the baseline does not have at all."""
    known = {_family(row.op_type) for row in before}
    extra = [row for row in after if _family(row.op_type) not in known]
    boundary = [row for row in extra if row.op_type in _BOUNDARY]
    return boundary or extra


def _slowest_change(
    before: Sequence[OperatorTime], after: Sequence[OperatorTime]
) -> tuple[str, float, float] | None:
    old, new = _by_family(before), _by_family(after)
    shared = [name for name in new if name in old]
    if not shared:
        return None
    name = max(shared, key=lambda item: new[item])
    return name, old[name], new[name]


def _by_family(rows: Sequence[OperatorTime]) -> dict[str, float]:
    renamed = [OperatorTime(row.node, _family(row.op_type), row.ms) for row in rows]
    return time_by_type(renamed)


def _family(op_type: str) -> str:
    return _FAMILY.get(op_type, op_type)
