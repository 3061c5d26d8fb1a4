"""An endpoint in a container, where an engine (docker, podman) runs; elsewhere only its folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from workbench.core.clock import now
from workbench.core.config import Config as BaseConfig
from workbench.core.errors import ConflictError, UnsupportedError
from workbench.core.files import open_private
from workbench.core.host import process_start, start_detached
from workbench.core.ids import new_id
from workbench.core.refs import check_name
from workbench.serving import discovery
from workbench.serving.container import ContainerConfig, Context, write_context
from workbench.serving.container.config import PORT, SECRET
from workbench.serving.discovery import EndpointInfo
from workbench.serving.errors import StartError
from workbench.serving.health import is_ready
from workbench.serving.host import Host, Order
from workbench.serving.hosts.local import Local
from workbench.store import open_store

_ENGINES = ("docker", "podman")
_ASK_S = 10.0
_BUILD_S = 1800.0
_STEP_S = 0.1
_TAIL_LINES = 20


class Container(Host):
    """Builds an image of the endpoint and runs it, listening on 127.0.0.1."""

    summary = "A container: model, wheel and pinned requirements, built and run by an engine"
    Config: ClassVar[type[BaseConfig]] = ContainerConfig

    def __init__(self) -> None:
        self._local = Local()

    def supports(self) -> str | None:
        """Returns why no container can be run here; None if one can."""
        reasons = {name: _why_not(name) for name in _ENGINES}
        if None in reasons.values():
            return None
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        return f"no container engine answers ({told})"

    def start(self, order: Order, *, timeout_s: float = 60.0) -> EndpointInfo:
        """Builds and runs the image; see `Host.start`.

        Raises:
            UnsupportedError: No engine answers here.
            StartError: The image cannot be built, or its endpoint is not ready in time.
        """
        config = ContainerConfig.parse(order.config, what=f"host '{self.key}'")
        id_ = check_name(order.id or new_id(), what="an endpoint")
        if discovery.read(id_) is not None:
            raise ConflictError(
                f"The endpoint '{id_}' is running already.",
                hint="Stop it first, or take another id.",
            )
        store = open_store(order.home)
        for ref in order.refs:
            store.models.resolve(ref)
        engine = _engine(config)
        folder = order.home / "endpoints" / id_
        context = write_context(
            store,
            order.refs,
            folder / "context",
            config,
            name=order.name,
            options=order.options,
        )
        tag = f"workbench-{context.image}:{id_}"
        _run([engine, "build", "--tag", tag, str(context.folder)], "built", _BUILD_S)
        info = _start(engine, tag, context, order, folder)
        return self._ready(replace(info, id=id_), folder, timeout_s)

    def stop(self, info: EndpointInfo, *, timeout_s: float = 30.0) -> None:
        """Ends the container after it has answered what it owes; see `Host.stop`."""
        self._local.stop(info, timeout_s=timeout_s)

    def _ready(self, info: EndpointInfo, folder: Path, timeout_s: float) -> EndpointInfo:
        deadline = time.monotonic() + timeout_s
        port = int(info.url.rpartition(":")[2])
        while time.monotonic() < deadline:
            if is_ready(port):
                discovery.write(info)
                return info
            if not discovery.is_alive(info):
                log = (folder / "log").read_text(encoding="utf-8", errors="replace")
                raise StartError(
                    "The container ended before it was ready.",
                    problems=log.strip().splitlines()[-_TAIL_LINES:],
                )
            time.sleep(_STEP_S)
        self.stop(info)
        raise StartError(
            f"The container was not ready after {timeout_s:.0f} s.",
            hint=f"Its log is {folder / 'log'}.",
        )


def _start(engine: str, tag: str, context: Context, order: Order, folder: Path) -> EndpointInfo:
    """Starts the container in the foreground of a process that outlives this one.

    The engine passes SIGTERM on to the endpoint, and ends with it.
    """
    port = order.port or _free_port()
    command = [engine, "run", "--rm", "--publish", f"127.0.0.1:{port}:{PORT}"]
    command += ["--volume", f"{context.token_file.absolute()}:{SECRET}:ro"]
    owner = context.token_file.stat().st_uid
    command += ["--user", f"{owner}:0", tag]
    with (
        open_private(folder / "stdout", "wb") as out,
        open_private(folder / "log", "wb") as log,
    ):
        child = start_detached(command, stdout=out, stderr=log)
    names = [ref.partition(":")[2].partition("@")[0] for ref in order.refs]
    return EndpointInfo(
        id="",
        url=f"http://127.0.0.1:{port}",
        token=context.token_file.read_text(encoding="utf-8").strip(),
        models=(order.name,) if order.name else tuple(names),
        refs=order.refs,
        pid=child.pid,
        pid_started=process_start(child.pid) or "unknown",
        started=now(),
        home=str(order.home),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _engine(config: ContainerConfig) -> str:
    wanted = (config.engine,) if config.engine else _ENGINES
    reasons = {name: _why_not(name) for name in wanted}
    for name, reason in reasons.items():
        if reason is None:
            return shutil.which(name) or name
    raise UnsupportedError(
        "No container engine answers here.",
        problems=[f"{name}: {reason}" for name, reason in reasons.items()],
        hint="`workbench container REF FOLDER` writes the folder, to be built elsewhere.",
    )


def _why_not(name: str) -> str | None:
    path = shutil.which(name)
    if path is None:
        return "not installed"
    try:
        done = subprocess.run(
            [path, "info"], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1].strip() if lines else f"`{name} info` ended with code {done.returncode}"


def _run(command: Sequence[str], what: str, timeout_s: float) -> None:
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"The image could not be {what}: {error}.") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-_TAIL_LINES:]
        raise StartError(f"The image could not be {what}.", problems=lines)


PLUGIN = Container()
