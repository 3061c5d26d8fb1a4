"""Commands of endpoints: serve, predict, stop, ps, endpoints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.core.errors import InputError
from workbench.core.host import become
from workbench.core.lazy import lazy
from workbench.flow.cli.app import Json, Why, app, emit, table, workspace
from workbench.serving.traffic import parse_weights

if TYPE_CHECKING:
    from workbench.flow import endpoint as flow_endpoint
else:
    flow_endpoint = lazy("workbench.flow.endpoint")

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASSED_ON)
def serve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A ref, or an ONNX file.")],
    name: Annotated[str | None, typer.Option(help="Serve it under this name.")] = None,
    port: Annotated[int, typer.Option(help="0 lets the system choose.")] = 0,
    as_json: Json = False,
) -> None:
    """Serve a model in the foreground, until SIGTERM or Ctrl-C.

    Further options: --threads, --max-batch, --max-queue, --max-body, --max-buffered,
    --max-picture-pixels, --max-decoding, --drain, --no-log, --log-size, --log-days, --hung-after,
    --run-hung-after, --start-within, --token-file, --allow-host, --id, --traffic, --workers,
    --keep-payloads, --redact, --idle-stop, --tls, --root-path, --trusted-proxy,
    --identity-header, --jwks, --jwt-issuer, --jwt-audience, --grpc-port.
    """
    space = workspace()
    command = [sys.executable, "-P", "-m", "workbench.serving.process", space.servable(model)]
    command += ["--home", str(space.store.home.root), "--port", str(port)]
    command += ["--name", name] if name else []
    command += ["--json"] if as_json else []
    become([*command, *context.args])


@app.command()
def predict(
    endpoint: Annotated[str, typer.Argument(help="An endpoint's id, or a model it serves.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, sentences, or JSON (a row, a list).")],
    as_json: Json = False,
) -> None:
    """Ask a running endpoint."""
    found = flow_endpoint.find(workspace().store, endpoint)
    answers = [item for text in inputs for item in found.predict(_read(text))]
    shown = [{"answer": a.words, "scores": _top(dict(a.scores))} for a in answers]
    emit([answer.to_json() for answer in answers], as_json, table(shown))


@app.command()
def traffic(
    endpoint: Annotated[str, typer.Argument(help="An endpoint's id, or a model it serves.")],
    weights: Annotated[
        list[str] | None, typer.Argument(help="As in champion=90 canary=10; none only tells.")
    ] = None,
    sticky: Annotated[str | None, typer.Option(help="Header that keeps a caller put.")] = None,
    shadow: Annotated[str | None, typer.Option(help="Version that gets copies.")] = None,
    max_errors: Annotated[float | None, typer.Option(help="Share of errors, 0 to 1.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="For 95 % of answers.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Back to the first version.")] = False,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Share a model's requests out among its versions: canary, shadow, error budget."""
    found = flow_endpoint.find(workspace().store, endpoint)
    limits = {"errors": max_errors, "latency_ms": max_latency_ms}
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    report = found.traffic(
        {} if clear else parse_weights(",".join(weights)) if weights else None,
        sticky=sticky,
        shadow=shadow,
        budget=budget or None,
        model=endpoint if endpoint in found.models else None,
        why=why,
    )
    rows = [
        {
            "version": row.version,
            "alias": row.alias,
            "share": row.share,
            "requests": row.requests,
            "errors": row.errors,
            "shadow": ", ".join(f"{count} {what}" for what, count in row.shadow.items() if count),
        }
        for row in report.versions
    ]
    words = [table(rows)]
    if report.taken_back is not None:
        back = report.taken_back
        words.append(f"Version {back['version']} was taken back: {back['reason']}.")
    emit(report.to_json(), as_json, "\n".join(words))


@app.command()
def serving(
    endpoint: Annotated[str, typer.Argument(help="An endpoint's id, or a model it serves.")],
    load: Annotated[
        list[str] | None, typer.Option(help="NAME or NAME@VERSION of the registry.")
    ] = None,
    unload: Annotated[list[str] | None, typer.Option(help="NAME or NAME@VERSION.")] = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """List what an endpoint serves; load and unload models while it runs."""
    found = flow_endpoint.find(workspace().store, endpoint)
    for model in load or ():
        found.load(model, why=why)
    for model in unload or ():
        found.unload(model, why=why)
    rows = found.index()
    emit([row.to_json() for row in rows], as_json, table([vars(row) for row in rows]))


@app.command()
def stop(
    endpoint: Annotated[
        str | None, typer.Argument(help="An endpoint's id or model, or a run: ref.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Stop every endpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Stop an endpoint after it has answered what it owes, or a run within one batch."""
    if endpoint is not None and endpoint.startswith("run:"):
        run = workspace().run(endpoint).stop()
        emit({"stopped": [run.ref]}, as_json, f"Asked {run.ref} to stop; what it has is kept.")
        return
    store = workspace().store
    if everything:
        found = flow_endpoint.running(store)
    elif endpoint is not None:
        found = [flow_endpoint.find(store, endpoint)]
    else:
        raise InputError("Got no endpoint to stop.", hint="Name one, or give --all.")
    for item in found:
        item.stop()
    stopped = [item.ref for item in found]
    emit({"stopped": stopped}, as_json, f"Stopped {', '.join(stopped) or 'nothing'}.")


@app.command()
def endpoints(as_json: Json = False) -> None:
    """List the endpoints that run."""
    _list(as_json)


@app.command()
def ps(as_json: Json = False) -> None:
    """List what works now: endpoints and unfinished runs."""
    _list(as_json, with_runs=True)


def _list(as_json: bool, *, with_runs: bool = False) -> None:
    space = workspace()
    rows = [
        {
            "ref": e.ref,
            "what": ", ".join(e.models),
            "at": f"failed: {e.failure}" if e.failure else e.url,
            "pid": e.info.pid,
            "since": e.info.started[:19].replace("T", " "),
        }
        for e in flow_endpoint.running(space.store)
    ]
    if with_runs:
        rows += [
            {
                "ref": run.ref,
                "what": run.record.kind,
                "at": run.status,
                "pid": "",
                "since": (run.record.started or "")[:19].replace("T", " "),
            }
            for run in space.runs()
            if not run.record.is_finished
        ]
    emit(rows, as_json, table(rows))


def _read(text: str) -> Any:
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InputError(f"This is not JSON: {text[:80]}", hint=str(error)) from error
    path = Path(text)
    return [path] if path.is_file() else [text]


def _top(scores: dict[str, float], count: int = 3) -> str:
    best = sorted(scores.items(), key=lambda item: -item[1])[:count]
    return ", ".join(f"{label} {score:.3f}" for label, score in best)
