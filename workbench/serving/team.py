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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.files import write_private

_LOGGER = logging.getLogger(__name__)
_FILE = "workers.json"
_ASKED = "asked"
_WAIT_S = 1.0
_REVISION, _LOOK_S, _LOOKS = b"revision", 0.05, 600
_LINE = re.compile(r"^(\S+?)(\{.*\})? (\S+)$")
_NOT_SUMMED = (
    "workbench_ready",
    "workbench_limit",
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


class Team:
    """One worker's view of all.

    Args:
        folder: Of the endpoint.
        secret: Shared by the workers of this endpoint.

    Attributes:
        index: The worker's own number.
    """

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder
        self._secret = secret.encode()
        self.index = 0
        self._server: asyncio.Server | None = None

    async def open(self, render: Callable[[], bytes], revision: Callable[[], int]) -> int:
        """Gives this worker's figures, and which state it has taken up, to the others.

        Returns the port.
        """

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                said = await asyncio.wait_for(reader.readline(), _WAIT_S)
                secret, _, what = said.strip().partition(b" ")
                if hmac.compare_digest(secret, self._secret):
                    writer.write(b"%d" % revision() if what == _REVISION else render())
                    await asyncio.wait_for(writer.drain(), _WAIT_S)
            except (OSError, TimeoutError, ValueError):
                pass
            finally:
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
        others = [member for member in self.members().alive if member.index != self.index]
        pages = await asyncio.gather(*(self._page(member) for member in others))
        return summed([own, *(page for page in pages if page)])

    async def followed(self, revision: int) -> None:
        """Returns once the others have taken a state up, or after half a minute."""
        others = [member for member in self.members().alive if member.index != self.index]
        late = await asyncio.gather(*(self._follows(member, revision) for member in others))
        if not all(late):
            _LOGGER.warning("a worker has not taken the endpoint's new state up yet")

    async def _follows(self, member: Member, revision: int) -> bool:
        for _ in range(_LOOKS):
            try:
                page = await asyncio.wait_for(self._fetch(member.port, _REVISION), _WAIT_S)
                if int(page or b"-1") >= revision:
                    return True
            except TimeoutError:
                pass  # it is busy with loading
            except (OSError, ValueError):
                return False  # it ended; another one begins with the new state
            await asyncio.sleep(_LOOK_S)
        return False

    async def _page(self, member: Member) -> bytes:
        try:
            return await asyncio.wait_for(self._fetch(member.port), _WAIT_S)
        except (OSError, TimeoutError) as error:
            _LOGGER.warning("worker %s gave no figures: %s", member.index, type(error).__name__)
            return b""

    async def _fetch(self, port: int, what: bytes = b"") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(self._secret + b" " + what + b"\n")
            return await reader.read()
        finally:
            writer.close()


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
