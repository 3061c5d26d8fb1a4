"""Small pictures for saved notebooks and exports: lists of marks, drawn by `svg` and `raster`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
BLUE, GREY, ORANGE = "#0072B2", "#767676", "#E69F00"


@dataclass(frozen=True)
class Stroke:
    """A line through points, in pixels."""

    points: tuple[Point, ...]
    color: str = BLUE
    width: float = 2
    is_faint: bool = False


@dataclass(frozen=True)
class Box:
    """A filled rectangle: left, top, width and height in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Words:
    """Text on a baseline; `anchor` is "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Marker:
    """A "circle", a "diamond" (the baseline) or a "ring" (the chosen one), with what it says."""

    x: float
    y: float
    shape: str
    title: str


Mark = Stroke | Box | Words | Marker


@dataclass(frozen=True)
class Drawing:
    """Marks on an area.

    Attributes:
        width: In pixels.
        height: In pixels.
        label: What is seen, for those who do not see it.
        marks: What is drawn, in this order.
        caption: What the marks mean, below the picture.
    """

    width: int
    height: int
    label: str
    marks: tuple[Mark, ...]
    caption: str = ""


@dataclass(frozen=True)
class Photo:
    """A picture that is there already, as PNG; its pixels are kept sharp."""

    png: bytes
    label: str


Picture = Drawing | Photo


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


def picture(
    frame: Frame, label: str, parts: Sequence[Mark], names: tuple[str, str], caption: str = ""
) -> Drawing:
    """Returns a plot: axes around `parts`.

    Args:
        frame: Area and ranges.
        label: What is seen, for those who do not see it.
        parts: What is drawn.
        names: Of the axes, x then y.
        caption: What the marks mean.
    """
    marks = (*_axes(frame, names), *parts)
    return Drawing(frame.width, frame.height, label, marks, caption)


def line(frame: Frame, points: Sequence[Point], *, width: float = 2) -> Stroke:
    """Returns a line through points."""
    return Stroke(tuple(frame.at(*point) for point in points), width=width)


def steps(frame: Frame, points: Sequence[Point]) -> Stroke:
    """Returns a front: horizontal to the next point, then up."""
    corners: list[Point] = []
    for point in points:
        if corners:
            corners.append((point[0], corners[-1][1]))
        corners.append(point)
    return line(frame, corners, width=1.5)


def dot(frame: Frame, point: Point, title: str, *, shape: str = "circle") -> Marker:
    """Returns a marker: a circle, a diamond (the baseline) or a ring (the chosen one)."""
    return Marker(*frame.at(*point), shape, title)


def bars(rows: Sequence[tuple[str, float, str]], label: str) -> Drawing:
    """Returns horizontal bars: name, length from 0 to 1, and words at the end."""
    marks: list[Mark] = []
    for i, (name, share, words) in enumerate(rows):
        y = 18 * i + 3
        length = max(1.0, 200 * min(1.0, share))
        marks += [
            Words(92, y + 11, name[:14], "end"),
            Box(98, y, length, 13),
            Words(104 + length, y + 11, words),
        ]
    return Drawing(360, 18 * len(rows) + 4, label, tuple(marks))


def _axes(frame: Frame, names: tuple[str, str]) -> list[Mark]:
    right, low = frame.width - 14.0, frame.height - 4.0
    parts: list[Mark] = []
    for value in nice_ticks(*frame.y):
        x, y = frame.at(frame.x[0], value)
        parts.append(Stroke(((x, y), (right, y)), GREY, 1, is_faint=True))
        parts.append(Words(x - 6, y + 4, f"{value:g}", "end"))
    for value in nice_ticks(*frame.x, 6):
        x, y = frame.at(value, frame.y[0])
        parts.append(Words(x, y + 15, f"{value:g}", "middle"))
    return [*parts, Words(right, low, names[0], "end"), Words(4, low, names[1])]
