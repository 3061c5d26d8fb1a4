"""The base of all screens: state out, commands in, every error a banner.

No binding waits for a screen: `start` does a command in a thread of its own, and what takes long
runs in processes that the verbs start; the screen follows them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar

from workbench.core.errors import (
    ConflictError,
    InputError,
    RunFailedError,
    WorkbenchError,
    unknown_name,
)
from workbench.screens.commands import Reply, command, commands_of
from workbench.screens.showing import Field, Showing
from workbench.screens.ticker import ticker

Answer = dict[str, Any]
_LOG = logging.getLogger(__name__)
_SHOWN = 80


class Screen(Showing):
    """What is shown of one record, and what may be done with it.

    Args:
        is_readonly: Whether it is made without the commands that are not for visitors.

    Attributes:
        facts: What is known of the record, shown as `state`.
        busy: Names of the commands under way.
        banner: The error that is shown, in its own form; None if there is none.
        stale: Why what is shown may be old, since when; empty if it is followed.
        code: The line of Python for what was done last.
        said: What a screen reader announces.
        is_readonly: Whether actions are hidden, as on a dashboard; only tells the page.
        commands: What a message may start, decided when the screen is made.
        period_s: Seconds between two looks for news.
    """

    facts: Field[dict[str, Any]] = Field({}, name="state")
    busy: Field[list[str]] = Field([])
    banner: Field[dict[str, Any] | None] = Field(None)
    stale = Field("")
    code = Field("")
    said = Field("")
    is_readonly = Field(False)

    period_s: ClassVar[float] = 1.0

    def __init__(self, *, is_readonly: bool = False) -> None:
        super().__init__()
        self.is_readonly = is_readonly
        self.commands = MappingProxyType(commands_of(self, is_readonly=is_readonly))

    def do(self, name: str, arguments: Mapping[str, Any] | None = None) -> Answer:
        """Does a command, and returns when it is done.

        Returns:
            `state`: what changed meanwhile, by name, and `reply`: what is told to the caller
            alone, as a token; or `error`: what is wrong, in its own form, as in the banner.
        """
        if self._begin(name):
            return self._answer(name, {} if arguments is None else arguments)
        error = ConflictError(f"'{name}' is under way.", hint="Wait until it has ended.")
        return {"error": error.to_dict()}

    def start(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        told: Callable[[Answer], None] = lambda answer: None,
    ) -> None:
        """Starts a command in a thread, unless it is already under way.

        Args:
            name: Of the command.
            arguments: By name.
            told: Called with its answer, as `do` returns it.
        """
        given = {} if arguments is None else arguments
        if not self._begin(name):
            return
        if not self._is_long(name):
            told(self._answer(name, given))
            return
        threading.Thread(
            target=lambda: told(self._answer(name, given)), daemon=True, name=f"do_{name}"
        ).start()

    def close(self) -> None:
        """Follows nothing and tells nobody any more."""
        ticker().forget(self)
        super().close()

    def did(self, code: str, said: str = "") -> None:
        """Shows the line of Python for what was just done, and announces it."""
        with self.together():
            self.code = code
            self.said = said or self.said

    def follow(self) -> None:
        """Looks for news from now on."""
        ticker().follow(self)

    def tick(self) -> bool:
        """Shows news; after an error it is followed no more until somebody asks for it."""
        try:
            return self.look()
        except Exception as error:  # noqa: BLE001 (the border of a screen: logged and shown)
            _LOG.debug("screen", exc_info=True)
            since = f"{datetime.now().astimezone():%H:%M:%S}"
            self.stale = f"Not followed since {since}: {type(error).__name__}: {error}"
            return False

    def look(self) -> bool:
        """Shows news; returns False when there will be none any more."""
        return False

    def refresh(self) -> None:
        """Looks what is new in the workspace, as when its tab is opened."""

    def guarded(self, work: Callable[[], Any]) -> Any:
        """Returns what `work` returns; its error becomes the banner, and None is returned."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 (the border of a screen: logged and shown)
            self._show_error(error)
        return None

    @command(is_for_visitors=True)
    def do_refresh(self) -> None:
        """Looks again, and follows from now on."""
        self.look()
        self.stale = ""
        self.follow()

    @command(is_for_visitors=True, is_instant=True)
    def do_dismiss(self) -> None:
        """Takes the banner away."""
        self.banner = None

    @command(is_for_visitors=True, is_instant=True)
    def do_enter(self, values: dict[str, Any]) -> None:
        """Sets inputs.

        Raises:
            InputError: A page may not set one of them, or not to this value.
        """
        strange = [n for n, v in values.items() if n not in self.inputs or not self.inputs[n](v)]
        if strange:
            names = ", ".join(repr(str(name)[:_SHOWN]) for name in strange[:_SHOWN])
            may = ", ".join(self.inputs) or "nothing"
            raise InputError(f"A page cannot set {names} so.", hint=f"It may set: {may}.")
        self.enter(values)

    def _is_long(self, name: str) -> bool:
        return name in self.commands and not self.commands[name].is_instant

    def _begin(self, name: str) -> bool:
        """Notes that a command is under way; returns False if it was already."""
        if not self._is_long(name):
            return True
        with self.together():
            if name in self.busy:
                return False
            self.busy, self.banner = [*self.busy, name], None
        return True

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        before = self.state()
        try:
            reply = self._done(name, arguments)
        except Exception as error:  # noqa: BLE001 (the border of a screen: logged and shown)
            return {"error": self._show_error(error, name)}
        finally:
            with self.together():
                self.busy = [other for other in self.busy if other != name]
        changed = {k: v for k, v in self.state().items() if v is not before[k]}
        return {"state": changed, "reply": reply or {}}

    def _done(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        found = self.commands.get(name)
        if found is None:
            raise unknown_name("command", name, self.commands)
        return found(arguments)

    def _show_error(self, error: Exception, command: str = "") -> dict[str, Any]:
        """Shows an error as the banner, with the command that raised it, which can be repeated."""
        if not isinstance(error, WorkbenchError):
            _LOG.debug("screen", exc_info=error)
            words = f"The panel stumbled: {type(error).__name__}: {error}"
            error = RunFailedError(words, hint="Try again, or run the cell again; nothing is lost.")
        shown = {**error.to_dict(), "command": command, "time": time.time()}
        self.banner = shown
        return shown
