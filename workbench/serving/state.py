"""What an endpoint keeps over a restart, and shares with the other workers behind its port.

A small JSON file beside the endpoint's log, readable by its owner only, written whole at once, also
on a full disk: a token can always be revoked. It holds hashes of tokens, never their text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import IntegrityError, StateError
from workbench.core.files import storing
from workbench.core.host import FileLock
from workbench.serving.reserved import ReservedFile
from workbench.serving.tokens import Token
from workbench.serving.traffic import Traffic

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
_FILE, _LOCK = "state.json", "state.lock"


class ModelState(Config):
    """A model that was loaded, unloaded or refused while the endpoint ran."""

    name: str = Field(description="As served")
    number: str = Field("", description="Its version; of one that never loaded as it was named")
    is_wanted: bool = Field(False, description="Whether it should be served")
    reason: str = Field("", description="Why it is not")


@dataclass(frozen=True)
class IndexRow:
    """One version as the repository's index tells it.

    Attributes:
        name: Of the model, as served.
        version: Its number; "" while it is not known.
        state: READY, LOADING or UNAVAILABLE.
        reason: Why it is not ready; "" if it is.
    """

    name: str
    version: str
    state: str
    reason: str = ""

    def to_json(self) -> dict[str, str]:
        """Returns the row as V2 tells it."""
        return {name: value for name, value in vars(self).items() if value or name != "reason"}


class State(Config):
    """What is kept."""

    revision: int = Field(0, ge=0, description="Counts the changes")
    traffic: dict[str, Traffic] = Field(default_factory=dict, description="By model")
    taken_back: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="The last version taken back by itself, by model"
    )
    tokens: tuple[Token, ...] = Field((), description="Made at run time")
    revoked: tuple[str, ...] = Field((), description="Hashes of revoked tokens of the start")
    models: dict[str, ModelState] = Field(
        default_factory=dict, description="Changed since the start, by ref"
    )

    def with_traffic(self, model: str, traffic: Traffic | None) -> State:
        """Returns the state with the traffic of one model set, or cleared by None."""
        kept = {name: value for name, value in self.traffic.items() if name != model}
        if traffic is not None:
            kept[model] = traffic
        return self.model_copy(update={"traffic": kept})

    def with_models(self, changes: Mapping[str, ModelState | None]) -> State:
        """Returns the state with entries of models set, or dropped by None."""
        kept = {ref: item for ref, item in self.models.items() if ref not in changes}
        kept.update({ref: item for ref, item in changes.items() if item is not None})
        return self.model_copy(update={"models": kept})

    def with_taken_back(self, model: str, facts: dict[str, Any]) -> State:
        """Returns the state with a version noted as taken back."""
        return self.model_copy(update={"taken_back": {**self.taken_back, model: facts}})


class StateFile:
    """Reads and changes the state; a change is one exclusive step also between processes.

    Args:
        folder: Of the endpoint; None keeps the state in memory only.

    Attributes:
        revision: Of the last change made here; an older state read meanwhile is outdated.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._path = None if folder is None else folder / _FILE
        self._memory = State()
        self.revision = 0
        self._seen: tuple[int, ...] = ()

    def read(self) -> State:
        """Returns the state; an empty one if none was ever written.

        Raises:
            IntegrityError: The file is not what was written.
        """
        if self._path is None:
            return self._memory
        self._seen = self._stamp()
        return self.peek()

    def peek(self) -> State:
        """Returns the state as `read` does, but it stays news."""
        if self._path is None:
            return self._memory
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return State()
        except ValueError as error:
            raise IntegrityError(
                f"The endpoint's state {self._path} is not JSON.", hint="Delete it to start anew."
            ) from error
        return State.parse(values, what="the endpoint's state")

    def is_news(self) -> bool:
        """Returns whether another process changed the state since it was last read here."""
        return self._path is not None and self._stamp() != self._seen

    def prepare(self) -> None:
        """Takes the space for what may have to be kept when the disk is full.

        Raises:
            OSError: There is none.
        """
        if self._path is not None:
            with FileLock(self._path.with_name(_LOCK)):
                ReservedFile(self._path).reserve(json.dumps(State().to_json()))

    def forget(self) -> None:
        """Lets what was read be news again: it could not be taken up."""
        self._seen = ()

    def update(self, change: Callable[[State], State]) -> State:
        """Replaces the state by `change(state)` and returns it.

        Raises:
            StorageError: The disk is full, or read-only; nothing is changed then.
            StateError: The workspace is not where it was; nothing is made at its old place.
        """
        if self._path is None:
            self._memory = state = _next(self._memory, change)
        else:
            self._check_place()
            with storing("The endpoint's state"), FileLock(self._path.with_name(_LOCK)):
                state = _next(self.read(), change)
                text = json.dumps(state.to_json(), ensure_ascii=False)
                ReservedFile(self._path).write(text)
                self._seen = self._stamp()
        self.revision = state.revision
        return state

    def _check_place(self) -> None:
        if self._folder is not None and not self._folder.is_dir():
            raise StateError(
                f"The endpoint's folder {self._folder} is gone: the workspace was moved or "
                "removed while it runs.",
                hint="Move it back, or stop the endpoint and start it where the workspace is now.",
            )

    def _stamp(self) -> tuple[int, ...]:
        if self._path is None:
            return ()
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_ino, found.st_size)


def _next(state: State, change: Callable[[State], State]) -> State:
    return change(state).model_copy(update={"revision": state.revision + 1})
