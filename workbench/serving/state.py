"""What an endpoint keeps over a restart, and shares with the other workers behind its port.

A small JSON file beside the endpoint's log, readable by its owner only, written whole at once, also
on a full disk: a token can always be revoked. It holds hashes of tokens, never their text. In a
workspace it is sealed: what somebody else wrote into it is not believed, and who runs goes on with
what was in force.
"""

from __future__ import annotations

import json
import logging
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
from workbench.store.endpoint_state import FILE, LOCK, read_state, refusal, seal_state
from workbench.store.seals import Seals

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
_LOGGER = logging.getLogger(__name__)


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
        seals: Of the workspace; None for a folder that goes with its process.

    Attributes:
        revision: Of the last change made here; an older state read meanwhile is outdated.
        problem: Why the file is not believed; "" if it is.
    """

    def __init__(self, folder: Path | None, seals: Seals | None = None) -> None:
        self._folder = folder
        self._path = None if folder is None else folder / FILE
        self._seals = seals
        self._memory = State()
        self._believed: State | None = None
        self.revision = 0
        self.problem = ""
        self._seen: tuple[int, ...] = ()

    def read(self) -> State:
        """Returns the state; an empty one if none was ever written.

        Raises:
            IntegrityError: The file is not what was written, or an earlier one was put back.
        """
        if self._path is None:
            return self._memory
        self._seen = self._stamp()
        return self.peek()

    def peek(self) -> State:
        """Returns the state as `read` does, but it stays news."""
        if self._path is None:
            return self._memory
        stamp = self._stamp()
        try:
            state = self._checked(self._path, self._believed)
        except IntegrityError as error:
            if self._stamp() != stamp:  # the file read was being written anew under another name
                return self.peek()
            self.problem = error.message
            raise
        self._believed, self.problem = state, ""
        return state

    def is_news(self) -> bool:
        """Returns whether another process changed the state since it was last read here."""
        return self._path is not None and self._stamp() != self._seen

    def prepare(self) -> None:
        """Takes the space for what may have to be kept when the disk is full.

        Raises:
            OSError: There is none.
        """
        if self._path is not None:
            with FileLock(self._path.with_name(LOCK)):
                ReservedFile(self._path).reserve(json.dumps(State().to_json()))

    def forget(self) -> None:
        """Lets what was read be news again: it could not be taken up."""
        self._seen = ()

    def update(self, change: Callable[[State], State]) -> State:
        """Replaces the state by `change(state)` and returns it.

        A file that is not believed is replaced, too, by who has read or written it before.

        Raises:
            IntegrityError: The file is not what was written, and was never read here before.
            StorageError: The disk is full, or read-only; nothing is changed then.
            StateError: The workspace is not where it was; nothing is made at its old place.
        """
        if self._path is None:
            self._memory = state = _next(self._memory, change)
        else:
            self._check_place()
            with storing("The endpoint's state"), FileLock(self._path.with_name(LOCK)):
                state = _next(self._latest(), change)
                ReservedFile(self._path).write(self._text(state))
                self._seen = self._stamp()
            self._believed, self.problem = state, ""
        self.revision = state.revision
        return state

    def _checked(self, path: Path, before: State | None) -> State:
        """Returns what the file says, if it is no earlier state than one seen `before`."""
        try:
            state = State.parse(read_state(path, self._seals), what="the endpoint's state")
        except FileNotFoundError:
            state = State()
        if before is not None and state.revision < before.revision:
            what = "was removed" if not path.exists() else "is an earlier one that was put back"
            raise refusal(path, what)
        return state

    def _latest(self) -> State:
        try:
            return self.read()
        except IntegrityError as error:
            if self._believed is None:
                raise
            _LOGGER.error("%s It is written anew, from what was in force.", error.message)
            return self._believed

    def _text(self, state: State) -> str:
        values = json.loads(json.dumps(state.to_json()))
        if self._seals is not None and self._folder is not None:
            values = seal_state(self._seals, self._folder.name, values)
        return json.dumps(values, ensure_ascii=False)

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
