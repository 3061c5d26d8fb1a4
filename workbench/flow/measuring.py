"""Measuring in a process of its own, so that nothing else in the kernel spoils the figures.

One worker belongs to one study handle; on the host only one worker at a time takes latencies. It
ends with the kernel, or after a while without work, and is started anew when there is some.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from workbench.core.errors import CancelledError, RunFailedError, error_from_dict
from workbench.core.files import open_private
from workbench.flow import own_code
from workbench.store import Store

EventSink = Callable[[str, Mapping[str, Any]], None]
_IDLE_S = 120.0
_GRACE_S, _LATE_GRACE_S = 3.0, 0.3


class MeasuringWorker:
    """Sends recipes to a child process and returns what it measured.

    Args:
        store: The workspace.
        study_id: The study.
        live: The live module and its loss, if the model belongs to no family.
    """

    def __init__(self, store: Store, study_id: str, live: Any = None) -> None:
        self._store = store
        self._study_id = study_id
        self._live = live
        self._process: subprocess.Popen[bytes] | None = None
        self._plugins = b""  # a cell that defines one anew starts a new worker
        self._turn = threading.Lock()
        self._idle: threading.Timer | None = None
        self._number = 0
        self._is_late = False

    def start(self) -> None:
        """Starts the process, so that it is there when it is asked; not while it is at work."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._cancel_idle()
            self._started(own_code.packed(None))
            self._idle = _after(_IDLE_S, self._close_if_idle)
        finally:
            self._turn.release()

    def measure(self, recipe: Any, on_event: EventSink) -> dict[str, Any]:
        """Returns the figures of a recipe (its JSON form), measured by the worker.

        An interruption (Ctrl-C, the kernel's stop button) ends the worker at once.

        Raises:
            WorkbenchError: Whatever the measurement raised.
        """
        return dict(self.ask({"task": "measure", "recipe": recipe}, on_event)["measured"])

    def ask(self, task: Mapping[str, Any], on_event: EventSink) -> dict[str, Any]:
        """Returns the answer to a task of `measuring_child`; ends the worker if interrupted.

        Args:
            task: What to do. After its `within_s` seconds, if it says so, it is cancelled: an
                export tells nothing for seconds, in which no event gives an occasion to.
            on_event: Called with each event.

        Raises:
            CancelledError: The time was over.
            WorkbenchError: Whatever the task, or `on_event`, raised.
        """
        with self._turn:
            self._cancel_idle()
            plugins = own_code.packed(None)
            is_running = self._is_running_with(plugins)
            process = self._started(plugins)
            late = self._ended_late(task)
            try:
                if not is_running:
                    on_event("progress", {"done": 0, "total": 1, "note": "starting"})
                _send(process, task)
                return self._answer(process, on_event)
            except BaseException as error:
                if not isinstance(error, Exception):
                    self.close()
                raise
            finally:
                if late is not None:
                    late.cancel()
                self._number += 1
                self._idle = _after(_IDLE_S, self._close_if_idle)

    def cancel(self, grace_s: float = _GRACE_S) -> None:
        """Ends the measurement under way, the worker stays; one that does not heed is killed."""
        process = self._process
        if process is None or not self._turn.locked():
            return
        number = self._number
        process.send_signal(signal.SIGUSR1)
        _after(grace_s, self._kill_if_still_at, number)

    def close(self) -> None:
        """Ends the worker; the next measurement starts a new one."""
        self._cancel_idle()
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def __del__(self) -> None:
        self.close()

    def _ended_late(self, task: Mapping[str, Any]) -> threading.Timer | None:
        """Starts the clock of a task that has a limited time."""
        self._is_late = False
        seconds = task.get("within_s")
        return None if seconds is None else _after(max(seconds, 0.0), self._be_late)

    def _be_late(self) -> None:
        self._is_late = True
        self.cancel(_LATE_GRACE_S)

    def _is_running_with(self, plugins: bytes) -> bool:
        is_alive = self._process is not None and self._process.poll() is None
        return is_alive and self._plugins == plugins

    def _started(self, plugins: bytes) -> subprocess.Popen[bytes]:
        if self._process is None or not self._is_running_with(plugins):
            self.close()
            self._plugins, code = plugins, own_code.packed(self._live)
            log = self._store.home.root / "measuring.log"
            with open_private(log, "wb") as stderr:
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-P", "-m", "workbench.flow.measuring_child"),
                        *(str(self._store.home.root), self._study_id, str(len(code))),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                )
            if code and self._process.stdin is not None:
                self._process.stdin.write(code)
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], on_event: EventSink) -> dict[str, Any]:
        stopped: CancelledError | None = None
        stream = process.stdout if process.stdout is not None else ()
        for line in stream:
            message = json.loads(line)
            if stopped is not None and "kind" not in message:
                raise stopped
            if "answer" in message:
                return dict(message["answer"])
            if "error" in message:
                raise error_from_dict(message["error"])
            if stopped is None:
                stopped = self._told(on_event, message)
        self.close()  # it may not be quite dead yet; the next measurement must not send to it
        if self._is_late:
            raise CancelledError("The time for this measurement is over; it was not finished.")
        raise stopped or RunFailedError(
            "The measuring process ended without an answer.",
            hint="Perhaps the machine ran out of memory; its log is measuring.log in the "
            "workspace. Measuring again starts a new one.",
        )

    def _told(self, on_event: EventSink, message: Mapping[str, Any]) -> CancelledError | None:
        """Passes an event on; who takes it may stop the work by a `CancelledError`."""
        try:
            on_event(message["kind"], message["data"])
        except CancelledError as error:
            self.cancel()
            return error
        except BaseException:
            self.close()  # its answer would be taken for that to the next question
            raise
        return None

    def _kill_if_still_at(self, number: int) -> None:
        if self._number == number and self._turn.locked():
            self.close()

    def _close_if_idle(self) -> None:
        if self._turn.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._turn.release()

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _after(seconds: float, work: Callable[..., None], *arguments: Any) -> threading.Timer:
    """Returns a started timer that does not keep the process alive."""
    timer = threading.Timer(seconds, work, arguments)
    timer.daemon = True
    timer.start()
    return timer


def _send(process: subprocess.Popen[bytes], task: Mapping[str, Any]) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(json.dumps(dict(task)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        process.wait()
