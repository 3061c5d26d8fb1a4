"""One server process of an endpoint that is spread over a cluster: `python -m …serving.replica`.

It is told its secret on standard input, says on standard output when it has loaded, is told to go,
and says where it listens. It ends when whoever started it is gone. What is set at one replica
(traffic, tokens) reaches the others through the endpoint's folder, which all of them see.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence

from workbench.core.errors import InputError, WorkbenchError
from workbench.serving import event_loop, launch, own_log
from workbench.serving.options import Options, parse, parser
from workbench.serving.service import Service
from workbench.serving.worker import on_end_of_input, read_line

_LOGGER = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until told to stop; returns the exit code."""
    own_log.configure()
    try:
        return _run(parse(parser().parse_args(sys.argv[1:] if argv is None else list(argv))))
    except WorkbenchError as error:
        launch.say(json.dumps({"error": error.to_dict()}, ensure_ascii=False))
        return launch.FAILED


def _run(options: Options) -> int:
    told = read_line()
    if "token" not in told:
        raise InputError("A replica is started by its endpoint.", hint="workbench serve REF")
    place = launch.find_place(options)
    service = launch.build(options, place, told["token"])
    launch.settle()
    launch.say(json.dumps({"loaded": True}))
    go = read_line()
    if "index" not in go:  # stopped before it was needed
        return 0
    return event_loop.run(_serve(service, options, sets_traffic=go["sets_traffic"]))


async def _serve(service: Service, options: Options, *, sets_traffic: bool) -> int:
    stop = asyncio.Event()
    launch.on_signals(stop.set)
    on_end_of_input(asyncio.get_running_loop(), stop.set)
    try:
        port = await service.start(options.host, options.port, sets_traffic=sets_traffic)
    except OSError as error:
        raise launch.cannot_listen(options, error) from error
    launch.say(json.dumps({"port": port, "models": service.router.names()}))
    await stop.wait()
    _LOGGER.info("stopping: answering what is owed")
    return 0 if await service.stop() else launch.FAILED


if __name__ == "__main__":
    sys.exit(main())
