"""What a search found, in figures and in words. A plain record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.compression.confirmation import Confirmed
from workbench.compression.goal import Goal, drop_of
from workbench.compression.measured import Measured
from workbench.tasks import is_share

_UNITS = {"size_bytes": "kB", "latency_ms": "ms"}
_LIMITS = {"max_size": "size_bytes", "max_latency_ms": "latency_ms"}


@dataclass(frozen=True)
class SearchReport:
    """See the module's docstring.

    Attributes:
        run: Ref of the search's run.
        goal: What was asked for.
        is_within: Whether the choice keeps all limits, as measured.
        binding: The limit that is exceeded most; empty if all are kept.
        measured: Variants measured in full by this search.
        given_up: Variants given up early.
        known: Variants that were measured before it.
        seconds: Wall time.
        ended: Why it ended: "budget", "stopped", "interrupted", "exhausted", or an error's words.
        words: All of it in sentences.
    """

    run: str
    goal: Mapping[str, Any]
    is_within: bool
    binding: str
    measured: int
    given_up: int
    known: int
    seconds: float
    ended: str
    words: str

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON-able values."""
        return asdict(self)


def words_of(
    goal: Goal,
    best: Measured,
    baseline: Measured,
    variants: list[Measured],
    confirmed: Confirmed | None,
    counts: str,
) -> str:
    """Returns what was found, in sentences; a limit that was not kept comes first."""
    over = goal.excess(best)
    parts = [_choice(goal, best, baseline) if not over else _nearest(goal, best, variants)]
    if not best.is_baseline:
        parts.append(_confirmation(goal, confirmed))
    return " ".join([*parts, counts])


def _choice(goal: Goal, best: Measured, baseline: Measured) -> str:
    if best.is_baseline:
        return "Nothing measured so far is better within the limits: the baseline is the choice."
    share = goal.cost(best) / goal.cost(baseline)
    figure = _figure(goal.minimize, goal.cost(best))
    what = "size" if goal.minimize == "size_bytes" else "latency"
    return f"{figure}, {share:.0%} of the baseline's {what}, {_loss(best, drop_of(best))}."


def _nearest(goal: Goal, best: Measured, variants: list[Measured]) -> str:
    over = goal.excess(best)
    binding = max(over, key=lambda name: over[name])
    if binding == "max_drop":
        reached = f"the nearest variant {_loss(best, drop_of(best))}"
        return f"No variant keeps all limits; max_drop={goal.max_drop:g} binds: {reached}."
    name = _LIMITS[binding]
    limit = goal.max_size if name == "size_bytes" else goal.max_latency_ms
    within = [m for m in variants if drop_of(m) <= goal.max_drop]
    least = min(within or variants, key=lambda m: float(getattr(m, name)))
    lowest = min(variants, key=lambda m: float(getattr(m, name)))
    text = (
        f"No variant keeps all limits; {binding}={_figure(name, float(limit or 0))} binds: the "
        f"least within max_drop={goal.max_drop:g} is {_figure(name, getattr(least, name))}"
    )
    if lowest.recipe != least.recipe:
        text += f", the least of all {_figure(name, getattr(lowest, name))}, which "
        text += _loss(lowest, drop_of(lowest))
    return f"{text}."


def _confirmation(goal: Goal, confirmed: Confirmed | None) -> str:
    if confirmed is None:
        return "It was not confirmed: there was no time, or there are no samples left unseen."
    change = confirmed.difference.value
    drop = -change if confirmed.higher_is_better else change
    text = f"On {confirmed.samples} samples that the search never saw it {_amount(confirmed, drop)}"
    if drop > goal.max_drop + 1e-12:
        return (
            f"{text}, more than {_most(goal, confirmed)} asked for: the choice was lucky on the "
            "validation split; ask for a smaller max_drop, or give more validation samples."
        )
    return f"{text}."


def _most(goal: Goal, confirmed: Confirmed) -> str:
    if not is_share(confirmed.metric):
        return f"the {goal.max_drop:g}"
    points = 100 * goal.max_drop
    return f"the {points:g} point{'s' * (points != 1)}"


def _loss(measured: Measured, drop: float) -> str:
    return _lost(measured.metric, drop)


def _amount(confirmed: Confirmed, drop: float) -> str:
    low, high = confirmed.difference.low, confirmed.difference.high
    scale, unit = (100, " pt") if is_share(confirmed.metric) else (1, "")
    reach = f"90 % interval {scale * low:+.2g} to {scale * high:+.2g}{unit}"
    return f"{_lost(confirmed.metric, drop)} ({reach})".replace("-", "−")


def _lost(metric: str, drop: float) -> str:
    scale, unit = (100, " points of") if is_share(metric) else (1, "")
    amount = round(scale * abs(drop), 2 if unit else 4)
    if not amount:
        return f"keeps its {metric}"
    return f"{'loses' if drop > 0 else 'gains'} {amount:g}{unit} {metric}"


def _figure(name: str, value: float) -> str:
    return f"{value / 1000:.1f} kB" if name == "size_bytes" else f"{value:.3g} {_UNITS[name]}"
