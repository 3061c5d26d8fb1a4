"""What the processes of an endpoint share: building it, its record, signals, what is printed."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.clock import now
from workbench.core.errors import InputError, StateError, WorkbenchError
from workbench.core.files import storing
from workbench.core.host import FileLock, is_read_only, open_files, process_start
from workbench.core.ids import new_id
from workbench.core.lazy import lazy
from workbench.core.refs import check_name
from workbench.serving import discovery
from workbench.serving.discovery import EndpointInfo
from workbench.serving.limits import Limits
from workbench.serving.options import Options
from workbench.serving.rates import SharedCells
from workbench.serving.repository import load_source
from workbench.serving.security import Gate
from workbench.serving.served import Source
from workbench.serving.service import Service
from workbench.serving.sources import StoreRegistry, find_source, fixed_ref
from workbench.serving.team import Team
from workbench.serving.tls import Certificate, find_certificate
from workbench.serving.tokens import hash_token
from workbench.serving.traffic import Traffic
from workbench.store import Store, open_store
from workbench.store.home import find_home
from workbench.store.in_use import hold, note
from workbench.store.seals import Seals

if TYPE_CHECKING:
    from workbench.serving import jwks
else:
    jwks = lazy("workbench.serving.jwks")

FAILED = 1
LEAVE_S = 5.0
_LOGGER = logging.getLogger(__name__)
_RATES = "rates"
_OTHER_FILES = 128


@dataclass(frozen=True)
class Place:
    """Where an endpoint lives.

    Attributes:
        store: Its workspace, if any.
        id: Its own.
        folder: Of what it keeps.
        certificate: None speaks plain HTTP.
        is_passing: Whether the folder goes with the process, for want of a workspace.
        alive: Held as long as this process lives, so that nobody tidies its folder away.
    """

    store: Store | None
    id: str
    folder: Path | None
    certificate: Certificate | None = None
    is_passing: bool = False
    alive: FileLock | None = None

    @property
    def home(self) -> str:
        """The workspace's folder; empty without one."""
        return "" if self.store is None else str(self.store.home.root)

    @property
    def seals(self) -> Seals | None:
        """For what is kept in the workspace; a folder that goes with its process needs none."""
        if self.store is None or self.folder is None:
            return None
        is_kept = self.folder.parent.resolve() == self.store.home.endpoints.resolve()
        return self.store.seals if is_kept else None


def find_place(options: Options) -> Place:
    """Opens the workspace; for files alone only if there is one already.

    Raises:
        InputError: The id cannot be one, or the certificate is none.
        StorageError: The folder cannot be made.
        StateError: The folder that all workers share is not there any more.
    """
    if options.folder is not None and not options.folder.is_dir():
        raise StateError(
            f"The endpoint's folder {options.folder} is gone: the workspace was moved or removed.",
            hint="Move it back, or stop the endpoint and start it where the workspace is now.",
        )
    id_ = check_name(options.id or new_id(), what="an endpoint")
    store: Store | None = None
    if all(ref.lower().endswith(".onnx") for ref in options.refs):
        root = options.home or find_home().root
        store = open_store(root) if root.is_dir() else None
    else:
        store = open_store(options.home)
    folder = options.folder
    if folder is None and store is not None and not is_read_only(store.home.root):
        folder = store.home.endpoints / id_
    alive = None
    if folder is not None:
        with storing("The endpoint's folder"):
            alive = hold(folder, options.refs if options.folder is None else None)
    is_passing = folder is None and (bool(options.tls) or options.workers > 1)
    if is_passing:
        folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    names = [options.host, *options.allowed_hosts]
    certificate = None if folder is None else find_certificate(options.tls, folder, names)
    return Place(store, id_, folder, certificate, is_passing, alive)


def leave(place: Place) -> None:
    """Removes what was only for the time of this process, and lets go of what it held."""
    if place.alive is not None:
        place.alive.release()
    if place.is_passing and place.folder is not None:
        shutil.rmtree(place.folder, ignore_errors=True)


