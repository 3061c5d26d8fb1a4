"""The endpoint's own process: `python -m workbench.serving.process REF_OR_FILE.onnx`.

Stays in the foreground until SIGTERM or Ctrl-C, then answers what it owes and exits with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.files import storing
from workbench.core.host import process_start
from workbench.core.ids import new_id
from workbench.core.refs import check_name
from workbench.serving import discovery
from workbench.serving.batching import BatchLimits
from workbench.serving.discovery import EndpointInfo
from workbench.serving.http import Limits
from workbench.serving.payloads import Keeping
from workbench.serving.repository import load_source
from workbench.serving.security import Gate
from workbench.serving.served import Source
from workbench.serving.service import Service, Settings
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.tokens import hash_token, new_token
from workbench.serving.traffic import Traffic, parse_weights
from workbench.store import Store, open_store
from workbench.store.home import find_home

_LOGGER = logging.getLogger(__name__)
_FAILED = 1
_HUB_IDLE_MINUTES = 30.0


@dataclass(frozen=True)
class Options:
    """What one endpoint process was asked for.

    Attributes:
        refs: Registry refs, artifact digests or .onnx files.
        name: Name for the only ref; None for its own.
        home: The workspace; None for the one of the current folder.
        host: Address to listen on.
        port: 0 lets the system choose.
        id: The endpoint's id; None makes one.
        token: The clear token; None makes one.
        allowed_hosts: Further names for the Host header.
        is_json: Print the ready line as JSON.
        is_quiet: Print no ready line: whoever started it reads the discovery file.
        keeps_log: Whether to write the request log.
        traffic: Of the only model, from the start.
        settings: How it runs.
    """

    refs: tuple[str, ...]
    name: str | None = None
    home: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    id: str | None = None
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    is_json: bool = False
    is_quiet: bool = False
    keeps_log: bool = True
    traffic: Traffic | None = None
    settings: Settings = field(default_factory=Settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the endpoint; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        return run(_options(arguments), _announce)
    except WorkbenchError as error:
        if arguments.json or arguments.quiet:
            _say(json.dumps({"error": error.to_dict()}, ensure_ascii=False))
        else:
            sys.stderr.write(f"Error: {error}\n")
        return _FAILED


def run(options: Options, announce: Callable[[Options, EndpointInfo], None]) -> int:
    """Serves until told to stop; `announce` is called once, when ready.

    Raises:
        WorkbenchError: It could not start.
    """
    if options.name is not None and len(options.refs) > 1:
        raise InputError("Got --name for several models; one would be right.")
    store = _store_for(options)
    sources = [find_source(ref, store, options.name) for ref in options.refs]
    loaded = [load_source(source, options.settings.threads) for source in sources]
    id_ = check_name(options.id or new_id(), what="an endpoint")
    token = options.token or new_token()
    hosts = (*options.allowed_hosts, options.host)
    service = Service(
        loaded,
        Gate([hash_token(token, "main")], hosts),
        replace(options.settings, traffic=_traffic_by_name(options, sources)),
        registry=None if store is None else StoreRegistry(store),
        log_folder=store.home.requests if store is not None and options.keeps_log else None,
        folder=None if store is None else _folder(store, id_),
    )
    info = _Info(options, id_, token, store)
    return asyncio.run(_serve(service, options, info, announce))


class _Info:
    """Builds the discovery record once the port is known."""

    def __init__(self, options: Options, id_: str, token: str, store: Store | None) -> None:
        self._options = options
        self._id = id_
        self._token = token
        self._home = "" if store is None else str(store.home.root)

    def at(self, port: int, models: Sequence[str]) -> EndpointInfo:
        options = self._options
        pid = os.getpid()
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
        return EndpointInfo(
            id=self._id,
            url=f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{port}",
            token=self._token,
            models=tuple(models),
            refs=options.refs,
            pid=pid,
            pid_started=process_start(pid) or "unknown",
            started=now(),
            home=self._home,
        )


async def _serve(
    service: Service,
    options: Options,
    info: _Info,
    announce: Callable[[Options, EndpointInfo], None],
) -> int:
    stop = asyncio.Event()
    _on_signals(stop)
    service.on_idle = stop.set
    try:
        port = await service.start(options.host, options.port)
    except OSError as error:
        raise InputError(
            f"{options.host}:{options.port} cannot be listened on: {error.strerror}.",
            hint="Leave --port out and the system chooses a free one.",
        ) from error
    record = info.at(port, service.router.names())
    path = discovery.write(record)
    try:
        announce(options, record)
        await stop.wait()
        _LOGGER.info("stopping: answering what is owed")
        is_complete = await service.stop()
    finally:
        path.unlink(missing_ok=True)
    return 0 if is_complete else _FAILED


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(_FAILED)  # asked a second time: at once
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))


def _announce(options: Options, info: EndpointInfo) -> None:
    if options.is_quiet:
        return
    if options.is_json:
        ready = {
            "url": info.url,
            "token": info.token,
            "models": list(info.models),
            "id": info.id,
            "pid": info.pid,
        }
        _say(json.dumps(ready, ensure_ascii=False))
        return
    _say(
        f"Serving {', '.join(info.models)} at {info.url}\n"
        f"The token is in {discovery.path_of(info.id, discovery.runtime_folder())}"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _store_for(options: Options) -> Store | None:
    """Opens the workspace; for files alone only if there is one already."""
    if all(ref.lower().endswith(".onnx") for ref in options.refs):
        root = options.home or find_home().root
        return open_store(root) if root.is_dir() else None
    return open_store(options.home)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workbench serve", description=__doc__)
    parser.add_argument("refs", nargs="*", metavar="REF_OR_FILE.onnx", help="what to serve")
    parser.add_argument("--ref", action="append", default=[], help="the same, as an option")
    parser.add_argument("--name", help="serve it under this name")
    parser.add_argument("--home", type=Path, help="the workspace")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--id", help="the endpoint's id")
    parser.add_argument("--token-file", type=Path, help="file with the token; default a new one")
    parser.add_argument("--allow-host", action="append", default=[], help="further Host names")
    parser.add_argument("--json", action="store_true", help="print the ready line as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no ready line")
    parser.add_argument("--no-log", action="store_true", help="keep no request log")
    parser.add_argument("--threads", type=int, default=1, help="threads inside a prediction")
    parser.add_argument("--max-batch", type=int, default=64, help="rows in one run")
    parser.add_argument("--max-queue", type=int, default=512, help="requests waiting")
    parser.add_argument("--max-body", type=int, default=64_000_000, help="bytes of a request")
    parser.add_argument("--traffic", help="champion=90,canary=10, or JSON with shadow and budget")
    parser.add_argument(
        "--keep-payloads", type=float, metavar="SHARE", help="keep samples; by default none"
    )
    parser.add_argument("--redact", action="append", default=[], help="a column never kept")
    parser.add_argument(
        "--idle-stop", type=float, metavar="MINUTES", help="stop when unused; 0 never does"
    )
    parser.add_argument("--drain", type=float, default=20.0, help="seconds to end in")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    refs = (*arguments.refs, *arguments.ref)
    if not refs:
        raise InputError("Got nothing to serve.", hint="workbench serve model:NAME@champion")
    return Options(
        refs=refs,
        name=arguments.name,
        home=arguments.home,
        host=arguments.host,
        port=arguments.port,
        id=arguments.id,
        token=_read_token(arguments.token_file),
        allowed_hosts=tuple(arguments.allow_host),
        is_json=arguments.json,
        is_quiet=arguments.quiet,
        keeps_log=not arguments.no_log,
        traffic=_read_traffic(arguments.traffic),
        settings=Settings(
            threads=arguments.threads,
            batch=BatchLimits(rows=arguments.max_batch, queue=arguments.max_queue),
            limits=Limits(body_bytes=arguments.max_body),
            drain_s=arguments.drain,
            keeping=_read_keeping(arguments),
            idle_s=60 * _idle_minutes(arguments.idle_stop) or None,
        ),
    )


def _folder(store: Store, id_: str) -> Path:
    folder = store.home.root / "endpoints" / id_
    with storing("The endpoint's folder"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


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


def _read_traffic(text: str | None) -> Traffic | None:
    if text is None:
        return None
    try:
        values = json.loads(text) if text.startswith("{") else {"weights": parse_weights(text)}
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"Got a --traffic that is not JSON: {error}.") from error
    return Traffic.parse(values, what="--traffic")


def _read_keeping(arguments: argparse.Namespace) -> Keeping | None:
    share = arguments.keep_payloads
    if not share:
        return None
    return Keeping.parse({"share": share, "redact": arguments.redact}, what="--keep-payloads")


def _idle_minutes(given: float | None) -> float:
    """On a JupyterHub others wait for the memory, so there an unused endpoint ends by default."""
    if given is not None:
        return max(0.0, given)
    return _HUB_IDLE_MINUTES if "JUPYTERHUB_SERVICE_PREFIX" in os.environ else 0.0


def _read_token(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(f"The token file {path} cannot be read: {error.strerror}.") from error


if __name__ == "__main__":
    sys.exit(main())
