"""Starts steps: in a process of their own that outlives the kernel, or inline in batch."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.core.errors import CancelledError, StateError, UnexpectedError, WorkbenchError
from workbench.core.host import FileLock, start_detached
from workbench.flow.steps import run_step
from workbench.store import RunContext, Store

EventSink = Callable[[str, Mapping[str, Any]], None]


def execute(
    store: Store, run_id: str, payload: Any = None, on_event: EventSink | None = None
) -> None:
    """Runs a step to its end in this process and records how it ended.

    Args:
        store: The workspace.
        run_id: A run that nothing works on.
        payload: What cannot be stored, as a module defined in a cell.
        on_event: Called with each event as it happens.

    Raises:
        WorkbenchError: The step failed; the run has the same error on record.
    """
    lock = FileLock(store.runs.lock_path(run_id))
    if not lock.try_acquire():
        raise StateError(f"The run {run_id} is already being worked on.")
    with lock:
        store.runs.start(run_id)
        context = RunContext(store.runs, run_id, on_event)
        try:
            run_step(store, context, store.runs.proven(run_id), payload)
        except CancelledError:
            store.runs.finish(run_id, "cancelled")
        except WorkbenchError as error:
            _fail(store, context, run_id, error)
            raise
        except Exception as error:
            unexpected = UnexpectedError(
                f"{type(error).__name__}: {error}",
                hint=f"The traceback is in runs/{run_id}/traceback.txt of the workspace.",
            )
            _fail(store, context, run_id, unexpected)
            raise unexpected from error
        else:
            store.runs.finish(run_id, "succeeded")
        finally:
            context.event("finished", status=store.runs.get(run_id).status)
            context.close()


def start(store: Store, run_id: str, payload: bytes | None = None) -> subprocess.Popen[bytes]:
    """Starts a step in a fresh interpreter with a session of its own.

    Args:
        store: The workspace.
        run_id: A run that nothing works on.
        payload: A cloudpickle of what cannot be stored. It goes through a pipe to our own child
            and never to disk.
    """
    folder = store.runs.directory(run_id)
    command = [sys.executable, "-P", "-m", "workbench.flow.child", str(store.home.root), run_id]
    with (folder / "stdout.txt").open("ab") as out, (folder / "stderr.txt").open("ab") as err:
        process = start_detached(
            command,
            stdin=subprocess.PIPE if payload is not None else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=_environment(payload),
        )
    store.runs.worked_on_by(run_id, process.pid)
    if payload is not None and process.stdin is not None:
        _send(process, payload)
    return process


def last_words(folder: Path, lines: int = 15) -> str:
    """Returns the end of what a step's process wrote on its standard error."""
    path = folder / "stderr.txt"
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _environment(payload: bytes | None) -> dict[str, str]:
    if payload is None:
        return {"WORKBENCH_PAYLOAD": ""}
    # A class imported from the user's own file travels by name: the child looks where we look.
    return {"WORKBENCH_PAYLOAD": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def _send(process: subprocess.Popen[bytes], payload: bytes) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(payload)
        process.stdin.close()
    except BrokenPipeError:
        process.wait()


def _fail(store: Store, context: RunContext, run_id: str, error: WorkbenchError) -> None:
    (context.directory / "traceback.txt").write_text(traceback.format_exc())
    context.event("failed", error=error.to_dict())
    store.runs.finish(run_id, "failed", error)