def build(options: Options, place: Place, token: str, team: Team | None = None) -> Service:
    """Loads what is to be served and puts the endpoint together.

    Args:
        options: What was asked for.
        place: Where it lives.
        token: The clear token; only its hash is kept.
        team: The other workers behind the same port.

    Raises:
        WorkbenchError: Something cannot be served.
    """
    if options.name is not None and len(options.refs) > 1:
        raise InputError("Got --name for several models; one would be right.")
    store, settings = place.store, options.settings
    sources = [find_source(ref, store, options.name) for ref in options.refs]
    if place.alive is not None and place.folder is not None:
        note(place.folder, [fixed_ref(source) for source in sources])
    hosts = (*options.allowed_hosts, options.host)
    tokens = [hash_token(token, "main")]
    jwts = None if options.provider is None else jwks.JwtVerifier(options.provider)
    if team is None or place.folder is None:
        gate = Gate(tokens, hosts, jwts=jwts)
    else:
        gate = Gate(tokens, hosts, SharedCells(place.folder / _RATES).cell, jwts)
    ports = 1 if settings.grpc_port is None else 2
    service = Service(
        [load_source(s, settings.threads, settings.batch.rows, settings.room) for s in sources],
        gate,
        replace(
            settings,
            traffic=_traffic_by_name(options, sources),
            limits=fitting(settings.limits, ports),
        ),
        registry=None if store is None else StoreRegistry(store),
        log_folder=store.home.requests if store is not None and options.keeps_log else None,
        folder=place.folder,
        team=team,
        certificate=place.certificate,
        seals=place.seals,
    )
    service.models.on_change = partial(discovery.tell_models, place.id)
    return service


def fitting(limits: Limits, ports: int) -> Limits:
    """Returns limits whose connections on each port fit into the files that may be open."""
    files = open_files(ports * limits.connections + _OTHER_FILES)
    room = max(1, (files - _OTHER_FILES) // ports)
    return replace(limits, connections=min(limits.connections, room))


def record(
    options: Options,
    place: Place,
    token: str,
    port: int,
    models: Sequence[str],
    grpc_port: int | None = None,
) -> EndpointInfo:
    """Returns this process's discovery record."""
    pid = os.getpid()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
    certificate = place.certificate
    scheme = "http" if certificate is None else "https"
    host = f"[{host}]" if ":" in host and host[0] != "[" else host
    return EndpointInfo(
        id=place.id,
        url=f"{scheme}://{host}:{port}",
        token=token,
        models=tuple(models),
        refs=options.refs,
        pid=pid,
        pid_started=process_start(pid) or "unknown",
        started=now(),
        home=place.home,
        certificate="" if certificate is None else certificate.trusted,
        grpc="" if grpc_port is None else f"{host}:{grpc_port}",
    )


def cannot_listen(options: Options, error: OSError, port: int | None = None) -> InputError:
    """Returns the error for an address that is taken or not ours; by default that for HTTP."""
    found = options.port if port is None else port
    return InputError(
        f"{options.host}:{found} cannot be listened on: {error.strerror}.",
        hint="Leave --port out and the system chooses a free one.",
    )


def end_within(seconds: float) -> None:
    """Ends this process after so long, whatever its threads still do."""

    def end() -> None:
        _LOGGER.warning("not all had ended %.0f s after the end was asked for", seconds)
        os._exit(FAILED)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def on_signals(stop: Callable[[], None]) -> None:
    """Calls `stop` at the first SIGTERM or Ctrl-C; the second ends the process at once."""
    loop = asyncio.get_running_loop()
    is_stopping = False

    def on_signal() -> None:
        nonlocal is_stopping
        if is_stopping:
            os._exit(FAILED)
        is_stopping = True
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))


def announce(options: Options, info: EndpointInfo) -> None:
    """Prints the ready line, if one is wanted. As JSON it holds the token, this once."""
    if options.is_quiet:
        return
    if options.is_json:
        ready = {
            "url": info.url,
            "token": info.token,
            "models": list(info.models),
            "id": info.id,
            "pid": info.pid,
            **({"grpc": info.grpc} if info.grpc else {}),
        }
        say(json.dumps(ready, ensure_ascii=False))
        return
    say(
        f"Serving {', '.join(info.models)} at {info.url}"
        f"{f' and by gRPC at {info.grpc}' if info.grpc else ''}\n"
        f"The token is in {discovery.path_of(info.id, discovery.runtime_folder())}"
    )


def settle() -> None:
    """Takes what was made for the start out of garbage collection, and lets that begin.

    A collection after a swap then looks at what came since, not at every imported module: it stops
    all requests for as long as it takes.
    """
    gc.freeze()
    gc.enable()


def refuse(error: WorkbenchError, *, as_json: bool) -> int:
    """Says why nothing is served; returns the exit code."""
    if as_json:
        say(json.dumps({"error": error.to_dict()}, ensure_ascii=False))
    else:
        sys.stderr.write(f"Error: {error}\n")
    return FAILED


def say(text: str) -> None:
    """Prints a line for whoever started the process."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _traffic_by_name(options: Options, sources: Sequence[Source]) -> dict[str, Traffic]:
    names = list(dict.fromkeys(source.name for source in sources))
    if options.traffic is None:
        return {}
    if len(names) > 1:
        raise InputError(
            f"Got --traffic for several models: {', '.join(names)}; one would be right.",
            hint="`workbench traffic` sets it for each of them while they run.",
        )
    return {names[0]: options.traffic}
