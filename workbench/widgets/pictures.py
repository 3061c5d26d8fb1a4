"""Small pictures as inline SVG, for saved notebooks, exports and GitHub. Pure text, no Jupyter."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
_INK = "var(--jp-ui-font-color1,currentColor)"
_BLUE, _GREY = "#0072B2", "#767676"
_FONT = 'font-family="system-ui,sans-serif" font-size="11"'


@dataclass(frozen=True)
class Frame:
    """A plot's area in pixels and its ranges in figures."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 360
    height: int = 180
    left: int = 52
    bottom: int = 34

    def at(self, x: float, y: float) -> Point:
        """Returns where a point lies, in pixels."""
        (x0, x1), (y0, y1) = self.x, self.y
        right, top = self.width - 14, 12
        low = self.height - self.bottom
        across = self.left + (x - x0) / ((x1 - x0) or 1) * (right - self.left)
        return across, low - (y - y0) / ((y1 - y0) or 1) * (low - top)


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Returns round figures between `low` and `high`."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def picture(frame: Frame, label: str, parts: Sequence[str], names: tuple[str, str]) -> str:
    """Returns an SVG with axes around `parts`.

    Args:
        frame: Area and ranges.
        label: What is seen, for those who do not see it.
        parts: What is drawn.
        names: Of the axes, x then y.
    """
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {frame.width} '
        f'{frame.height}" style="width:100%;max-width:{frame.width * 1.5:.0f}px" fill="{_INK}" '
        f"{_FONT}>{_axes(frame, names)}{''.join(parts)}</svg>"
    )


def line(frame: Frame, points: Sequence[Point], *, color: str = _BLUE, width: float = 2) -> str:
    """Returns a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (frame.at(*point) for point in points))
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def steps(frame: Frame, points: Sequence[Point], *, color: str = _BLUE) -> str:
    """Returns a front: horizontal to the next point, then up."""
    corners: list[Point] = []
    for point in points:
        if corners:
            corners.append((point[0], corners[-1][1]))
        corners.append(point)
    return line(frame, corners, color=color, width=1.5)


def dot(frame: Frame, point: Point, title: str, *, shape: str = "circle") -> str:
    """Returns a marker: a circle, a diamond (the baseline) or a ring (the chosen one)."""
    x, y = frame.at(*point)
    tip = f"<title>{html.escape(title)}</title>"
    if shape == "diamond":
        path = f"M{x:.1f} {y - 7:.1f}l7 7-7 7-7-7z"
        return f'<path d="{path}" fill="{_GREY}">{tip}</path>'
    if shape == "ring":
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="none" stroke="#E69F00" '
            f'stroke-width="2.5">{tip}</circle>'
        )
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{_BLUE}">{tip}</circle>'


def bars(rows: Sequence[tuple[str, float, str]], label: str) -> str:
    """Returns horizontal bars: name, length from 0 to 1, and words at the end."""
    height = 18 * len(rows) + 4
    parts = []
    for i, (name, share, words) in enumerate(rows):
        y = 18 * i + 3
        length = max(1.0, 200 * min(1.0, share))
        parts.append(
            f'<text x="92" y="{y + 11}" text-anchor="end">{html.escape(name[:14])}</text>'
            f'<rect x="98" y="{y}" width="{length:.1f}" height="13" fill="{_BLUE}"/>'
            f'<text x="{104 + length:.1f}" y="{y + 11}">{html.escape(words)}</text>'
        )
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 360 {height}" '
        f'style="width:100%;max-width:480px" fill="{_INK}" {_FONT}>{"".join(parts)}</svg>'
    )


def _axes(frame: Frame, names: tuple[str, str]) -> str:
    parts = []
    for value in nice_ticks(*frame.y):
        x, y = frame.at(frame.x[0], value)
        right = frame.width - 14
        parts.append(
            f'<path d="M{x:.0f} {y:.1f}H{right}" stroke="{_GREY}" stroke-opacity=".35"/>'
            f'<text x="{x - 6:.0f}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in nice_ticks(*frame.x, 6):
        x, y = frame.at(value, frame.y[0])
        parts.append(f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle">{value:g}</text>')
    low = frame.height - 4
    parts.append(f'<text x="{frame.width - 14}" y="{low}" text-anchor="end">{names[0]}</text>')
    parts.append(f'<text x="4" y="{low}">{html.escape(names[1])}</text>')
    return "".join(parts)
