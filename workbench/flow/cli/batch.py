"""Commands around the road: demo, run, runs, methods, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.core.lazy import lazy
from workbench.flow.cli.app import Json, app, emit, parse_options, say, table, workspace

if TYPE_CHECKING:
    from workbench.flow import demo as flow_demo
    from workbench.flow import doctor as flow_doctor
    from workbench.flow import pipeline, plugin_kinds
else:
    flow_demo = lazy("workbench.flow.demo")
    flow_doctor = lazy("workbench.flow.doctor")
    pipeline = lazy("workbench.flow.pipeline")
    plugin_kinds = lazy("workbench.flow.plugin_kinds")

Parameters = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", help="A parameter, as in -p epochs=3.")
]


@app.command()
def demo(
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path(
        "reports/demo.html"
    ),
    as_json: Json = False,
) -> None:
    """Walk the whole road on real data: train, compress, register, serve."""
    result = flow_demo.run_demo(workspace(), report, is_shown=not as_json)
    emit(result, as_json, flow_demo.closing_words(result))


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A shipped pipeline, or the path of a notebook.")],
    parameter: Parameters = None,
    output: Annotated[Path | None, typer.Option(help="Copy the executed notebook here.")] = None,
    as_json: Json = False,
) -> None:
    """Execute a pipeline; what was done before is not done again."""
    done = pipeline.run_pipeline(
        workspace().store,
        name,
        parse_options(parameter),
        output=output,
        is_shown=not as_json,
    )
    facts = {"run": f"run:{done.run_id}", "notebook": str(output or done.notebook)}
    emit(facts, as_json, f"{facts['run']}  {facts['notebook']}")


@app.command()
def runs(
    kind: Annotated[str | None, typer.Option(help="train, import, pipeline, …")] = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    rows = [
        {
            "run": run.ref,
            "kind": run.record.kind,
            "status": run.status,
            "created": run.record.created[:19].replace("T", " "),
        }
        for run in workspace().runs(kind)
    ]
    emit(rows, as_json, table(rows))


@app.command()
def methods(
    kind: Annotated[str, typer.Argument(help="methods, families, sources, …")] = "methods",
    as_json: Json = False,
) -> None:
    """List the plug-ins of a kind, and why some cannot be used here."""
    rows = plugin_kinds.rows(kind)
    shown = [{"name": r["key"], "summary": r["reason"] or r["summary"]} for r in rows]
    emit(rows, as_json, table(shown))
    if not as_json:
        say(f"\nKinds: {', '.join(plugin_kinds.kinds())}")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine and installation can do, and what is wrong with them."""
    findings = flow_doctor.examine(lambda: workspace().store)
    emit(findings, as_json, table(findings))
