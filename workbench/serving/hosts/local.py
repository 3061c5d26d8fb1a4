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
from workbench.core.host import start_detached
from workbench.core.ids import new_id
from workbench.core.refs import check_name
from workbench.serving import discovery
from workbench.serving.discovery import EndpointInfo
from workbench.serving.errors import StartError
from workbench.serving.host import Host, Order

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
        folder = order.home / "endpoints" / id_
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "stdout").open("wb") as out, (folder / "log").open("wb") as log:
            command = [*_command(module, order, id_), *further]
            child = start_detached(command, stdout=out, stderr=log)
        self._children[child.pid] = child
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
