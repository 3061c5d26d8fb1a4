"""Static twins: a record as a small card with pictures, as HTML without a script, or PNG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.flow.run import Run
from workbench.screens.views.run import RunView
from workbench.widgets import pictures, raster, svg

_CARD = (
    "border:1px solid var(--jp-border-color2,#ccc);border-radius:4px;padding:12px 16px;"
    "max-width:900px;font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);"
    "color:var(--jp-ui-font-color1,inherit);font-variant-numeric:tabular-nums"
)
_BLOCK = "flex:2 1 300px;min-width:0"
_NAME = "text-align:left;font-weight:400;padding:1px 16px 1px 0;vertical-align:top"
_TABLE = "border-collapse:collapse;width:100%;max-width:520px;font:inherit;margin:0"
_STATES = {"succeeded": "✓ done", "failed": "✕ failed", "cancelled": "■ stopped"}


@dataclass(frozen=True)
class Card:
    """What a record looks like without a kernel: title, pictures beside facts, one line of words.

    Attributes:
        title: What it is.
        ref: Its ref.
        pictures: What is seen.
        rows: Names and figures.
        foot: A sentence.
    """

    title: str
    ref: str
    pictures: Sequence[pictures.Picture]
    rows: Sequence[tuple[str, str]]
    foot: str = ""

    def html(self, *, has_pictures: bool = True) -> str:
        """Returns the card as self-contained HTML."""
        blocks = [svg.as_html(shown) for shown in self.pictures] if has_pictures else []
        shown = "".join(f'<div style="{_BLOCK}">{block}</div>' for block in blocks)
        foot = f'<div style="margin-top:8px">{html.escape(self.foot)}</div>' if self.foot else ""
        return (
            f'<div style="{_CARD}"><div style="margin-bottom:8px"><b>{html.escape(self.title)}</b> '
            f"<code>{html.escape(self.ref)}</code></div>"
            f'<div style="display:flex;flex-wrap:wrap;gap:16px">{shown}'
            f'<div style="flex:1 1 200px">{_facts(self.rows)}</div></div>{foot}</div>'
        )

    def png(self) -> tuple[bytes, int] | None:
        """Returns its pictures as one PNG and the width to show it at; None if it has none."""
        return raster.as_png(self.pictures) if self.pictures else None

    @property
    def label(self) -> str:
        """What its pictures show, in words."""
        return "; ".join(shown.label for shown in self.pictures)


def run_card(run: Run) -> Card:
    """Returns a run: its curves, its best score, how it ended."""
    view = RunView(run)
    view.read()
    state = view.state()
    rows = [("status", _STATES.get(state["status"], state["status"]))]
    if state["best"]:
        score = _score(state["best"]["value"], is_share=state["is_share"])
        rows.append((f"best {state['metric_name']}", f"{score} at epoch {state['best']['epoch']}"))
    if state["params"]:
        rows.append(("parameters", f"{state['params']:,}"))
    rows += [("data", state["data"] or "–"), ("started", state["started"] or "–")]
    words = state["error"]["message"] if state["error"] else ""
    return Card(state["title"], state["ref"], _curves(view), rows, words)


def _curves(view: RunView) -> list[pictures.Picture]:
    metric = view.metric
    if metric is None:
        return []
    losses = {k: _series(view, k) for k in ("train_loss", "val_loss")}
    top = max((y for points in losses.values() for _, y in points), default=1.0)
    last = max(row["step"] for row in view.rows)
    frame = pictures.Frame((0, last), (0, top))
    drawn = [
        pictures.line(frame, losses["train_loss"], width=1),
        pictures.line(frame, losses["val_loss"], width=2.5),
    ]
    caption = "thin: training, thick: validation"
    plots: list[pictures.Picture] = [
        pictures.picture(frame, "Loss by epoch", drawn, ("epoch", "loss"), caption)
    ]
    scores = _series(view, f"val_{metric}")
    if scores and metric != "loss":
        low, high = min(y for _, y in scores), max(y for _, y in scores)
        frame = pictures.Frame((0, last), (low, high))
        part = pictures.line(frame, scores, width=2.5)
        plots.append(pictures.picture(frame, f"{metric} by epoch", [part], ("epoch", metric)))
    return plots


def _series(view: RunView, key: str) -> list[tuple[float, float]]:
    return [(row["step"], row[key]) for row in view.rows if row.get(key) is not None]


def _score(value: float, *, is_share: bool) -> str:
    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row" style="{_NAME}">'
        f'{html.escape(name)}</th><td style="text-align:right">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table style="{_TABLE}">{cells}</table>'
