"""Commands of the screen: lab and dashboards. They start JupyterLab and Voila, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from workbench.core.errors import MissingDependencyError, NotFoundError, UnsupportedError
from workbench.core.files import writing
from workbench.core.host import become, is_root
from workbench.core.optional import is_installed
from workbench.flow.cli.app import app, say, workspace

_HERE = Path(__file__).parents[3] / "notebooks"
_SHIPPED = Path(__file__).parents[1] / "notebooks"
_TUTORIAL, _DASHBOARD = "tutorials/01-first-model.ipynb", "dashboards/tradeoff.ipynb"
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
_SERVER = "workbench.widgets.dashboard_server"
# A Jupyter data folder with the page into which Voila puts a notebook.
_TEMPLATES = str(Path(__file__).parents[1] / "jupyter")
# What is shown comes from this server: no script, style, font or picture from elsewhere.
_OWN_PAGES = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; frame-ancestors 'self'"
)
# Voila loads every extension of JupyterLab that it finds; these three are what panels need.
_EXTENSIONS = (
    "anywidget",
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
)


@app.command(context_settings=_PASSED_ON)
def lab(context: typer.Context) -> None:
    """Open JupyterLab on the first tutorial, or on the notebook named first.

    Further options go to `jupyter lab`, as `--no-browser` or `--port=9000`.
    """
    _require("jupyterlab")
    given, options = _split(context.args)
    _refuse_root(options)
    path = Path(given) if given else _own_copy(_TUTORIAL)
    if not path.is_file():
        raise NotFoundError(
            f"There is no notebook '{path}'.", hint="Without a name the first tutorial is opened."
        )
    become([sys.executable, "-m", "jupyterlab", *_opening(path), "-y", *options])


@app.command(context_settings=_PASSED_ON)
def dashboards(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; the next free one.")] = 8866,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further name by which it may be called.")
    ] = None,
) -> None:
    """Serve the trade-off dashboard by Voila, read-only, or the notebook named first.

    Further options go to Voila, as `--no-browser` or `--theme=dark`.
    """
    _require("voila")
    given, options = _split(context.args)
    notebook = Path(given) if given else _found(_DASHBOARD)
    if not notebook.is_file():
        raise NotFoundError(
            f"There is no notebook '{notebook}'.", hint="Without a name the dashboard is served."
        )
    opened = workspace()
    if not opened.store.studies.all():
        say("No study yet: the dashboard will say so. `workbench demo` makes one in a minute.")
    # The kernel starts beside the notebook, which may lie in the installation.
    os.environ["WORKBENCH_HOME"] = str(opened.store.home.root)
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (_TEMPLATES, _jupyter_path())))
    command = [sys.executable, "-m", _SERVER, str(notebook), f"--port={port}"]
    become([*command, *_voila_options(allow_host or ()), *options])


def _jupyter_path() -> str:
    return os.environ.get("JUPYTER_PATH", "")


def _voila_options(hosts: Iterable[str]) -> list[str]:
    """Returns what Voila needs to be told: by itself it loads from anywhere."""
    settings = {"headers": {"Content-Security-Policy": _OWN_PAGES}}
    return [
        *(f"--Dashboards.allowed_hosts={host}" for host in hosts),
        "--Voila.ip=127.0.0.1",
        f"--Voila.tornado_settings={settings!r}",
        f"--VoilaConfiguration.extension_allowlist={json.dumps(list(_EXTENSIONS))}",
        "--VoilaConfiguration.template=workbench",
        "--VoilaConfiguration.allow_template_override=NO",
    ]


def _split(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Returns the notebook that was named, if any, and the options to pass on."""
    if arguments and arguments[0].endswith(".ipynb"):
        return arguments[0], arguments[1:]
    return None, arguments


def _opening(path: Path) -> list[str]:
    """Returns options that open `path`: beside it the current folder, where it lies below."""
    here = Path.cwd()
    if not path.resolve().is_relative_to(here):
        return [str(path)]
    below = path.resolve().relative_to(here).as_posix()
    return [f"--ServerApp.root_dir={here}", f"--LabApp.default_url=/lab/tree/{quote(below)}"]


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
        with writing(copy):
            shutil.copyfile(source, copy)
    return copy


def _refuse_root(options: list[str]) -> None:
    if is_root() and not any(
        "allow-root" in option or "allow_root" in option for option in options
    ):
        raise UnsupportedError(
            "JupyterLab does not run as root: its terminals and kernels could do anything here.",
            hint="Be another user, or, as in a container of your own, add --allow-root "
            '(make lab ARGS="--allow-root").',
        )


def _require(module: str) -> None:
    if not is_installed(module):
        raise MissingDependencyError(f"{module} is not installed.", hint=f"pip install {module}")
