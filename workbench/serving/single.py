"""What the endpoint's process does: serve alone, as one of several workers, or supervise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from workbench.core.errors import WorkbenchError
from workbench.serving import discovery, event_loop, launch, own_log
from workbench.serving.discovery import EndpointInfo
from workbench.serving.options import Options, parse, parser
from workbench.serving.service import Service
from workbench.serving.supervisor import Supervisor
from workbench.serving.tokens import new_token
from workbench.serving.worker import run_worker

_LOGGER = logging.getLogger(__name__)


def serve(words: Sequence[str]) -> int:
    """Serves what a command line asks for; returns the exit code."""
    arguments = parser().parse_args(words)
    own_log.configure()
    try:
        options = parse(arguments)
        if options.is_worker:
            return run_worker(options)
        if options.workers > 1:
            return asyncio.run(Supervisor(options, words).run(launch.announce))
        return run(options, launch.announce)
    except WorkbenchError as error:
        return launch.refuse(error, as_json=arguments.json or arguments.quiet)


def run(options: Options, announce: Callable[[Options, EndpointInfo], None]) -> int:
    """Serves until told to stop; `announce` is called once, when ready.

    Raises:
        WorkbenchError: It could not start.
    """
    place = launch.find_place(options)
    try:
        return event_loop.run(_serve(options, place, announce))
    finally:
        launch.leave(place)


async def _serve(
    options: Options, place: launch.Place, announce: Callable[[Options, EndpointInfo], None]
) -> int:
    token = options.token or new_token()
    service = launch.build(options, place, token)
    port = await _start(service, options)
    names = service.router.names()
    info = launch.record(options, place, token, port, names, service.grpc_port)
    launch.settle()
    path = discovery.write(info)
    try:
        return await _until_told(service, lambda: announce(options, info))
    finally:
        path.unlink(missing_ok=True)


async def _start(service: Service, options: Options) -> int:
    try:
        return await service.start(options.host, options.port)
    except OSError as error:
        raise launch.cannot_listen(options, error) from error


async def _until_told(service: Service, ready: Callable[[], None]) -> int:
    stop = asyncio.Event()
    launch.on_signals(stop.set)
    service.on_idle = stop.set
    ready()
    await stop.wait()
    _LOGGER.info("stopping: answering what is owed")
    launch.end_within(service.settings.drain_s + launch.LEAVE_S)
    return 0 if await service.stop() else launch.FAILED
