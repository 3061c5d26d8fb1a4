"""Static twins: a record as a small card with a picture. Self-contained HTML, no script."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from workbench.flow.run import Run
from workbench.widgets import pictures
from workbench.widgets.views.run import RunView

_CARD = (
    "border:1px solid var(--jp-border-color2,#ccc);border-radius:4px;padding:12px 16px;"
    "max-width:900px;font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);"
    "color:var(--jp-ui-font-color1,inherit);font-variant-numeric:tabular-nums"
)
_NAME = "text-align:left;font-weight:400;padding:1px 16px 1px 0;vertical-align:top"
_TABLE = "border-collapse:collapse;width:100%;max-width:520px;font:inherit;margin:0"
_STATES = {"succeeded": "✓ done", "failed": "✕ failed", "cancelled": "■ stopped"}


def card(
    title: str, ref: str, blocks: Iterable[str], rows: Sequence[tuple[str, str]], foot: str = ""
) -> str:
    """Returns a card: title, pictures beside a list of facts, one line of words.

    Args:
        title: What it is.
        ref: Its ref.
        blocks: Pictures, as HTML.
        rows: Names and figures.
        foot: A sentence.
    """
    shown = "".join(f'<div style="flex:2 1 300px;min-width:0">{block}</div>' for block in blocks)
    foot = f'<div style="margin-top:8px">{html.escape(foot)}</div>' if foot else ""
    return (
        f'<div style="{_CARD}"><div style="margin-bottom:8px"><b>{html.escape(title)}</b> '
        f"<code>{html.escape(ref)}</code></div>"
        f'<div style="display:flex;flex-wrap:wrap;gap:16px">{shown}'
        f'<div style="flex:1 1 200px">{_facts(rows)}</div></div>{foot}</div>'
    )


def run_card(run: Run) -> str:
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
    return card(state["title"], state["ref"], _curves(view), rows, words)


def _curves(view: RunView) -> list[str]:
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
    plots = [pictures.picture(frame, "Loss by epoch", drawn, ("epoch", "loss"))]
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
