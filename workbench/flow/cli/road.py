"""Commands of the road: load, train, import, evaluate, export, study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.flow.cli.app import Json, Options, app, emit, parse_options, say, table, workspace

_DATA = "A dataset's ref, or what `load` takes (digits, a CSV file, a folder)."
_LONGEST_STOP_S = 30
_GOES_ON = 'wb.run("{}").resume() goes on from here; train --detach runs in the background.'
_TARGET = "For tables: the column to predict."
_MODEL = "A run:, variant:, study: or model: ref."


@app.command()
def load(
    source: Annotated[str, typer.Argument(help="digits, a CSV or Parquet file, a folder, …")],
    target: Annotated[str | None, typer.Option(help=_TARGET)] = None,
    option: Options = None,
    as_json: Json = False,
) -> None:
    """Prepare data: split, statistics of train, findings, fingerprint."""
    data = workspace().load(source, **_targeted(target), **parse_options(option))
    facts = data.to_json()
    emit(facts, as_json, _data_text(facts))


@app.command()
def train(
    data: Annotated[str, typer.Argument(help=_DATA)],
    family: Annotated[str | None, typer.Option(help="linear, mlp, cnn, resnet, …")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training split.")] = 10,
    seed: Annotated[int, typer.Option(help="Draws weights and order.")] = 0,
    target: Annotated[str | None, typer.Option(help=_TARGET)] = None,
    option: Options = None,
    detach: Annotated[bool, typer.Option(help="Return at once; the run goes on.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model in a process of its own."""
    space = workspace()
    dataset = space.load(data, **_targeted(target))
    options = {"epochs": epochs, "seed": seed, **parse_options(option)}
    run = space.train(dataset, family, **options)
    if detach:
        emit(_run_facts(run), as_json, _run_text(run))
        return
    try:
        run.wait(progress=not as_json)
    except KeyboardInterrupt:
        _stop(run, as_json)
        raise
    beside = dataset.baseline
    emit({**_run_facts(run), "baseline": beside}, as_json, _run_text(run) + _beside(beside))


@app.command(name="import")
def import_model(
    path: Annotated[str, typer.Argument(help="An ONNX file.")],
    data: Annotated[str | None, typer.Option(help=_DATA)] = None,
    metric: Annotated[str | None, typer.Option(help="Key of a metric to score by.")] = None,
    as_json: Json = False,
) -> None:
    """Bring in an ONNX file of your own."""
    space = workspace()
    dataset = None if data is None else space.load(data)
    run = space.import_model(Path(path), dataset, metric=metric)
    emit(_run_facts(run), as_json, _run_text(run))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help=_MODEL)],
    data: Annotated[str | None, typer.Option(help=_DATA)] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    as_json: Json = False,
) -> None:
    """Score a model's ONNX file on a split."""
    space = workspace()
    dataset = None if data is None else space.load(data)
    metrics = space.evaluate(model, dataset, split)
    emit(metrics, as_json, table([{"metric": k, split: v} for k, v in metrics.items()]))


@app.command()
def export(
    model: Annotated[str, typer.Argument(help=_MODEL)],
    path: Annotated[str | None, typer.Argument(help="Where to copy the file to.")] = None,
    exporter: Annotated[str, typer.Option(help="Key of the exporter.")] = "onnx",
    as_json: Json = False,
) -> None:
    """Write a model as ONNX, checked against the module it came from."""
    done = workspace().export(model, path, exporter)
    facts = {
        "path": str(done.path),
        "size_bytes": done.size_bytes,
        "artifact": done.artifact.digest,
        "parity": None if done.parity is None else dict(done.parity),
        "notes": list(done.notes),
    }
    emit(facts, as_json, f"{done.path}  {done.size_bytes:,} B")


@app.command()
def study(
    model: Annotated[str, typer.Argument(help=_MODEL)],
    recipe: Annotated[list[str] | None, typer.Argument(help="Recipes to measure.")] = None,
    data: Annotated[str | None, typer.Option(help=_DATA)] = None,
    as_json: Json = False,
) -> None:
    """Measure recipes, as in: workbench study run:ID "prune:0.5 + quantize_static:8"."""
    space = workspace()
    opened = space.study(model, None if data is None else space.load(data))
    for text in recipe or ():
        variant = opened.measure(text)
        if not as_json:
            say(f"{variant.ref}  {variant}")
    emit(opened.to_json(), as_json, f"{opened.ref}\n{opened.table()}")


def _stop(run: Any, as_json: bool) -> None:
    """Ctrl-C in the shell stops what was started there; what is best so far is kept."""
    if not run.record.is_finished:
        run.stop().wait(_LONGEST_STOP_S, progress=False)
    emit(_run_facts(run), as_json, f"{_run_text(run)}\n{_GOES_ON.format(run.ref)}")


def _targeted(target: str | None) -> dict[str, str]:
    return {} if target is None else {"target": target}


def _beside(baseline: dict[str, Any] | None) -> str:
    if baseline is None:
        return ""
    metric = f"{baseline['split']}_{baseline['metric']}"
    return f"\nBeside it: scikit-learn's {baseline['model']}, {metric} {baseline['score']:.4g}"


def _data_text(facts: dict[str, Any]) -> str:
    counts = ", ".join(f"{part} {count:,}" for part, count in facts["samples"].items())
    head = [
        facts["ref"],
        f"{facts['modality']} {facts['shape_words']}, {facts['task']}; {counts}",
    ]
    if facts["labels"]:
        head.append(f"{len(facts['labels'])} labels: {', '.join(facts['labels'][:12])}")
    findings = [f"! {finding['message']}" for finding in facts["findings"]]
    return "\n".join([*head, *findings])


def _run_facts(run: Any) -> dict[str, Any]:
    record = run.record
    return {
        "ref": run.ref,
        "id": run.id,
        "kind": record.kind,
        "status": record.status,
        "metrics": run.metrics,
        "error": record.error,
    }


def _run_text(run: Any) -> str:
    rows = [{"metric": name, "value": value} for name, value in run.metrics.items()]
    return f"{run.ref}  {run.status}\n{table(rows) if rows else ''}".rstrip()
