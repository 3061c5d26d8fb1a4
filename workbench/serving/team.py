"""The workers behind one port: who they are, and their figures summed up.

The supervisor keeps the list in the endpoint's folder. Each worker gives its own figures on a
loopback port of its own to who knows the secret they share.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.files import write_private
from workbench.serving.isolation import together
from workbench.serving.liveness import Patience
from workbench.serving.places import Places

_LOGGER = logging.getLogger(__name__)
_FILE = "workers.json"
_ASKED = "asked"
_WAIT_S = 1.0
ASKING = 64  # connections of others at once; whoever has not shown the secret gives way
_LOOK_S = 0.05
_LOADING_S = 30.0
_REPLACED_S = 2.0
FIGURES, REVISION, KEYS, PULSE = b"", b"revision", b"keys", b"pulse"
Answers = Mapping[bytes, Callable[[], Awaitable[bytes]]]
_LINE = re.compile(r"^(\S+?)(\{.*\})? (\S+)$")
_NOT_SUMMED = (
    "workbench_ready",
    "workbench_limit",
    "workbench_run_seconds",
    "workbench_traffic_share",
    "workbench_shadow_max_difference",
    "workbench_workers",
    "workbench_worker_restarts_total",
)


class Member(Config):
    """One worker that answers."""

    index: int = Field(ge=0, description="Its number")
    pid: int = Field(description="Its process")
    port: int = Field(description="Where it gives its figures")
    since: str = Field(description="When it was ready, ISO 8601")


class Members(Config):
    """The workers as the supervisor knows them."""

    wanted: int = Field(1, description="How many there should be")
    restarts: int = Field(0, description="How many were started again")
    alive: tuple[Member, ...] = Field((), description="Those that answer")
    beginning: tuple[int, ...] = Field((), description="Numbers of those about to answer")


def write_members(folder: Path, members: Members) -> None:
    """Writes the list for the workers."""
    write_private(folder / _FILE, json.dumps(members.to_json()))


def read_members(folder: Path) -> Members:
    """Returns the list; an empty one before the first was written."""
    try:
        values = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return Members.parse(values, what="the list of workers")
    except (OSError, ValueError):
        return Members()


def last_asked(folder: Path) -> float:
    """Returns when a worker was last asked for a prediction, in seconds since 1970; 0 never."""
    try:
        return (folder / _ASKED).stat().st_mtime
    except OSError:
        return 0.0


async def ask(port: int, secret: str, what: bytes, timeout_s: float = _WAIT_S) -> bytes:
    """Asks a worker on its own port; returns what it says.

    Raises:
        OSError: It is not there.
        TimeoutError: It did not answer in time.
    """
    return await asyncio.wait_for(_exchange(port, secret.encode() + b" " + what + b"\n"), timeout_s)


async def _exchange(port: int, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(line)
        return await reader.read()
    finally:
        writer.close()


class _Asker:
    """A connection over which another worker asks, or nobody that we know."""

    is_answering = False

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def abort(self) -> None:
        """Ends it now."""
        self._writer.transport.abort()


class Team:
    """One worker's view of all.

    Args:
        folder: Of the endpoint.
        secret: Shared by the workers of this endpoint.
        patience: How long a worker may be silent.

    Attributes:
        index: The worker's own number.
        on_hung: Told the process of a worker that does not answer; the supervisor replaces it.
    """

    def __init__(self, folder: Path, secret: str, patience: Patience | None = None) -> None:
        self._folder = folder
        self._secret = secret
        self._patience = patience or Patience()
        self.index = 0
        self.on_hung: Callable[[int], None] = lambda pid: None
        self._server: asyncio.Server | None = None

    async def open(self, answers: Answers) -> int:
        """Answers what the others and the supervisor ask of this worker; returns the port."""

        places: Places[_Asker] = Places(ASKING)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asker = _Asker(writer)
            places.take(asker)
            try:
                said = await asyncio.wait_for(reader.readline(), _WAIT_S)
                secret, _, what = said.strip().partition(b" ")
                if hmac.compare_digest(secret, self._secret.encode()):
                    places.know(asker, "worker")
                    writer.write(await answers[what]())
                    await asyncio.wait_for(writer.drain(), _WAIT_S)
            except (OSError, TimeoutError, ValueError):
                pass
            except Exception:
                _LOGGER.exception("a question of another worker was not answered")
            finally:
                places.leave(asker)
                writer.close()

        self._server = await asyncio.start_server(answer, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Gives figures no longer."""
        if self._server is not None:
            self._server.close()

    def note_asked(self) -> None:
        """Tells the supervisor that somebody asks."""
        try:
            (self._folder / _ASKED).touch()
        except OSError as error:
            _LOGGER.warning("the endpoint's folder cannot be written: %s", error)

    def members(self) -> Members:
        """Returns the workers now."""
        return read_members(self._folder)

    def about(self) -> dict[str, Any]:
        """Returns what health tells of the workers."""
        members = self.members()
        return {
            "wanted": members.wanted,
            "alive": len(members.alive),
            "restarts": members.restarts,
            "answered_by": self.index,
        }

    async def sum_up(self, own: bytes) -> bytes:
        """Returns the figures of all workers in one page; one that does not answer is left out."""
        pages = await together(self._page(member) for member in self._others())
        return summed([own, *(page for page in pages if page)])

    async def followed(self, revision: int, what: bytes = REVISION) -> tuple[int, ...]:
        """Returns once the others have taken a state up; those that did not are named.

        One that does not answer is replaced before this returns, so that it cannot go on with an
        old state; one that still loads models is waited for half a minute, and goes on. One that
        was about to answer, perhaps with the state before, is asked as soon as it does.

        Args:
            revision: Of the state.
            what: KEYS asks for the tokens only, which need no loading.
        """
        beginning = await self._begun()
        others = self._others()
        states = await together(self._follows(member, revision, what) for member in others)
        silent = [one for one, state in zip(others, states, strict=True) if state is None]
        for member in silent:
            _LOGGER.warning("worker %s does not answer; it is replaced", member.index)
            self.on_hung(member.pid)
        await self._replaced({member.pid for member in silent})
        late = [one.index for one, is_done in zip(others, states, strict=True) if not is_done]
        late += beginning
        if late:
            _LOGGER.warning("workers %s have not confirmed the endpoint's new state", late)
        return tuple(late)

    async def _begun(self) -> list[int]:
        """Waits for those that are about to answer; returns the numbers of those that do not."""
        began = time.monotonic()
        while beginning := self._beginning():
            if time.monotonic() - began > _LOADING_S:
                break
            await asyncio.sleep(_LOOK_S)
        return beginning

    def _beginning(self) -> list[int]:
        return [index for index in self.members().beginning if index != self.index]

    def _others(self) -> list[Member]:
        return [member for member in self.members().alive if member.index != self.index]

    async def _follows(self, member: Member, revision: int, what: bytes) -> bool | None:
        """Returns whether a worker has taken a state up in time; None if it does not answer."""
        began = heard = time.monotonic()
        while time.monotonic() - began < _LOADING_S:
            try:
                page = await ask(member.port, self._secret, what, self._patience.every_s)
                heard = time.monotonic()
                if int(page or b"-1") >= revision:
                    return True
            except TimeoutError:
                if time.monotonic() - heard >= (self._patience.loop_s or _LOADING_S):
                    return None
            except (OSError, ValueError):
                return True  # it ended; another one begins with the new state
            await asyncio.sleep(_LOOK_S)
        return False

    async def _replaced(self, pids: set[int]) -> None:
        """Returns once the supervisor has ended these processes; it is asked for that before."""
        began = time.monotonic()
        while pids & {member.pid for member in self.members().alive}:
            if time.monotonic() - began > _REPLACED_S:
                return
            await asyncio.sleep(_LOOK_S)

    async def _page(self, member: Member) -> bytes:
        try:
            return await ask(member.port, self._secret, FIGURES)
        except (OSError, TimeoutError) as error:
            _LOGGER.warning("worker %s gave no figures: %s", member.index, type(error).__name__)
            return b""


def summed(pages: Iterable[bytes]) -> bytes:
    """Returns Prometheus pages added up line by line; what is no sum is the largest."""
    values: dict[str, dict[str, float]] = {}
    heads: dict[str, list[str]] = {}
    for page in pages:
        family = ""
        for line in page.decode().splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
                continue
            found = _LINE.match(line)
            if found is None:
                raise InputError(f"Got a line that is no figure: {line[:80]!r}.")
            key, value = f"{found[1]}{found[2] or ''}", float(found[3])
            known = values.setdefault(family, {})
            is_sum = family not in _NOT_SUMMED
            known[key] = (
                known.get(key, 0.0) + value if is_sum else max(known.get(key, value), value)
            )
    lines = [
        line
        for family, head in heads.items()
        for line in (*head, *(f"{k} {v:.15g}" for k, v in values.get(family, {}).items()))
    ]
    return "\n".join([*lines, ""]).encode()
