"""The base of all live panels: state out, commands in, every error a banner.

No work is done inside a widget message: a command runs in a thread of its own, and what takes long
runs in processes that the verbs start; the panel follows them.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import anywidget
import traitlets

from workbench.core.errors import InputError, RunFailedError, WorkbenchError
from workbench.screens.ticker import ticker
from workbench.widgets.live.door import Closed, command, commands_of

STATIC = Path(__file__).parents[1] / "static"
_LOG = logging.getLogger(__name__)
_SHOWN = 80

_MARGIN = re.compile(r"^[ \t]*//.*\n|^[ \t]+", re.MULTILINE)


def script(*names: str) -> str:
    """Returns the module of a panel: the common base, then its own files, in one text."""
    return "\n".join(_lean((STATIC / f"{name}.js").read_text("utf-8")) for name in ("base", *names))


def _lean(text: str) -> str:
    """Returns a script without indentation and comment lines; no literal there spans lines."""
    return _MARGIN.sub("", text)


def sheet() -> str:
    """Returns the style sheet that all panels share."""
    return (STATIC / "base.css").read_text("utf-8")


class LivePanel(Closed, anywidget.AnyWidget):
    """A panel in the notebook.

    Args:
        is_readonly: Whether it is made without the commands that are not for visitors.
        traits: Further traits.

    Attributes:
        state: All that is shown, JSON-able; replaced as a whole.
        busy: Names of the commands under way.
        banner: The error that is shown, in its own form; None if there is none.
        stale: Why what is shown may be old, since when; empty if it is followed.
        code: The line of Python for what was done last.
        said: What a screen reader announces.
        is_readonly: Whether actions are hidden, as on a dashboard; only tells the page.
        commands: What a message may start, decided when the panel is made.
    """

    _esm = "export default {}"
    _css = ""
    state = traitlets.Dict().tag(sync=True)
    busy: traitlets.List[str] = traitlets.List().tag(sync=True)
    banner: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    stale = traitlets.Unicode().tag(sync=True)
    code = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    is_readonly = traitlets.Bool(False).tag(sync=True)

    period: ClassVar[float] = 1.0

    def __init__(self, *, is_readonly: bool = False, **traits: Any) -> None:
        super().__init__(is_readonly=is_readonly, **traits)
        self.commands = MappingProxyType(commands_of(self, is_readonly=is_readonly))
        self._turn = threading.RLock()
        self.on_msg(self._received)

    @property
    def period_s(self) -> float:
        """Seconds between two looks for news."""
        return self.period

    def follow(self) -> None:
        """Looks for news from now on."""
        ticker().follow(self)

    def tick(self) -> bool:
        """Shows news; after an error it is followed no more until somebody asks for it."""
        try:
            return self.look()
        except Exception as error:  # noqa: BLE001 (the border of a panel: logged and shown)
            _LOG.debug("panel", exc_info=True)
            since = f"{datetime.now().astimezone():%H:%M:%S}"
            self.stale = f"Not followed since {since}: {type(error).__name__}: {error}"
            return False

    def look(self) -> bool:
        """Shows news; returns False when there will be none any more."""
        return False

    def show(self, state: Mapping[str, Any]) -> None:
        """Replaces what is shown, if it changed."""
        with self._turn:
            if dict(state) != self.state:
                self.state = dict(state)

    def did(self, code: str, said: str = "") -> None:
        """Shows the line of Python for what was just done, and announces it."""
        with self._turn, self.hold_sync():
            self.code = code
            self.said = said or self.said

    def guarded(self, work: Callable[[], Any], command: str = "") -> Any:
        """Returns what `work` returns; its error becomes the banner, and None is returned.

        Args:
            work: What to do.
            command: Name of the command that it is, so that the page can offer to repeat it.
        """
        try:
            return work()
        except WorkbenchError as error:
            self.show_error(error, command)
        except Exception as error:  # noqa: BLE001 (the border of a panel: logged and shown)
            _LOG.debug("panel", exc_info=True)
            words = f"The panel stumbled: {type(error).__name__}: {error}"
            hint = "Try again, or run the cell again; nothing was lost."
            self.show_error(RunFailedError(words, hint=hint), command)
        return None

    def show_error(self, error: WorkbenchError, command: str = "") -> None:
        """Shows an error as the banner, with the command that raised it."""
        with self._turn:
            self.banner = {**error.to_dict(), "command": command, "time": time.time()}

    def start(self, name: str, args: Mapping[str, Any]) -> None:
        """Starts a command in a thread, unless it is already under way.

        Args:
            name: Of the command.
            args: Its keyword arguments, from the page.
        """
        with self._turn:
            if name in self.busy:
                return
            found = self.commands.get(name)
            if found is None:
                self.show_error(InputError(f"This panel has no command '{name[:_SHOWN]}'."))
                return
            if found.is_instant:
                self.guarded(lambda: found.work(**args), name)
                return
            self.busy = [*self.busy, name]
            self.banner = None
        thread = threading.Thread(target=self._work, args=(name, found.work, args), daemon=True)
        thread.start()

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

    def _work(self, name: str, work: Callable[..., None], args: Mapping[str, Any]) -> None:
        try:
            self.guarded(lambda: work(**args), name)
        finally:
            with self._turn:
                self.busy = [other for other in self.busy if other != name]

    def _received(self, _widget: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, Mapping) or not isinstance(content.get("do"), str):
            return
        name, args = content["do"], content.get("args") or {}
        if not isinstance(args, Mapping):
            self.show_error(InputError(f"The arguments of '{name[:_SHOWN]}' are no object."))
            return
        self.start(name, {**args, "buffers": buffers} if buffers else dict(args))
