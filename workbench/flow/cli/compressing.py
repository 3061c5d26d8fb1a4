"""Commands of compression: compress, compare, and bench for other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.core.errors import InputError
from workbench.flow.cli.app import Json, app, emit, workspace

_DATA = "A dataset's ref, or what `load` takes (digits, a CSV file, a folder)."
_MODEL = "A run:, study: or model: ref, or an ONNX file of your own (with --data)."
_STUDY = "A study's ref."

bench = typer.Typer(help="Time a study's variants on another machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@app.command()
def compress(
    model: Annotated[str, typer.Argument(help=_MODEL)],
    data: Annotated[str | None, typer.Option(help=_DATA)] = None,
    max_drop: Annotated[float, typer.Option(help="Largest loss of the score, absolute.")] = 0.01,
    max_size: Annotated[str | None, typer.Option(help="Largest file, as in 60kB.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Largest latency.")] = None,
    minimize: Annotated[str, typer.Option(help="size_bytes or latency_ms.")] = "size_bytes",
    budget: Annotated[str, typer.Option(help="Wall time, as in 60s or 2min.")] = "60 s",
    metric: Annotated[str | None, typer.Option(help="What the score is.")] = None,
    as_json: Json = False,
) -> None:
    """Search the best compressed variant within limits and a time; Ctrl-C returns the best yet."""
    space = workspace()
    best = space.compress(
        model,
        None if data is None else space.load(data),
        max_drop=max_drop,
        max_size=max_size,
        max_latency_ms=max_latency_ms,
        minimize=minimize,
        budget=budget,
        metric=metric,
    )
    words = best.found.words if best.found is not None else ""
    emit(best.to_json(), as_json, f"{best.ref}  {best}\n{words}")


@app.command()
def compare(
    variant: Annotated[str, typer.Argument(help="A variant's ref.")],
    as_json: Json = False,
) -> None:
    """Say what a variant changes: flipped answers, harmed classes, calibration, blame."""
    space = workspace()
    if not variant.startswith("variant:"):
        raise InputError(
            f"'{variant}' is no variant.",
            hint="As in variant:1f1d7a02e3a7; `workbench study` lists.",
        )
    study, found = space.variant(variant)
    compared: Any = study.compare(found)
    emit(compared.to_json(), as_json, str(compared))


@bench.command(name="export")
def bench_export(
    study: Annotated[str, typer.Argument(help=_STUDY)],
    folder: Annotated[Path, typer.Argument(help="Where to; made if it is not there.")],
    as_json: Json = False,
) -> None:
    """Write a folder that needs only numpy and onnxruntime to time the variants elsewhere."""
    made = workspace().study(study).export_bench(folder)
    words = f"{made}: copy it to the machine, run `python measure_here.py` there, and bring back\n"
    words += f"result.json for `workbench bench import {study} result.json`."
    emit({"folder": str(made)}, as_json, words)


@bench.command(name="import")
def bench_import(
    study: Annotated[str, typer.Argument(help=_STUDY)],
    result: Annotated[Path, typer.Argument(help="The result.json of measure_here.py.")],
    name: Annotated[str | None, typer.Option(help="What to call the machine.")] = None,
    as_json: Json = False,
) -> None:
    """Take what another machine measured as a further target of the study."""
    target = workspace().study(study).import_bench(result, name)
    facts = {"target": target.name, "machine": dict(target.machine), "files": len(target.figures)}
    words = f"{target.name} ({target.machine.get('cpu')}): {len(target.figures)} files timed"
    emit(facts, as_json, words)
