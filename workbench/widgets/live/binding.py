"""The binding of a screen to a cell: fields become synced traits, messages become commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.screens.screen import Answer, Screen
from workbench.widgets.live.door import Closed

STATIC = Path(__file__).parents[1] / "static"
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
    """A panel in the notebook: the fields of its screen that are declared as traits here.

    Args:
        screen: What is shown and may be done.
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

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.inputs = screen.inputs
        with screen.together():
            super().__init__(**self._drawn(screen.state()))
            screen.subscribe(self.changed)
        if self.inputs:
            self.observe(self._entered, list(self.inputs))
        self.on_msg(self._received)

    def close(self) -> None:
        """Closes panel and screen; again, as when it is collected, nothing is done."""
        is_open = self.comm is not None
        super().close()
        if is_open:
            self.screen.close()

    def drawn(self, name: str, value: Any) -> Any:
        """Returns a field's value as the page takes it."""
        return value

    def arguments(self, given: Mapping[str, Any], buffers: Any) -> Mapping[str, Any]:
        """Returns a command's arguments of those that came, with the bytes that came beside."""
        return given

    def changed(self, news: Mapping[str, Any]) -> None:
        """Shows what changed, in one message."""
        with self.hold_sync():
            for name, value in self._drawn(news).items():
                setattr(self, name, value)

    def _drawn(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {n: self.drawn(n, value) for n, value in fields.items() if self.has_trait(n)}

    def _entered(self, change: Any) -> None:
        self.screen.enter({change["name"]: change["new"]})

    def _received(self, _widget: Any, content: Any, buffers: Any) -> None:
        if not isinstance(content, Mapping) or not isinstance(content.get("do"), str):
            return
        name, given = content["do"], content.get("args")
        if buffers and isinstance(given, Mapping):
            given = self.arguments(given, buffers)
        self.screen.start(name, given, self._told)

    def _told(self, answer: Answer) -> None:
        if answer.get("reply"):
            self.send(answer["reply"])
