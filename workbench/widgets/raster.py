"""Pictures as one PNG: what also GitHub and a notebook that is not trusted show."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from workbench.data.picture_file import open_picture
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

_SCALE = 2
_INK, _FAINT, _PAPER = "#1b1b1b", "#cccccc", "#ffffff"
_GAP, _CAPTION, _PHOTO = 16, 20, 320
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def as_png(pictures: Sequence[Picture]) -> tuple[bytes, int]:
    """Returns pictures side by side on white paper, and the width in CSS pixels to show it at.

    Args:
        pictures: At least one.
    """
    parts = [_part(shown) for shown in pictures]
    width = sum(part.width for part in parts) + _GAP * _SCALE * (len(parts) + 1)
    height = max(part.height for part in parts) + 2 * _GAP * _SCALE
    sheet = Image.new("RGB", (width, height), _PAPER)
    x = _GAP * _SCALE
    for part in parts:
        sheet.paste(part, (x, _GAP * _SCALE))
        x += part.width + _GAP * _SCALE
    kept = io.BytesIO()
    sheet.quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(kept, "PNG")
    return kept.getvalue(), width // _SCALE


def _part(shown: Picture) -> Image.Image:
    return _photo(shown) if isinstance(shown, Photo) else _drawing(shown)


def _photo(shown: Photo) -> Image.Image:
    image: Image.Image = open_picture(shown.png).convert("RGB")
    times = max(1, _PHOTO * _SCALE // image.width)
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _drawing(drawing: Drawing) -> Image.Image:
    height = drawing.height + (_CAPTION if drawing.caption else 0)
    image = Image.new("RGB", (drawing.width * _SCALE, height * _SCALE), _PAPER)
    pen = ImageDraw.Draw(image)
    for mark in drawing.marks:
        _draw(pen, mark)
    if drawing.caption:
        _words(pen, Words(4, height - 4, drawing.caption))
    return image


def _draw(pen: ImageDraw.ImageDraw, mark: Mark) -> None:
    if isinstance(mark, Stroke):
        path = [(x * _SCALE, y * _SCALE) for x, y in mark.points]
        color = _FAINT if mark.is_faint else mark.color
        pen.line(path, fill=color, width=round(mark.width * _SCALE), joint="curve")
    elif isinstance(mark, Box):
        corner = (mark.x + mark.width, mark.y + mark.height)
        pen.rectangle([(mark.x * _SCALE, mark.y * _SCALE), _scaled(*corner)], fill=BLUE)
    elif isinstance(mark, Words):
        _words(pen, mark)
    else:
        _marker(pen, mark)


def _words(pen: ImageDraw.ImageDraw, mark: Words) -> None:
    font = ImageFont.load_default(11 * _SCALE)
    place = _scaled(mark.x, mark.y)
    pen.text(place, mark.text, fill=_INK, font=font, anchor=_ANCHORS[mark.anchor])


def _marker(pen: ImageDraw.ImageDraw, mark: Marker) -> None:
    x, y = _scaled(mark.x, mark.y)
    if mark.shape == "diamond":
        r = 7 * _SCALE
        pen.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], fill=GREY)
    elif mark.shape == "ring":
        r = 9 * _SCALE
        pen.ellipse([(x - r, y - r), (x + r, y + r)], outline=ORANGE, width=5)
    else:
        r = 9
        pen.ellipse([(x - r, y - r), (x + r, y + r)], fill=BLUE)


def _scaled(x: float, y: float) -> tuple[float, float]:
    return x * _SCALE, y * _SCALE
