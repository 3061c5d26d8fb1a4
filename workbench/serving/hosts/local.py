"""An endpoint as a process of its own on this machine; it outlives the notebook that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

from workbench.core.errors import WorkbenchError, error_from_dict
from workbench.core.host import start_detached
from workbench.core.ids import new_id
from workbench.serving import discovery
from workbench.serving.discovery import EndpointInfo
from workbench.serving.errors import StartError
from workbench.serving.host import Host, Order

_STEP_S = 0.01
_TAIL_CHARACTERS = 2000


class Local(Host):
    """A fresh interpreter in a session of its own, its output in the workspace."""

    summary = "A process on this machine, listening on 127.0.0.1"

    def start(self, order: Order, *, timeout_s: float = 60.0) -> EndpointInfo:
        """Starts the process and waits for its discovery file; see `Host.start`."""
        id_ = new_id()
        folder = order.home / "endpoints" / id_
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "stdout").open("wb") as out, (folder / "log").open("wb") as log:
            os.fchmod(out.fileno(), 0o600)
            process = start_detached(_command(order, id_), stdout=out, stderr=log)
        deadline = monotonic() + timeout_s
        while monotonic() < deadline:
            info = discovery.read(id_)
            if info is not None:
                return info
            try:
                process.wait(_STEP_S)
            except subprocess.TimeoutExpired:
                continue
            raise _reason(folder, process.returncode)
        process.kill()
        raise StartError(
            f"The endpoint was not ready after {timeout_s:.0f} s.",
            hint=f"Its log is {folder / 'log'}.",
        )

    def stop(self, info: EndpointInfo, *, timeout_s: float = 30.0) -> None:
        """Sends SIGTERM and waits; kills a process that does not end in time."""
        if not discovery.is_alive(info):
            return
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            try:
                os.kill(info.pid, number)
            except ProcessLookupError:
                return
            if _ended(info, timeout_s):
                return


def _command(order: Order, id_: str) -> list[str]:
    command = [sys.executable, "-m", "workbench.serving.process", *order.refs]
    command += ["--home", str(order.home), "--id", id_, "--port", str(order.port), "--json"]
    if order.name is not None:
        command += ["--name", order.name]
    return [*command, *order.options]


def _ended(info: EndpointInfo, timeout_s: float) -> bool:
    """Waits until the process is gone; reaps it if it is a child of this one."""
    deadline = monotonic() + timeout_s
    while monotonic() < deadline:
        _reap(info.pid)
        if not discovery.is_alive(info):
            return True
        signal_free_wait(_STEP_S)
    return False
