"""Commands of monitoring: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.core.lazy import lazy
from workbench.flow.cli.app import Json, Options, app, emit, parse_options, workspace

if TYPE_CHECKING:
    from workbench.flow import endpoint as flow_endpoint
    from workbench.flow import monitoring as flow_monitoring
else:
    flow_endpoint = lazy("workbench.flow.endpoint")
    flow_monitoring = lazy("workbench.flow.monitoring")

monitor = typer.Typer(help="Endpoints in Prometheus and Grafana.", no_args_is_help=True)
app.add_typer(monitor, name="monitor")


@monitor.callback()
def _group() -> None:
    """Endpoints in Prometheus and Grafana."""


@monitor.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to; made if it is new.")],
    endpoint: Annotated[
        list[str] | None, typer.Option(help="Only this id or model; by default all that run.")
    ] = None,
    url: Annotated[
        list[str] | None, typer.Option(help="An endpoint elsewhere, as https://HOST:PORT.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="With the token for --url.")] = None,
    option: Options = None,
    as_json: Json = False,
) -> None:
    """Write Prometheus' configuration and alerts and Grafana's dashboard.

    Options are limits, as in -o error_share=0.02 -o latency_ms=100 -o hold=5m.
    """
    store = workspace().store
    if endpoint:
        found = [flow_endpoint.find(store, name) for name in dict.fromkeys(endpoint)]
    else:
        found = [] if url else flow_endpoint.running(store)
    made = flow_monitoring.export(
        folder, found, urls=url or (), token_file=token_file, options=parse_options(option)
    )
    words = [f"Wrote {', '.join(made.files)} to {folder}."]
    words.append(f"Start it with: prometheus --config.file={folder / 'prometheus.yml'}")
    emit(made.to_json(), as_json, "\n".join(words))
