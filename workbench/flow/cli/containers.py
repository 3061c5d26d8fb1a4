"""The command that writes a container's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.core.lazy import lazy
from workbench.flow.cli.app import Json, Options, app, emit, parse_options, workspace

if TYPE_CHECKING:
    from workbench.serving import container as serving_container
else:
    serving_container = lazy("workbench.serving.container")

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASSED_ON)
def container(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A registered model, as model:NAME@champion.")],
    folder: Annotated[Path, typer.Argument(help="Where to; new, or written by this before.")],
    name: Annotated[str | None, typer.Option(help="Serve it under this name.")] = None,
    option: Options = None,
    as_json: Json = False,
) -> None:
    """Write the folder of a container image that serves a model: Dockerfile, model, requirements.

    Further options are those of `workbench serve`, as `--workers 4`. No engine is needed here.
    """
    config = serving_container.ContainerConfig.parse(parse_options(option), what="the container")
    made = serving_container.write_context(
        workspace().store, [model], folder, config, name=name, options=context.args
    )
    shown = {
        "folder": str(made.folder),
        "image": made.image,
        "versions": list(made.versions),
        "entrypoint": list(made.entrypoint),
        "token_file": str(made.token_file),
    }
    words = f"Wrote {', '.join(made.versions)} to {folder}; see {folder / 'README.md'}."
    emit(shown, as_json, f"{words}\nBuild it with: docker build -t {made.image} {folder}")
