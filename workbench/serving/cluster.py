"""An endpoint whose server processes Ray places on a cluster: `python -m …serving.cluster`.

Ray starts and watches them, and finds another node for one that is lost; no request passes through
Ray. One port here spreads the connections over them. The workspace lies where all nodes see it:
aliases, traffic and tokens reach every replica through it.
Source: https://docs.ray.io/en/latest/ray-core/actors.html
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import (
    StateError,
    UnsupportedError,
    WorkbenchError,
    error_from_dict,
)
from workbench.core.files import write_private
from workbench.core.optional import require
from workbench.serving import discovery, launch, own_log
from workbench.serving.discovery import EndpointInfo
from workbench.serving.errors import StartError
from workbench.serving.options import Options, parse, parser
from workbench.serving.placed import Placed
from workbench.serving.spreading import Spreader
from workbench.serving.tokens import new_token

TARGETS = "targets.json"
_LOGGER = logging.getLogger(__name__)
_NOT_PASSED_ON = "--token-file"
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 5.0
_LOOK_S = 1.0
_CONNECT_S = 5.0
_THREADS = 4


@dataclass(frozen=True)
class Plan:
    """What is placed: how many replicas, the processors each one reserves, on which cluster."""

    replicas: int
    cpus: float
    address: str


@dataclass
class _Slot:
    """A place for one replica: the actor that holds it, and where it listens."""

    index: int
    actor: Any = None
    found: dict[str, Any] | None = None
    began: float = 0.0


class Cluster:
    """Keeps the replicas of one endpoint alive.

    Args:
        options: What was asked for.
        words: The command line it came by; the replicas get the same.
        plan: What is placed.

    Raises:
        UnsupportedError: It cannot be spread so.
    """

    def __init__(self, options: Options, words: Sequence[str], plan: Plan) -> None:
        if options.settings.grpc_port is not None:
            raise UnsupportedError(
                "Got --grpc-port for an endpoint on a cluster; its one port spreads HTTP.",
                hint="Leave it out, or answer gRPC from --workers N on one machine.",
            )
        self._ray = require("ray", for_="placing replicas", extra="scale")
        self._options = options
        self._plan = plan
        self._place = launch.find_place(options)
        if self._place.folder is None:
            raise StateError(
                "Replicas need a workspace that all nodes see.", hint="Give its folder: --home."
            )
        self._folder = self._place.folder
        self._token = options.token or new_token()
        self._words = [*_without_token_file(words), "--folder", str(self._folder)]
        self._words += ["--id", self._place.id, "--idle-stop", "0"]
        certificate = self._place.certificate
        if certificate is not None:
            self._words += ["--tls", str(certificate.path), str(certificate.key)]
        self._slots = [_Slot(index) for index in range(plan.replicas)]
        self._spreader = Spreader()
        self._stop = asyncio.Event()

    async def run(self, announce: Callable[[Options, EndpointInfo], None]) -> int:
        """Serves until told to stop; returns the exit code.

        Raises:
            WorkbenchError: There is no cluster, or a replica could not start.
        """
        self._connect()
        launch.on_signals(self._stop.set)
        try:
            return await self._serve(announce)
        finally:
            self._ray.shutdown()

    def _connect(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = self._plan.address
        try:
            _knock(address)
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (OSError, RuntimeError, ValueError) as error:
            raise StartError(
                f"There is no Ray cluster at '{address}': {error}.",
                hint="Start one with `ray start --head`, or name it: address=HOST:PORT.",
            ) from error

    async def _serve(self, announce: Callable[[Options, EndpointInfo], None]) -> int:
        options = self._options
        try:
            port = await self._spreader.start(options.host, options.port)
        except OSError as error:
            raise launch.cannot_listen(options, error) from error
        try:
            first, *others = self._slots
            models = await self._start(first, sets_traffic=True)
            await asyncio.gather(*(self._start(slot) for slot in others))
        except BaseException:
            await self._end_all()
            raise
        info = launch.record(options, self._place, self._token, port, models)
        path = discovery.write(info)
        keeping = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        try:
            announce(options, info)
            await self._wait()
            _LOGGER.info("stopping %s replicas", len(self._slots))
            for task in keeping:
                task.cancel()
            is_complete = await self._end_all()
        finally:
            path.unlink(missing_ok=True)
        return 0 if is_complete else launch.FAILED

    async def _start(self, slot: _Slot, *, sets_traffic: bool = False) -> list[str]:
        """Lets Ray place a replica and gives it connections; returns the models it serves.

        Raises:
            WorkbenchError: Its own reason why it does not start.
        """
        actor_class = self._ray.remote(Placed)
        slot.began = time.monotonic()
        slot.actor = actor_class.options(
            num_cpus=self._plan.cpus,
            scheduling_strategy="SPREAD",
            max_concurrency=_THREADS,
            max_restarts=0,
        ).remote()
        found = await slot.actor.start.remote(
            self._words, self._token, slot.index, sets_traffic=sets_traffic
        )
        if "error" in found:
            raise error_from_dict(found["error"])
        slot.found = found
        self._spreader.put(slot.index, found["host"], found["port"])
        self._tell()
        return list(found["models"])

    async def _keep(self, slot: _Slot) -> None:
        """Puts another replica in the place of one that is lost; after a pause if that goes on."""
        failures = 0
        while not self._stop.is_set():
            reason = await self._ended(slot)
            failures = failures + 1 if time.monotonic() - slot.began < _STEADY_S else 0
            _LOGGER.warning("replica %s is lost: %s; another takes its place", slot.index, reason)
            self._lose(slot)
            if failures > 1:
                await self._pause(min(_LONGEST_PAUSE_S, 0.1 * 2**failures))
            try:
                await self._start(slot)
            except (WorkbenchError, self._ray.exceptions.RayError) as error:
                _LOGGER.warning("replica %s did not start: %s", slot.index, error)

    async def _ended(self, slot: _Slot) -> str:
        """Returns why a replica ended, once it has."""
        if slot.found is None:
            return "it did not start"
        try:
            return str(await slot.actor.ended.remote())
        except self._ray.exceptions.RayError as error:
            return f"its node is gone ({type(error).__name__})"

    def _lose(self, slot: _Slot) -> None:
        self._spreader.remove(slot.index)
        if slot.actor is not None:
            self._ray.kill(slot.actor)
        slot.actor = slot.found = None
        self._tell()

    def _tell(self) -> None:
        """Writes where each replica gives its figures, as Prometheus reads it (file_sd)."""
        rows = [
            {
                "targets": [f"{slot.found['host']}:{slot.found['port']}"],
                "labels": {"replica": str(slot.index), "node": slot.found["node"]},
            }
            for slot in self._slots
            if slot.found is not None
        ]
        try:
            write_private(self._folder / TARGETS, json.dumps(rows))
        except OSError as error:
            _LOGGER.warning("the list of replicas cannot be written: %s", error)

    async def _wait(self) -> None:
        """Returns when told to stop, or when nobody asked for the idle time."""
        idle_s = self._options.settings.idle_s
        while not self._stop.is_set():
            await self._pause(_LOOK_S)
            if idle_s is not None and time.time() - self._spreader.last_asked > idle_s:
                _LOGGER.info("nobody asked for %.0f s", idle_s)
                self._stop.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _end_all(self) -> bool:
        """Takes no new connections; the replicas answer what they owe and close the others."""
        self._stop.set()
        timeout_s = self._options.settings.drain_s + _STEADY_S
        spread = asyncio.create_task(self._spreader.stop(timeout_s))
        ends = [slot.actor.end.remote(timeout_s) for slot in self._slots if slot.actor is not None]
        ended = await asyncio.gather(*ends, return_exceptions=True)
        (self._folder / TARGETS).unlink(missing_ok=True)
        return await spread and all(end is True for end in ended)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the endpoint; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    made = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    made.add_argument("--replicas", type=int, default=2)
    made.add_argument("--cpus", type=float, default=1.0)
    made.add_argument("--ray-address", default="auto")
    own, rest = made.parse_known_args(words)
    arguments = parser().parse_args(rest)
    own_log.configure()
    try:
        plan = Plan(own.replicas, own.cpus, own.ray_address)
        return asyncio.run(Cluster(parse(arguments), rest, plan).run(launch.announce))
    except WorkbenchError as error:
        return launch.refuse(error, as_json=arguments.json or arguments.quiet)


def _knock(address: str) -> None:
    """Fails at once if nothing listens at HOST:PORT, where Ray itself tries for minutes.

    Raises:
        OSError: Nothing does.
        ValueError: The port is no number.
    """
    host, colon, port = address.rpartition(":")
    if colon and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def _without_token_file(words: Sequence[str]) -> list[str]:
    """Returns a command line without the token's file, which other nodes may not have."""
    kept: list[str] = []
    is_value = False
    for word in words:
        if is_value or word == _NOT_PASSED_ON:
            is_value = not is_value
        elif not word.startswith(f"{_NOT_PASSED_ON}="):
            kept.append(word)
    return kept


if __name__ == "__main__":
    sys.exit(main())
