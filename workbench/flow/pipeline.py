"""Batch: a notebook with parameters, checked first, executed, kept even when it failed."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, RunFailedError, did_you_mean, unknown_name
from workbench.core.files import writing
from workbench.core.ids import digest_file
from workbench.core.optional import require
from workbench.core.storage import storage_error
from workbench.flow.batch import BATCH_VARIABLE
from workbench.flow.registering import NOTEBOOK_VARIABLE
from workbench.store import Store
from workbench.store.home import VARIABLE

_SHIPPED = Path(__file__).parent / "pipelines"
_CHECKOUT = Path(__file__).parents[2] / "notebooks" / "pipelines"
_KERNEL = "python3"
# The kernel listens on loopback and its messages carry a key; its log is for its makers.
_QUIET_KERNEL = ["--log-level=40"]


@dataclass(frozen=True)
class Executed:
    """An executed pipeline: its run and the notebook with its outputs."""

    run_id: str
    notebook: Path


def pipelines() -> dict[str, Path]:
    """Returns the shipped pipelines by name."""
    folder = _SHIPPED if _SHIPPED.is_dir() else _CHECKOUT
    return {path.stem: path for path in sorted(folder.glob("*.ipynb"))}


def find_pipeline(name: str) -> Path:
    """Returns the notebook of a shipped pipeline, or the user's own by path.

    Raises:
        NotFoundError: There is none.
    """
    path = Path(name).expanduser()
    if path.suffix == ".ipynb" and path.is_file():
        return path
    known = pipelines()
    if name not in known:
        raise unknown_name(
            "pipeline", name, known, hint=f"Known: {', '.join(known)}; or the path of a notebook."
        )
    return known[name]


def run_pipeline(
    store: Store,
    name: str,
    parameters: Mapping[str, Any],
    *,
    output: Path | None = None,
    is_shown: bool = True,
) -> Executed:
    """Executes a pipeline; steps that were done before with the same content are not repeated.

    Args:
        store: The workspace.
        name: A shipped pipeline or the path of a notebook.
        parameters: Values for its `parameters` cell.
        output: Where to copy the executed notebook to.
        is_shown: Whether what its cells print is passed on as it comes.

    Raises:
        InputError: A parameter that the notebook does not have; nothing was run.
        RunFailedError: A cell failed; the executed notebook is kept.
    """
    source = find_pipeline(name)
    papermill = _papermill()
    values = checked_parameters(papermill, source, parameters)
    record = store.runs.create("pipeline", {"pipeline": name, "parameters": values}, {})
    notebook = store.runs.directory(record.id) / "notebook.ipynb"
    executed = Executed(record.id, notebook)
    with store.runs.lock(record.id):
        store.runs.start(record.id)
        try:
            with _environment(store, source, record.id):
                _execute(papermill, source, notebook, values, is_shown)
        except papermill.PapermillExecutionError as error:
            failure = RunFailedError(
                f"Cell {error.exec_count or error.cell_index} of {source.name} failed: "
                f"{error.ename}: {error.evalue}",
                hint=f"The executed notebook is kept: {notebook}",
            )
            store.runs.finish(record.id, "failed", failure)
            raise failure from error
        except BaseException as error:
            reason = storage_error(error, root=store.home.root)
            store.runs.finish(record.id, "cancelled" if reason is None else "failed", reason)
            raise
        else:
            store.runs.finish(record.id, "succeeded")
        finally:
            _copy(notebook, output)
    return executed


def _copy(notebook: Path, output: Path | None) -> None:
    if output is not None and notebook.exists():
        with writing(output):
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(notebook.read_bytes())


def checked_parameters(
    papermill: Any, source: Path, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the parameters if the notebook has them all.

    Raises:
        InputError: Some it does not have, each with the nearest that it has.
    """
    try:
        known = papermill.inspect_notebook(str(source))
    except ValueError as error:
        raise InputError(
            f"{source.name} cannot be read as a notebook with a kernel: {error}",
            hint="Open it in JupyterLab with a Python kernel and save it.",
        ) from error
    unknown = [name for name in parameters if name not in known]
    if unknown:
        defaults = ", ".join(f"{name}={item['default']}" for name, item in known.items())
        raise InputError(
            f"{source.name} does not have all of these parameters.",
            problems=[f"'{name}'{did_you_mean(name, known)}" for name in unknown],
            hint=f"It has: {defaults}.",
        )
    return dict(parameters)


def _execute(
    papermill: Any, source: Path, notebook: Path, values: dict[str, Any], is_shown: bool
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        papermill.execute_notebook(
            str(source),
            str(notebook),
            parameters=values,
            kernel_name=_KERNEL,
            progress_bar=False,
            extra_arguments=_QUIET_KERNEL,
            stdout_file=sys.stdout if is_shown else None,
            stderr_file=sys.stderr if is_shown else None,
            cwd=str(Path.cwd()),
        )


@contextmanager
def _environment(store: Store, source: Path, run_id: str) -> Iterator[None]:
    """Tells the kernel that it works in batch, in this workspace."""
    values = {
        BATCH_VARIABLE: run_id,
        VARIABLE: str(store.home.root),
        NOTEBOOK_VARIABLE: digest_file(source),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this interpreter's kernel, not another one's of the user
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _papermill() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require("papermill", for_="running a pipeline")
