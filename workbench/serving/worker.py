"""One of several processes behind an endpoint's port; started and watched by the supervisor.

It is told its secrets on standard input, says on standard output when it has loaded, is told to go
and says when it answers. It ends when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from workbench.core.errors import InputError
from workbench.serving import event_loop, launch
from workbench.serving.options import Options
from workbench.serving.service import Service
from workbench.serving.team import Team

_LOGGER = logging.getLogger(__name__)


def run_worker(options: Options) -> int:
    """Serves until told to stop; returns the exit code.

    Raises:
        WorkbenchError: It could not start.
    """
    told = read_line()
    if options.folder is None or "token" not in told:
        raise InputError("A worker is started by its supervisor.", hint="Give --workers N instead.")
    place = launch.find_place(options)
    team = Team(options.folder, told["secret"], options.settings.patience)
    team.on_hung = lambda pid: launch.say(json.dumps({"hung": pid}))
    service = launch.build(options, place, told["token"], team)
    launch.settle()
    launch.say(json.dumps({"loaded": True}))
    go = read_line()
    if "index" not in go:  # stopped before it was needed
        return 0
    launch.say(json.dumps({"going": True}))
    team.index = int(go["index"])
    return event_loop.run(_serve(service, team, options, sets_traffic=go["sets_traffic"]))


async def _serve(service: Service, team: Team, options: Options, *, sets_traffic: bool) -> int:
    stop = asyncio.Event()
    launch.on_signals(stop.set)
    on_end_of_input(asyncio.get_running_loop(), stop.set)
    try:
        await service.start(options.host, options.port, shares_port=True, sets_traffic=sets_traffic)
    except OSError as error:
        raise launch.cannot_listen(options, error) from error
    port = await team.open(service.answers())
    launch.say(json.dumps({"port": port, "models": service.router.names()}))
    await stop.wait()
    _LOGGER.info("worker %s: answering what is owed", team.index)
    launch.end_within(service.settings.drain_s + launch.LEAVE_S)
    team.close()
    return 0 if await service.stop() else launch.FAILED


def read_line() -> dict[str, Any]:
    """Returns what whoever started this process says next; nothing if it is gone."""
    return dict(json.loads(sys.stdin.readline() or "{}"))


def on_end_of_input(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Calls `stop` when nobody holds the other end of standard input any more.

    Also when it was killed.
    """

    def wait() -> None:
        sys.stdin.read()
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop)

    threading.Thread(target=wait, name="supervisor", daemon=True).start()
