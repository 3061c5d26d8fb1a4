"""Follows aliases: loads, verifies and warms the new version aside, switches, drains the old one.

One thread for all aliases; it reads the registry a few times a second and does the heavy work, so
that the event loop only exchanges one loaded model for another.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any, Protocol

from workbench.core.clock import now
from workbench.core.errors import IntegrityError, WorkbenchError
from workbench.core.refs import parse_ref
from workbench.serving.served import Loaded, Source

_LOGGER = logging.getLogger(__name__)
_RETRY_S = 30.0


class Registry(Protocol):
    """What following needs of the store."""

    def number(self, model: str, alias: str) -> int | None:
        """Returns what an alias points at; some 0.2 ms.

        Raises:
            IntegrityError: It was moved behind the registry's back.
        """

    def source(self, follower: Follower, number: int) -> Source:
        """Returns the verified source of a version."""

    def find(self, ref: str, name: str) -> Source:
        """Returns the verified source of a ref, to be served under a name."""

    def roll_back(self, model: str, alias: str, version: str, reason: str) -> bool:
        """Takes an alias back if it still points at `version`; returns whether it did."""

    def note(self, action: str, subject: str, data: dict[str, Any], by: str = "endpoint") -> None:
        """Writes to the audit log."""


class Follower:
    """One alias, and what became of its last moves.

    Args:
        source: What is served now.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.ref = source.ref
        self.model = parse_ref(source.ref).name
        self.alias = str(source.alias)
        self.number = int(source.version)
        self.switched: str | None = None
        self.refused: dict[str, Any] | None = None
        self._retry_at = 0.0

    def wants(self, number: int | None) -> bool:
        """Returns whether the version that the alias points at should be loaded now."""
        if number is None or number == self.number:
            if number is not None:
                self.refused = None
            return False
        if self.refused is not None and self.refused["version"] == str(number):
            return monotonic() >= self._retry_at
        return True

    def refuse(self, number: int | None, error: WorkbenchError) -> None:
        """Notes that a version, or whatever the alias points at, is not served, and why."""
        self._retry_at = monotonic() + _RETRY_S
        self.refused = {
            "version": "" if number is None else str(number),
            "code": error.code,
            "message": str(error),
            "time": now(),
        }

    def accept(self, number: int) -> None:
        """Notes that a version is served."""
        self.number, self.switched, self.refused = number, now(), None

    def about(self) -> dict[str, Any]:
        """Returns the state as JSON-able values."""
        return {
            "model": self.name,
            "alias": self.alias,
            "version": str(self.number),
            "switched": self.switched,
            "refused": self.refused,
        }


class FollowThread:
    """Watches all aliases of one endpoint.

    Args:
        followers: The aliases.
        registry: Where they point; None if there are no aliases.
        load: Loads and warms a source.
        switch: Puts a loaded model in the place of the old one, on the event loop; returns once
            requests reach it.
        on_refused: Called when a version is refused for the first time.
        on_look: Called at each look with the event loop, before the aliases.
        notes: Whether switches go to the audit log; of several workers, one's do.
        interval_s: Time between two looks.
    """

    def __init__(
        self,
        followers: Sequence[Follower],
        registry: Registry | None,
        load: Callable[[Source], Loaded],
        switch: Callable[[Follower, Loaded], Coroutine[Any, Any, None]],
        *,
        on_refused: Callable[[Follower], None] = lambda follower: None,
        on_look: Callable[[asyncio.AbstractEventLoop], None] = lambda loop: None,
        notes: Callable[[], bool] = lambda: True,
        interval_s: float = 0.25,
    ) -> None:
        self._followers = followers
        self._registry = registry
        self._load = load
        self._switch = switch
        self._on_refused = on_refused
        self._on_look = on_look
        self._notes = notes
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)

    def start(self) -> None:
        """Starts watching; on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def catch_up(self) -> None:
        """Looks once, so that nothing outdated is served from the first request on."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._look_at_all)

    def stop(self) -> None:
        """Stops watching; a load under way is left to end by itself."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                if self._loop is not None:
                    self._on_look(self._loop)
            except Exception:
                _LOGGER.exception("the endpoint's state could not be read; trying again")
            self._look_at_all()

    def _look_at_all(self) -> None:
        for follower in tuple(self._followers):
            try:
                self._look(follower)
            except Exception:
                _LOGGER.exception("following %s failed; trying again", follower.ref)

    def _look(self, follower: Follower) -> None:
        registry = self._registry
        number = None if registry is None else self._number(registry, follower)
        if registry is None or number is None or not follower.wants(number):
            return
        subject = f"model:{follower.model}@{follower.alias}"
        before = follower.number
        try:
            loaded = self._load(registry.source(follower, number))
        except WorkbenchError as error:
            is_news = follower.refused is None or follower.refused["version"] != str(number)
            follower.refuse(number, error)
            _LOGGER.warning("%s: version %s refused, %s stays: %s", subject, number, before, error)
            if is_news:
                self._on_refused(follower)
                data = {"version": number, "kept": before, "code": error.code}
                self._note("serve_refused", subject, data)
            return
        self._hand_over(follower, loaded)
        follower.accept(number)
        _LOGGER.info("%s: now serving version %s (before: %s)", subject, number, before)
        self._note("serve_switched", subject, {"from": before, "to": number})

    def _number(self, registry: Registry, follower: Follower) -> int | None:
        """Returns what an alias points at; None, said once, if that cannot be believed."""
        try:
            return registry.number(follower.model, follower.alias)
        except IntegrityError as error:
            is_news = follower.refused is None or follower.refused["message"] != str(error)
            follower.refuse(None, error)
            if is_news:
                _LOGGER.warning("%s is not followed: %s", follower.ref, error)
                self._on_refused(follower)
            return None

    def _note(self, action: str, subject: str, data: dict[str, Any]) -> None:
        if self._notes() and self._registry is not None:
            self._registry.note(action, subject, data)

    def _hand_over(self, follower: Follower, loaded: Loaded) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._switch(follower, loaded), loop).result()
