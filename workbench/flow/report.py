"""A self-contained HTML report of a study: the plot, the table, the choice, what served it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.clock import now
from workbench.core.files import writing
from workbench.core.optional import require
from workbench.flow import study_table, tradeoff_plot
from workbench.flow.registering import environment
from workbench.flow.variant import Variant

if TYPE_CHECKING:
    from workbench.flow.study import Study

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:last-child, td:last-child { text-align: left; }
tr.chosen { outline: 2px solid #E69F00; outline-offset: -2px; }
.scroll { overflow-x: auto; } .verdict { font-size: 1.15rem; } .facts { color: #555; }
"""
_COLUMNS = ("score", "difference (90 %)", "kB", "kB after zstd", "p50 ms", "latency", "recipe")


def write_report(
    study: Study, path: Path, chosen: Variant, facts: Mapping[str, Any] | None = None
) -> Path:
    """Writes the report; it needs no network to be read.

    Args:
        study: The study.
        path: Where to.
        chosen: The variant that was chosen.
        facts: Further lines, as the served accuracy.

    Returns:
        The path.
    """
    pio = require("plotly.io", for_="the report")
    plot = pio.to_html(
        tradeoff_plot.figure(study, chosen=chosen), include_plotlyjs=True, full_html=False
    )
    page = _page(study, chosen, plot, dict(facts or {}))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    return path


def _page(study: Study, chosen: Variant, plot: str, facts: dict[str, Any]) -> str:
    title = html.escape(f"Trade-off of {study.data.name}")
    verdict = html.escape(study_table.sentence(chosen))
    machine = chosen.measured
    lines = {
        "study": study.ref,
        "data": study.data.ref,
        "samples scored": machine.samples,
        "machine": _machine(chosen),
        **environment()["libraries"],
        **facts,
        "written": now(),
    }
    rows = "".join(f"<li>{html.escape(f'{k}: {v}')}</li>" for k, v in lines.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><h1>{title}</h1>
<p class="verdict"><b>{html.escape(chosen.recipe)}</b>: {verdict}</p>
{plot}
<div class="scroll">{_table(study, chosen)}</div>
<ul class="facts">{rows}</ul>
</body></html>
"""


def _table(study: Study, chosen: Variant) -> str:
    variants = sorted(study.variants, key=lambda v: -v.size_bytes)
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    body = "".join(_row(v, is_chosen=v.recipe == chosen.recipe) for v in variants)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(variant: Variant, *, is_chosen: bool) -> str:
    cells = (
        f"{variant.score:.4f}",
        study_table.difference(variant),
        f"{variant.size_bytes / 1000:.1f}",
        f"{variant.stored_bytes / 1000:.1f}",
        f"{variant.latency_ms:.3f}",
        study_table.latency(variant),
        variant.recipe + (" (chosen)" if is_chosen else ""),
    )
    kind = ' class="chosen"' if is_chosen else ""
    return f"<tr{kind}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _machine(variant: Variant) -> str:
    m = variant.measured
    name = m.cpu.get("name") or m.cpu.get("machine") or "unknown CPU"
    return f"{name}, {m.threads} thread(s), batch {m.batch}, median of calls"
