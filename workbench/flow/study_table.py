"""The table of a study: one row a variant, and the honest sentence about the chosen one."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.core.records import Interval
from workbench.flow.variant import Variant
from workbench.runtime.latency import is_faster, is_slower
from workbench.tasks import is_share

_KB = 1000
_DRIFT_LIMIT = 1.25
_DRIFT = (
    "The machine was busier while some rows were measured: compare latencies by their ratio, "
    "which is measured side by side with the baseline, not by p50."
)
HEADER = (
    f"{'variant':<12}  {'score':>7}  {'difference (90 %)':>22}  {'kB':>8}  {'stored':>8}  "
    f"{'p50 ms':>7}  {'latency':>16}  recipe"
)


def row(variant: Variant) -> str:
    """Returns the line of one variant; figures line up with `HEADER`."""
    return (
        f"{variant.digest[:12]:<12}  {_score(variant):>7}  {difference(variant):>22}  "
        f"{variant.size_bytes / _KB:>8.1f}  {variant.stored_bytes / _KB:>8.1f}  "
        f"{variant.latency_ms:>7.3f}  {latency(variant):>16}  {variant.recipe}"
    )


def text(baseline: Variant, variants: Sequence[Variant]) -> str:
    """Returns the whole table: the baseline first, then the variants by size."""
    others = sorted((v for v in variants if not v.is_baseline), key=lambda v: -v.size_bytes)
    return "\n".join([HEADER, row(baseline), *map(row, others), *notes(baseline, others)])


def notes(baseline: Variant, others: Sequence[Variant]) -> list[str]:
    """Returns what must be said below the table: nothing, or why p50 and ratio disagree."""
    drifted = [v for v in others if not _agrees(v.latency_ms / baseline.latency_ms, v)]
    return [_DRIFT] if drifted else []


def difference(variant: Variant) -> str:
    """Returns the paired difference to the baseline with its interval, in points if a share."""
    return "baseline" if variant.is_baseline else _changed(variant.difference, variant.metric)


def unseen(variant: Variant) -> str:
    """Returns the difference on samples that no choice was made by; "" if it was not confirmed."""
    found = None if variant.is_baseline else variant.confirmation
    if found is None:
        return ""
    return f"{_changed(found.difference, found.metric)} on {found.samples:,} unseen samples"


def latency(variant: Variant) -> str:
    """Returns the ratio of latencies to the baseline, or that there is no difference."""
    if variant.is_baseline:
        return "×1"
    ratio = variant.latency_ratio
    if not is_faster(ratio) and not is_slower(ratio):
        return f"×{ratio.value:.2f} (no diff.)"
    return f"×{ratio.value:.2f}"


def sentence(chosen: Variant) -> str:
    """Returns one honest sentence on what the chosen variant gains and loses."""
    if chosen.is_baseline:
        return "No measured variant is smaller within the limit: the baseline is the choice."
    words = f"{_change_in_words(chosen)}; {chosen.reason}".rstrip(". ") + "."
    beside = unseen(chosen)
    return f"{words} Confirmed: {beside}." if beside else words


def _changed(change: Interval, metric: str) -> str:
    if is_share(metric):
        return f"{_signed(100 * change.value, 1)} [{_range(change, 100, 1)}] pt"
    return f"{_signed(change.value, 3)} [{_range(change, 1, 3)}]"


def _agrees(quotient: float, variant: Variant) -> bool:
    ratio = variant.latency_ratio.value
    return ratio / _DRIFT_LIMIT <= quotient <= ratio * _DRIFT_LIMIT


def _change_in_words(variant: Variant) -> str:
    change = variant.difference
    scale, digits, unit = (100, 1, " pt") if is_share(variant.metric) else (1, 3, "")
    if round(change.value * scale, digits) == 0:
        reach = max(-change.low, change.high) * scale
        return f"the same {variant.metric} (90 % interval ±{reach:.{digits}f}{unit})"
    size = f"{_signed(change.value * scale, digits)}{unit} {variant.metric}"
    low, high = (_signed(bound * scale, digits) for bound in (change.low, change.high))
    return f"{size} (90 % interval {low} to {high})"


def _score(variant: Variant) -> str:
    if is_share(variant.metric):
        return f"{100 * variant.score:.1f} %"
    return f"{variant.score:.4g}"


def _range(interval: Interval, scale: float, digits: int) -> str:
    low, high = _signed(scale * interval.low, digits), _signed(scale * interval.high, digits)
    return f"{low}, {high}"


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"
