"""A progress bar for verbs that take long. It shows events; it owns no work."""

from __future__ import annotations

import html
import sys
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from workbench.core.kernel import cell_shell
from workbench.core.optional import require
from workbench.flow.batch import is_batch

_FORMAT = (
    "{desc:<10} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {elapsed}<{remaining}{postfix}"
)
_INTERVAL_S = 0.2


class Bar:
    """A bar in the cell that runs or on standard error, made when the first progress arrives.

    Args:
        title: What is going on.
        is_shown: False keeps it silent.
    """

    def __init__(self, title: str, *, is_shown: bool = True) -> None:
        self._title = title
        self._is_shown = is_shown
        self._bar: _Drawn | None = None

    def show(self, kind: str, data: Mapping[str, Any]) -> None:
        """Shows one event."""
        if kind == "progress":
            self.set(int(data["done"]), int(data["total"]), str(data.get("note", "")))

    def set(self, done: int, total: int, note: str = "") -> None:
        """Shows that `done` of `total` is reached."""
        if not self._is_shown:
            return
        if self._bar is None:
            shell = None if is_batch() else cell_shell()
            self._bar = _Terminal(self._title) if shell is None else _Cell(self._title, shell)
        self._bar.draw(done, total, note)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class _Drawn(Protocol):
    def draw(self, done: int, total: int, note: str) -> None: ...

    def close(self) -> None: ...


class _Terminal:
    """On standard error, if that is a terminal; nothing is left of it."""

    def __init__(self, title: str) -> None:
        self._bar: Any = require("tqdm", for_="progress bars").tqdm(
            desc=title, bar_format=_FORMAT, file=sys.stderr, leave=False,
            mininterval=_INTERVAL_S, disable=None,
        )  # fmt: skip

    def draw(self, done: int, total: int, note: str) -> None:
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Cell:
    """An output of the cell that runs, drawn anew in its place and emptied at the end."""

    def __init__(self, title: str, shell: Any) -> None:
        self._title = title
        self._publisher = shell.display_pub
        self._id = uuid.uuid4().hex
        self._started = time.monotonic()
        self._drawn_at: float | None = None

    def draw(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if self._drawn_at is not None and now - self._drawn_at < _INTERVAL_S:
            return
        words = self._words(done / max(total, 1), now - self._started, note)
        bar = f'<progress value="{done}" max="{max(total, 1)}" aria-label="{self._title}">'
        self._publish({
            "text/plain": words,
            "text/html": '<div style="font-variant-numeric:tabular-nums">'
            f"{bar}</progress> {html.escape(words)}</div>",
        })  # fmt: skip
        self._drawn_at = now

    def close(self) -> None:
        if self._drawn_at is not None:
            self._publish({"text/plain": "", "text/html": ""})

    def _words(self, share: float, elapsed_s: float, note: str) -> str:
        left = f"{elapsed_s / share - elapsed_s:.0f} s left" if share > 0 else ""
        known = (self._title, note, f"{share:.0%}", f"{elapsed_s:.0f} s", left)
        return " · ".join(part for part in known if part)

    def _publish(self, data: dict[str, str]) -> None:
        self._publisher.publish(
            data=data, metadata={}, transient={"display_id": self._id},
            update=self._drawn_at is not None,
        )  # fmt: skip
