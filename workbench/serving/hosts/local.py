"""An endpoint as a process of its own on this machine; it outlives the notebook that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from workbench.core.errors import ConflictError, WorkbenchError, error_from_dict
from workbench.core.files import open_private, storing
from workbench.core.host import FileLock, is_read_only, start_detached
from workbench.core.ids import new_id
from workbench.core.own_folder import own_folder
from workbench.core.refs import check_name
from workbench.serving import discovery
from workbench.serving.discovery import EndpointInfo
from workbench.serving.errors import StartError
from workbench.serving.host import Host, Order
from workbench.store.leftovers import ALIVE

_MODULE = "workbench.serving.process"
_STEP_S = 0.01
_TAIL_CHARACTERS = 2000


class Local(Host):
    """A fresh interpreter in a session of its own, its output in the workspace."""

    summary = "A process on this machine, listening on 127.0.0.1"

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, order: Order, *, timeout_s: float = 60.0) -> EndpointInfo:
        """Starts the process and waits for its discovery file; see `Host.start`."""
        self.Config.parse(order.config, what=f"host '{self.key}'")
        return self.launch(order, timeout_s=timeout_s)

    def launch(
        self,
        order: Order,
        further: tuple[str, ...] = (),
        *,
        timeout_s: float = 60.0,
        module: str = _MODULE,
    ) -> EndpointInfo:
        """Starts a module as the process, with further arguments; see `Host.start`."""
        id_ = check_name(order.id or new_id(), what="an endpoint")
        if discovery.read(id_) is not None:
            raise ConflictError(
                f"The endpoint '{id_}' is running already.",
                hint="Stop it first, or take another id.",
            )
        folder = log_folder(order.home, id_)
        alive = FileLock(folder / ALIVE, is_shared=True)
        try:
            with storing("The endpoint's log"):
                alive.acquire()
                child = _started([*_command(module, order, id_), *further], folder)
            self._children[child.pid] = child
            return self._ready(child, id_, folder, timeout_s)
        finally:
            alive.release()  # by now the process holds it, too, or has ended

    def _ready(
        self, child: subprocess.Popen[bytes], id_: str, folder: Path, timeout_s: float
    ) -> EndpointInfo:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            info = discovery.read(id_)
            if info is not None:
                return info
            if child.poll() is not None:
                raise _reason(folder, child.returncode)
            time.sleep(_STEP_S)
        child.kill()
        raise StartError(
            f"The endpoint was not ready after {timeout_s:.0f} s.",
            hint=f"Its log is {folder / 'log'}.",
        )

    def stop(self, info: EndpointInfo, *, timeout_s: float = 30.0) -> None:
        """Sends SIGTERM and waits; kills a process that does not end in time."""
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if not discovery.is_alive(info):
                break
            os.kill(info.pid, number)
            self._wait(info, timeout_s)
        child = self._children.pop(info.pid, None)
        if child is not None:
            child.poll()
        discovery.forget(info)

    def _wait(self, info: EndpointInfo, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while discovery.is_alive(info) and time.monotonic() < deadline:
            time.sleep(_STEP_S)


def log_folder(home: Path, id_: str) -> Path:
    """Returns where an endpoint's output goes: elsewhere if its workspace can only be read."""
    root = own_folder() if is_read_only(home) else home
    return root / "endpoints" / id_


def _started(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (
        open_private(folder / "stdout", "wb") as out,
        open_private(folder / "log", "wb") as log,
    ):
        return start_detached(command, stdout=out, stderr=log)


def _command(module: str, order: Order, id_: str) -> list[str]:
    command = [sys.executable, "-P", "-m", module, *order.refs]
    command += ["--home", str(order.home), "--id", id_, "--port", str(order.port), "--quiet"]
    if order.name is not None:
        command += ["--name", order.name]
    return [*command, *order.options]


def _reason(folder: Path, code: int) -> WorkbenchError:
    """Returns why a process ended before it was ready: its own error, else the end of its log."""
    said = (folder / "stdout").read_text(encoding="utf-8", errors="replace").strip()
    try:
        return error_from_dict(json.loads(said)["error"])
    except (ValueError, KeyError, TypeError):
        log = (folder / "log").read_text(encoding="utf-8", errors="replace")
    return StartError(
        f"The endpoint ended with code {code} before it was ready.",
        problems=log[-_TAIL_CHARACTERS:].strip().splitlines(),
        hint=f"Its log is {folder / 'log'}.",
    )


PLUGIN = Local()
