"""What is shown: JSON values by name, each replaced as a whole and told to all who look on."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, overload

_LOG = logging.getLogger(__name__)
_LONGEST = 64_000
Check = Callable[[Any], bool]
Watcher = Callable[[Mapping[str, Any]], None]
Value = TypeVar("Value")


class Field(Generic[Value]):
    """Declares what is shown under a name. Setting it tells all who look on.

    Args:
        start: Its value at first.
        name: Under which it is shown; by default the attribute's own.
        check: Tells which values a page may set; by default none.
    """

    def __init__(self, start: Value, *, name: str = "", check: Check | None = None) -> None:
        self.start, self.name, self.check = start, name, check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    @overload
    def __get__(self, showing: None, owner: type) -> Self: ...
    @overload
    def __get__(self, showing: Showing, owner: type) -> Value: ...
    def __get__(self, showing: Showing | None, owner: type) -> Self | Value:
        if showing is None:
            return self
        value: Value = showing.shown[self.name]
        return value

    def __set__(self, showing: Showing, value: Value) -> None:
        showing.put(self.name, value)


class Showing:
    """Holds what is shown, and tells changes.

    Attributes:
        shown: Everything by its name; changed through fields alone.
        inputs: What a page may set, with what tells which values, decided by the kind.
    """

    def __init__(self) -> None:
        fields = _fields_of(type(self))
        self.shown: dict[str, Any] = {name: field.start for name, field in fields.items()}
        self.inputs: Mapping[str, Check] = {n: f.check for n, f in fields.items() if f.check}
        self._turn = threading.RLock()
        self._depth = 0
        self._news: dict[str, Any] = {}
        self._watchers: list[Watcher] = []

    def state(self) -> dict[str, Any]:
        """Returns all that is shown, JSON-able."""
        with self._turn:
            return dict(self.shown)

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Calls `watcher` with each change: new values by name. Returns what ends that."""
        with self._turn:
            self._watchers.append(watcher)
        return lambda: self._leave(watcher)

    def close(self) -> None:
        """Tells nobody any more."""
        with self._turn:
            self._watchers.clear()

    def enter(self, values: Mapping[str, Any]) -> None:
        """Takes inputs from a page; what a page may not set stays as it is."""
        taken = {k: v for k, v in values.items() if k in self.inputs and self.inputs[k](v)}
        changed = {name for name, value in taken.items() if self.shown[name] != value}
        with self.together():
            for name in changed:
                self.put(name, taken[name])
        self.entered(changed)

    def entered(self, names: set[str]) -> None:
        """Is called after a page set these inputs."""

    def put(self, name: str, value: Any) -> None:
        """Shows a value, if it is another one."""
        with self.together():
            if self.shown[name] != value:
                self.shown[name] = self._news[name] = value

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Has changes made inside told as one."""
        with self._turn:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, {}
        for watcher in tuple(self._watchers) if news else ():
            try:
                watcher(news)
            except Exception:  # noqa: BLE001 (the border of a view: its fault reaches no other)
                _LOG.warning("A view of a panel failed.", exc_info=True)

    def _leave(self, watcher: Watcher) -> None:
        with self._turn:
            if watcher in self._watchers:
                self._watchers.remove(watcher)


def _fields_of(kind: type[Showing]) -> dict[str, Field[Any]]:
    """Returns the fields by the names under which they are shown."""
    declared = {k: v for base in reversed(kind.__mro__) for k, v in vars(base).items()}
    return {v.name: v for v in declared.values() if isinstance(v, Field)}


def is_text(value: Any) -> bool:
    """Whether an input is a text of usual length."""
    return isinstance(value, str) and len(value) <= _LONGEST


def is_small_object(value: Any) -> bool:
    """Whether an input is a JSON object of usual size."""
    return isinstance(value, dict) and len(json.dumps(value, default=str)) <= _LONGEST
