"""The estimator's figures as a table for the README: mean and worst seed beside each goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.benchmarks.figure import shown

Rows = Mapping[str, Mapping[str, Any]]
PICTURE = "one picture, points"
_TOLD = {"recipes", "recipes below 5", "samples in the table", "samples a look"}


def markdown(results: Mapping[str, Any]) -> str:
    """Returns what was run on what, the table, and why goals were missed.

    Args:
        results: `machine` in words and, by case, `about` and `rows` of `row`.
    """
    cases: Mapping[str, Any] = results["cases"]
    lines = [
        f"| | goal | {' | '.join(cases)} |",
        f"| --- | --- |{' --- |' * len(cases)}",
    ]
    for name in dict.fromkeys(name for case in cases.values() for name in case["rows"]):
        found = [case["rows"].get(name) for case in cases.values()]
        if name not in _TOLD and not any(row and row["goal"] for row in found):
            continue
        goal = next(row["goal"] for row in found if row).strip()
        lines.append(f"| {name} | {goal} | {' | '.join(map(_cell, found))} |")
    about = [f"- {name}: {case['about']}." for name, case in cases.items()]
    why = [f"- {name}: {text}." for name, case in cases.items() for text in reasons(case["rows"])]
    told = ["", "Why missed, by the same output:", "", *why] if why else []
    return "\n".join([f"{results['machine']}.", "", *about, "", *lines, *told, ""])


def row(values: Sequence[float], sign: str, goal: float) -> dict[str, Any]:
    """Returns mean, worst and verdict of a figure's values; a goal is met if the worst meets it."""
    worst = min(values) if sign == "≥" else max(values)
    met = {"≤": worst <= goal, "≥": worst >= goal}.get(sign)
    return {
        "value": sum(values) / len(values),
        "worst": worst,
        "all": list(values),
        "goal": f"{sign} {goal:g}" if sign else "",
        "met": met,
    }


def reasons(rows: Rows) -> list[str]:
    """Returns a sentence for each goal that was missed."""
    missed = [name for name, row in rows.items() if row["met"] is False]
    return [f"{name}: {_reason(name, rows)}" for name in missed]


def _reason(name: str, rows: Rows) -> str:
    known: dict[str, Callable[[Rows], str]] = {
        "quick look, CPU-s each": _of_looks,
        "table, CPU-s": _of_table,
        "first answer, CPU-s": _of_first,
        "query, ms": _of_query,
        "a whole estimate(), ms": _of_estimate,
        "page query, ms": _of_page,
    }
    if name in known:
        return known[name](rows)
    values = rows[name]["all"]
    spread = ", ".join(shown(value) for value in values)
    below = min(rows["recipes below 5"]["all"])
    picture = shown(rows[PICTURE]["value"])
    return (
        f"its seeds gave {spread}; at the fewest {below:.0f} recipes drop less than 5 points, "
        f"and one validation picture is {picture} points"
    )


def _of_looks(rows: Rows) -> str:
    passed, samples = rows["a pass of a look's samples, CPU-s"], rows["samples a look"]
    return (
        f"a pass of its {samples['value']:.0f} samples alone takes {shown(passed['value'])} CPU-s, "
        "opening its session and giving outputs their moments back the rest"
    )


def _of_table(rows: Rows) -> str:
    cells, samples = rows["cells"]["value"], rows["samples in the table"]["value"]
    each = 1000 * rows["table, CPU-s"]["value"] / cells
    return (
        f"{cells:.0f} cells of {samples:.0f} samples took {shown(each)} CPU-ms each, and writing "
        "quantized graphs and re-estimating BatchNorm is among that whatever the samples"
    )


def _of_first(rows: Rows) -> str:
    passed = rows["a pass of a look's samples, CPU-s"]["value"]
    count = rows["samples a look"]["value"]
    return (
        f"a pass of {count:.0f} samples takes {shown(passed)} CPU-s, and it needs passes and "
        "gradients of all layers, and one quantized graph"
    )


def _of_query(rows: Rows) -> str:
    spread = ", ".join(shown(value) for value in rows["query, ms"]["all"])
    return f"its seeds gave {spread} beside what else the machine did, see the load"


def _of_estimate(rows: Rows) -> str:
    query = shown(rows["query, ms"]["value"])
    return f"the query takes {query} ms of it, reading the recipe and writing the answer the rest"


def _of_page(rows: Rows) -> str:
    return "read anew for each recipe of up to as many steps as layers, after one round of all"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    text = shown(row["value"])
    if len(row["all"]) > 1 and row["goal"]:
        text = f"{text} (worst {shown(row['worst'])})"
    return f"**{text}, missed**" if row["met"] is False else text
