"""The trade-off as a plotly figure: first the points (pure), then the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.flow.study_table import difference, latency
from workbench.flow.variant import Variant

if TYPE_CHECKING:
    from workbench.flow.study import Study

# Okabe and Ito (2008), "Color universal design": told apart by colour-blind readers too.
_BLUE, _ORANGE, _GREY, _GREEN = "#0072B2", "#E69F00", "#777777", "#009E73"
_AXES = {
    "size_bytes": ("size (kB, file)", 1e-3),
    "stored_bytes": ("size (kB, after zstd)", 1e-3),
    "latency_ms": ("latency p50 (ms)", 1.0),
}


@dataclass(frozen=True)
class Point:
    """One dot. `low` and `high` are the score's bounds from the paired interval."""

    x: float
    y: float
    low: float
    high: float
    label: str
    hover: str


def points(baseline: Variant, variants: Sequence[Variant], x: str) -> list[Point]:
    """Returns a point for each variant, scores with their paired 90 % interval."""
    scale = _AXES[x][1]
    return [
        Point(
            x=getattr(v, x) * scale,
            y=v.score,
            low=baseline.score + v.difference.low,
            high=baseline.score + v.difference.high,
            label=v.recipe,
            hover=f"{v.recipe}<br>{difference(v)}<br>{v.size_bytes / 1000:.1f} kB, "
            f"{v.latency_ms:.3f} ms, {latency(v)}",
        )
        for v in variants
    ]


def figure(study: Study, x: str = "size_bytes", chosen: Variant | None = None) -> Any:
    """Returns the plotly figure of a study.

    Raises:
        InputError: There is no such axis.
    """
    if x not in _AXES:
        raise InputError(f"No axis '{x}'.", hint=f"Axes: {', '.join(_AXES)}.")
    go = require("plotly.graph_objects", for_="the trade-off plot")
    baseline = study.baseline
    others = [v for v in study.variants if not v.is_baseline]
    front = points(baseline, study.front(x), x)
    shown = go.Figure()
    shown.add_scatter(
        x=[p.x for p in front],
        y=[p.y for p in front],
        mode="lines",
        name="front",
        line={"color": _BLUE, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    shown.add_trace(_dots(go, points(baseline, others, x), "measured", _BLUE, "circle"))
    shown.add_trace(_dots(go, points(baseline, [baseline], x), "baseline", _GREY, "diamond"))
    if chosen is not None:
        ring = points(baseline, [chosen], x)
        shown.add_trace(_dots(go, ring, "chosen", _ORANGE, "circle-open", size=18))
    shown.update_layout(
        template="plotly_white",
        xaxis={"title": _AXES[x][0], "rangemode": "tozero"},
        yaxis={"title": baseline.metric, "tickformat": ".1%" if baseline.accuracy else None},
        legend={"orientation": "h", "y": 1.08},
        margin={"l": 60, "r": 20, "t": 40, "b": 50},
        height=460,
    )
    return shown


def _dots(
    go: Any, shown: Sequence[Point], name: str, color: str, symbol: str, size: int = 10
) -> Any:
    return go.Scatter(
        x=[p.x for p in shown],
        y=[p.y for p in shown],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, p.high - p.y) for p in shown],
            "arrayminus": [max(0.0, p.y - p.low) for p in shown],
            "thickness": 1,
            "width": 3,
        },
        mode="markers",
        name=name,
        text=[p.hover for p in shown],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": color, "size": size, "symbol": symbol, "line": {"width": 2}},
    )
