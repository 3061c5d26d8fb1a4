"""A progress bar for verbs that take long. It shows events; it owns no work."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tqdm import tqdm

_FORMAT = (
    "{desc:<10} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {elapsed}<{remaining}{postfix}"
)


class Bar:
    """A bar on standard error, made when the first progress arrives.

    Args:
        title: What is going on.
        is_shown: False keeps it silent.
    """

    def __init__(self, title: str, *, is_shown: bool = True) -> None:
        self._title = title
        self._is_shown = is_shown
        self._bar: Any = None

    def show(self, kind: str, data: Mapping[str, Any]) -> None:
        """Shows one event."""
        if kind == "progress":
            self.set(int(data["done"]), int(data["total"]), str(data.get("note", "")))

    def set(self, done: int, total: int, note: str = "") -> None:
        """Shows that `done` of `total` is reached."""
        if not self._is_shown:
            return
        if self._bar is None:
            self._bar = tqdm(
                desc=self._title,
                total=total,
                bar_format=_FORMAT,
                file=sys.stderr,
                leave=False,
                mininterval=0.2,
                disable=None,
            )
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

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
