"""Starts steps: in a process of their own that outlives the kernel, or inline in batch."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.core.errors import CancelledError, StateError, UnexpectedError, WorkbenchError
from workbench.core.files import open_private, write_private
from workbench.core.host import start_detached
from workbench.core.storage import storage_error
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
    lock = store.runs.lock(run_id)
    if not lock.try_acquire():
        raise StateError(f"The run {run_id} is already being worked on.")
    context: RunContext | None = None
    with lock:
        try:
            store.runs.start(run_id)
            context = RunContext(store.runs, run_id, on_event)
            run_step(store, context, store.runs.proven(run_id), payload)
        except CancelledError:
            store.runs.finish(run_id, "cancelled")
        except Exception as error:
            failure = _failure(store, run_id, error)
            _fail(store, context, run_id, failure)
            if failure is error:
                raise
            raise failure from error
        else:
            store.runs.finish(run_id, "succeeded")
        finally:
            if context is not None:
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
    with (
        open_private(folder / "stdout.txt", "ab") as out,
        open_private(folder / "stderr.txt", "ab") as err,
    ):
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


def _failure(store: Store, run_id: str, error: Exception) -> WorkbenchError:
    """Returns what a step raised, in words; what nobody foresaw with the place of its traceback."""
    if isinstance(error, WorkbenchError):
        return error
    return storage_error(error, root=store.home.root) or UnexpectedError(
        f"{type(error).__name__}: {error}",
        hint=f"The traceback is in runs/{run_id}/traceback.txt of the workspace.",
    )


def _fail(store: Store, context: RunContext | None, run_id: str, error: WorkbenchError) -> None:
    """Records a failure: the reason first, since on a full disk there may be space for no more."""
    store.runs.finish(run_id, "failed", error)
    with suppress(OSError):
        write_private(store.runs.directory(run_id) / "traceback.txt", traceback.format_exc())
    if context is not None:
        with suppress(OSError):
            context.event("failed", error=error.to_dict())
