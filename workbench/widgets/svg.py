"""Pictures as inline SVG: sharp, themed, read by screen readers. Pure text."""

from __future__ import annotations

import base64
import html

from workbench.widgets.pictures import (
    BLUE,
    GREY,
    ORANGE,
    Box,
    Drawing,
    Mark,
    Marker,
    Photo,
    Picture,
    Stroke,
    Words,
)

_INK = "var(--jp-ui-font-color1,currentColor)"
_FONT = 'font-family="system-ui,sans-serif" font-size="11"'


def as_html(shown: Picture) -> str:
    """Returns a picture as self-contained HTML."""
    if isinstance(shown, Photo):
        style = "width:100%;max-width:360px;image-rendering:pixelated"
        return (
            f'<img alt="{html.escape(shown.label)}" src="{data_url(shown.png)}" style="{style}"/>'
        )
    caption = f'<div style="opacity:.8">{html.escape(shown.caption)}</div>' if shown.caption else ""
    return as_svg(shown) + caption


def as_svg(drawing: Drawing) -> str:
    """Returns a drawing as an SVG element."""
    return (
        f'<svg role="img" aria-label="{html.escape(drawing.label)}" viewBox="0 0 {drawing.width} '
        f'{drawing.height}" style="width:100%;max-width:{drawing.width * 1.5:.0f}px" '
        f'fill="{_INK}" {_FONT}>{"".join(_mark(mark) for mark in drawing.marks)}</svg>'
    )


def data_url(png: bytes) -> str:
    """Returns a PNG as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _mark(mark: Mark) -> str:
    if isinstance(mark, Stroke):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.points)
        faint = ' stroke-opacity=".35"' if mark.is_faint else ""
        return (
            f'<polyline points="{path}" fill="none" stroke="{mark.color}" '
            f'stroke-width="{mark.width}"{faint}/>'
        )
    if isinstance(mark, Box):
        size = f'width="{mark.width:.1f}" height="{mark.height:.1f}"'
        return f'<rect x="{mark.x:.1f}" y="{mark.y:.1f}" {size} fill="{BLUE}"/>'
    if isinstance(mark, Words):
        anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
        return f'<text x="{mark.x:.1f}" y="{mark.y:.1f}"{anchor}>{html.escape(mark.text)}</text>'
    return _marker(mark)


def _marker(mark: Marker) -> str:
    tip = f"<title>{html.escape(mark.title)}</title>"
    if mark.shape == "diamond":
        return f'<path d="M{mark.x:.1f} {mark.y - 7:.1f}l7 7-7 7-7-7z" fill="{GREY}">{tip}</path>'
    place = f'cx="{mark.x:.1f}" cy="{mark.y:.1f}"'
    if mark.shape == "ring":
        return (
            f'<circle {place} r="9" fill="none" stroke="{ORANGE}" stroke-width="2.5">{tip}</circle>'
        )
    return f'<circle {place} r="4.5" fill="{BLUE}">{tip}</circle>'
