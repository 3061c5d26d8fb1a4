"""Commands of the screen: lab and dashboards. They start JupyterLab and Voila, nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.core.errors import MissingDependencyError, NotFoundError
from workbench.core.host import become
from workbench.core.optional import is_installed
from workbench.flow.cli.app import app, say, workspace

_HERE = Path(__file__).parents[3] / "notebooks"
_SHIPPED = Path(__file__).parents[1] / "notebooks"
_TUTORIAL, _DASHBOARD = "tutorials/01-first-model.ipynb", "dashboards/tradeoff.ipynb"
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_PASSED_ON)
def lab(
    context: typer.Context,
    notebook: Annotated[str | None, typer.Argument(help="By default the first tutorial.")] = None,
) -> None:
    """Open JupyterLab on the first tutorial. Further options go to `jupyter lab`."""
    _require("jupyterlab")
    path = Path(notebook) if notebook else _own_copy(_TUTORIAL)
    if not path.is_file():
        raise NotFoundError(f"There is no notebook '{path}'.")
    become([sys.executable, "-m", "jupyterlab", str(path), *context.args])


@app.command(context_settings=_PASSED_ON)
def dashboards(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8866,
) -> None:
    """Serve the trade-off dashboard by Voila, read-only. Further options go to Voila."""
    _require("voila")
    if not workspace().store.studies.all():
        say("No study yet: the dashboard will say so. `workbench demo` makes one in a minute.")
    command = [sys.executable, "-m", "voila", str(_found(_DASHBOARD)), f"--port={port}"]
    become([*command, "--Voila.ip=127.0.0.1", *context.args])


def _found(name: str) -> Path:
    for folder in (_HERE, _SHIPPED):
        if (folder / name).is_file():
            return folder / name
    raise NotFoundError(f"The notebook '{name}' did not come with this installation.")


def _own_copy(name: str) -> Path:
    """Returns the notebook in a checkout, else a copy in the current folder to work in."""
    source = _found(name)
    if source.is_relative_to(_HERE):
        return source
    copy = Path(source.name)
    if not copy.exists():
        shutil.copyfile(source, copy)
    return copy


def _require(module: str) -> None:
    if not is_installed(module):
        raise MissingDependencyError(f"{module} is not installed.", hint=f"pip install {module}")
