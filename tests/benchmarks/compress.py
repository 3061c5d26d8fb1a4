"""`make bench-compress`: the search beside others, at equal measurements and at equal time.

    python -m tests.benchmarks.compress [--net resnet20] [--seeds 5] [--json F] [--markdown F]

Two spaces: "whole", where channels may be removed before the layers are treated, and "layers",
where they may not. In each all methods choose from the same recipes. Others begin with the uniform
recipes, since cold they find nothing: treatments and channels removed by the methods' defaults,
then the rest. A net is trained once; seeds are those of the searches. Scores are those of the ONNX
file on the whole validation split; a measurement's cost in CPU-seconds is charged to whoever asks
for it, untimed. Front: file ≤ 0.30 of the baseline, drop ≤ 10 points. With --add the nets are added
to those that the JSON file holds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

from tests.benchmarks.compress_rivals import METHODS, NNCF, ORT, OURS, not_run, ours
from tests.benchmarks.compress_space import SIZE, Oracle, Space, Trace
from tests.benchmarks.estimator import NETS, trained_engine
from tests.benchmarks.figure import Figure, shown
from workbench.compression.estimator import Estimator
from workbench.compression.measured import Measured
from workbench.core.optional import is_installed, require
from workbench.runtime.cpu import describe_cpu
from workbench.store import open_store

SPACES = {"whole": True, "layers": False}
FIXED = frozenset({ORT, NNCF})
EARLY = 20
CEILING = "hypervolume if the smallest file lost nothing"
GAIN, SMALLER, SAME = 1.15, 0.75, 1.005
LIBRARIES = ("torch", "onnxruntime", "optuna", "nncf", "numpy")
HEADS = {
    "measured": "measured",
    "seconds": "CPU-s",
    "volume at 20": "HV 20",
    "volume at the end": "HV end",
    "volume at 40 s": "HV 40 s",
    "volume at 120 s": "HV 120 s",
    "size at 1 point": "size ≤ 1 pt",
}
Rows = dict[str, dict[str, float]]


def run(
    oracle: Oracle, space_name: str, count: int, seeds: list[int], missing: dict[str, str]
) -> tuple[list[Rows], list[Figure]]:
    """Returns for each seed a row for each method, and what concerns all seeds."""
    restructures = SPACES[space_name]
    runs, margins, every, space = [], [], [], None
    for seed in seeds:
        own = Estimator(oracle.engine, seed=_estimator_seed(space_name, seed))
        traces = {OURS: ours(oracle, own, count, seed, restructures=restructures)}
        space = space or Space(own, seed, restructures=restructures)
        for name, method in METHODS.items():
            if name not in missing:
                traces[name] = method(oracle, space, count, seed)
        runs.append({name: facts(trace, oracle.base, count) for name, trace in traces.items()})
        margins.append(margin(traces, oracle.base))
        every += traces.values()
        say(f"  {space_name}, seed {seed}: " + ", ".join(
            f"{name} {row['volume at 20']:.3f}/{row['volume at the end']:.3f}"
            for name, row in runs[-1].items() if name not in FIXED
        ))  # fmt: skip
    name = "score over nncf's and ORT's at their size, least"
    return runs, [ceiling(every, oracle.base), Figure(name, min(margins), "pt", 0.0, True)]


def _estimator_seed(space_name: str, seed: int) -> int:
    """Returns a seed of which the store holds no table yet: each search pays for its own."""
    return 1000 * list(SPACES).index(space_name) + seed


def margin(traces: dict[str, Trace], base: Measured) -> float:
    """Returns the least of how far ours scores above each of theirs, at no more bytes."""
    others = [item for name in FIXED if name in traces for item in traces[name].items]
    return min((traces[OURS].margin(base, item) for item in others), default=0.0)


def facts(trace: Trace, base: Measured, count: int) -> dict[str, float]:
    return {
        "measured": len(trace.items),
        "seconds": trace.seconds[-1] if trace.seconds else 0.0,
        "volume at 20": trace.volume(base, EARLY),
        "volume at the end": trace.volume(base, count),
        "volume at 40 s": trace.volume(base, within_s=40.0),
        "volume at 120 s": trace.volume(base, within_s=120.0),
        "size at 1 point": trace.smallest(base),
        "size at 1 point after 20": trace.smallest(base, count=EARLY),
    }


def figures(rows: Rows, count: int) -> list[Figure]:
    """Returns our figures beside the best of the others, each with its goal."""
    mine = rows[OURS]
    others = {name: row for name, row in rows.items() if name != OURS}
    searched = {name: row for name, row in others.items() if name not in FIXED}

    def best(figure: str) -> float:
        return max(row[figure] for row in searched.values())

    def least(figure: str) -> float:
        return min(row[figure] for row in searched.values())

    def compared(label: str, volume: str, size: str) -> list[Figure]:
        other = "to the best other's"
        return [
            Figure(f"hypervolume {label}", mine[volume], ""),
            Figure(f"hypervolume {label} {other}", mine[volume] / best(volume), "×", GAIN, True),
            Figure(f"size at ≤ 1 point {label}", mine[size], ""),
            Figure(f"size at ≤ 1 point {label} {other}", mine[size] / least(size), "×", SMALLER),
        ]

    found = compared(f"at {EARLY}", "volume at 20", "size at 1 point after 20")
    if count > EARLY:
        found += compared(f"at {count}", "volume at the end", "size at 1 point")
        late = max(best("volume at 120 s"), 1e-9)
        name = "hypervolume at 40 s to the best other's at 120 s"
        found.append(Figure(name, mine["volume at 40 s"] / late, "×", 1.0, True))
    size = "size at 1 point"
    return found + [
        Figure(f"size at ≤ 1 point to that of {name}", mine[size] / others[name][size], "×", 1.0)
        for name in (ORT, NNCF)
        if name in others
    ]


def ceiling(traces: list[Trace], base: Measured) -> Figure:
    """Returns the hypervolume if the smallest file that anyone measured lost nothing."""
    sizes = [item.size_bytes for trace in traces for item in trace.items]
    value = 1 - min(sizes) / base.size_bytes / SIZE
    return Figure(CEILING, value, "")


def reasons(rows: Rows, found: list[Figure]) -> list[str]:
    """Returns why a goal was missed, where the figures themselves tell."""
    top = next(item.value for item in found if item.name == CEILING)
    others = [row for name, row in rows.items() if name != OURS and name not in FIXED]
    said = []
    wanted = [
        GAIN * max(row[key] for row in others)
        for key in ("volume at 20", "volume at the end")
        if rows[OURS][key] < GAIN * max(row[key] for row in others)
    ]
    beyond = dict.fromkeys(f"{value:.3f}" for value in wanted if value > top)
    if beyond:
        said.append(
            f"{GAIN} × the best other's hypervolume is {' and '.join(beyond)}, but the smallest "
            f"file that anyone measured would give {top:.3f} if it lost nothing"
        )
    for label, key in (("20", "size at 1 point after 20"), ("all", "size at 1 point")):
        least = min(row[key] for row in others)
        if SMALLER * least < rows[OURS][key] <= least * SAME:
            said.append(
                f"after {label} measurements nobody's smallest file within a point is smaller"
            )
    return said


def averaged(runs: list[Rows]) -> Rows:
    return {
        name: {key: mean(one[name][key] for one in runs) for key in runs[0][name]}
        for name in runs[0]
    }


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def report(
    name: str, runs: list[Rows], extra: list[Figure], count: int, missing: dict[str, str]
) -> dict[str, Any]:
    rows = averaged(runs)
    say(f"\n{name}: {_seeds(runs)}, {count} measurements")
    say(f"  {'':<14}" + "".join(f"{head:>13}" for head in HEADS.values()))
    for method, row in rows.items():
        say(f"  {method:<14}" + "".join(f"{shown(row[key]):>13}" for key in HEADS))
    for method, why in missing.items():
        say(f"  {method:<14} {why}")
    found = [*figures(rows, count), *extra]
    for item in found:
        verdict = item.verdict.replace("missed", "MISSED")
        say(f"  {item.name:<48}{shown(item.value):>9} {item.unit:<2}{item.goal_text:>8}  {verdict}")
    why = reasons(rows, found)
    for text in why:
        say(f"  missed: {text}")
    return {
        "rows": rows,
        "reasons": why,
        "runs": runs,
        "figures": [item.to_json() for item in found],
        "not_run": missing,
    }


def machine() -> dict[str, Any]:
    """Returns what the figures were found on."""
    libraries = {name: version(name) for name in LIBRARIES if is_installed(name)}
    return {
        "cpu": describe_cpu().to_json(),
        "cores": os.cpu_count(),
        "threads": 1,
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": libraries,
    }


def words_of(found: dict[str, Any]) -> str:
    cpu, libraries = found["cpu"], found["libraries"]
    named = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return (
        f"{cpu['name']} ({cpu['int8']}), {found['cores']} cores of which one thread was used, "
        f"Python {found['python']}, {named}; seconds are CPU-seconds"
    )


def markdown(results: dict[str, Any]) -> str:
    """Returns the table of the README."""
    columns = list(results["nets"])
    heads = [f"{name} ({_seeds(results['nets'][name]['runs'])})" for name in columns]
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for column in columns:
        for item in results["nets"][column]["figures"]:
            rows.setdefault(item["name"], {})[column] = item
    lines = [f"| | goal | {' | '.join(heads)} |", f"| --- | --- |{' --- |' * len(columns)}"]
    for name, row in rows.items():
        any_item = next(iter(row.values()))
        goal = Figure(**{k: v for k, v in any_item.items() if k != "verdict"}).goal_text
        cells = [_cell(row.get(column)) for column in columns]
        lines.append(f"| {name} | {goal} | {' | '.join(cells)} |")
    why = [
        f"- {name}: {'; '.join(net['reasons'])}."
        for name, net in results["nets"].items()
        if net["reasons"]
    ]
    left_out = {
        f"- {method}, {name}: {text}."
        for name, net in results["nets"].items()
        for method, text in net["not_run"].items()
    }
    about = f"{words_of(results['machine'])}."
    return "\n".join([about, "", *lines, "", "Why missed:", "", *why, *sorted(left_out), ""])


def _seeds(runs: list[Any]) -> str:
    return f"{len(runs)} seed{'' if len(runs) == 1 else 's'}"


def _cell(item: dict[str, Any] | None) -> str:
    if item is None:
        return ""
    text = f"{shown(item['value'])} {item['unit']}".strip()
    return f"**{text}, missed**" if item["verdict"] == "missed" else text


def written(results: dict[str, Any], as_json: Path | None, as_markdown: Path | None) -> None:
    """Writes what there is so far, so that a run that is ended keeps it."""
    if as_json:
        as_json.write_text(json.dumps(results, indent=2))
    if as_markdown:
        as_markdown.write_text(markdown(results))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compress")
    parser.add_argument("--net", choices=list(NETS), action="append")
    parser.add_argument("--space", choices=list(SPACES), action="append")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--measurements", type=int, default=100)
    parser.add_argument("--side", type=int, default=14, help="pixels of a picture's side")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--net-seed", type=int, default=0, help="of the training of the net")
    parser.add_argument("--without", choices=list(METHODS), action="append", help="costs too much")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", action="store_true", help="to what the JSON file holds")
    parser.add_argument("--markdown", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    require("torch", for_="the benchmark").set_num_threads(1)
    left_out = "not run: left out by --without"
    missing = {**not_run(), **dict.fromkeys(asked.without or (), left_out)}
    results: dict[str, Any] = {"machine": machine(), "nets": {}}
    if asked.add and asked.json:
        results["nets"] = json.loads(asked.json.read_text())["nets"]
    say(words_of(results["machine"]))
    for net in asked.net or ["mlp", "resnet8", "resnet20"]:
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder) / ".workbench")
            start = time.process_time()
            engine = trained_engine(store, net, asked.side, asked.epochs, asked.net_seed)
            oracle = Oracle(engine)
            say(f"\n{net}: score {oracle.base.score:.4f}, {oracle.base.size_bytes / 1000:.1f} kB")
            for space in asked.space or SPACES:
                seeds = list(range(asked.seeds))
                runs, extra = run(oracle, space, asked.measurements, seeds, missing)
                name = f"{net}, {space}"
                results["nets"][name] = report(name, runs, extra, asked.measurements, missing)
                written(results, asked.json, asked.markdown)
            say(f"  in {time.process_time() - start:.0f} CPU-s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
