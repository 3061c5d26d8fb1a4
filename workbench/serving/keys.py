"""The endpoint's tokens at run time: made, listed, revoked, kept, and known to every worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import InputError, NotFoundError, unknown_name
from workbench.serving.asker import Asker
from workbench.serving.follow import Registry
from workbench.serving.security import Gate
from workbench.serving.state import State, StateFile
from workbench.serving.tokens import Grant, Token, new_token, with_digest

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What came of a change that is in force.

    Attributes:
        late: Workers that did not confirm it: they answer nothing, and others take their place.
        is_noted: Whether the audit log tells of it.
    """

    late: tuple[int, ...]
    is_noted: bool


class Keys:
    """Changes the tokens of a gate. All methods run on the event loop.

    Args:
        gate: Knows the tokens of the start already; those are never written to disk.
        state: Where further tokens are kept, as hashes.
        registry: For the audit log; None has none.
        subject: The endpoint's ref, for the audit log.

    Attributes:
        followed: Returns once the other workers have taken a revision's tokens up, with the
            numbers of those that did not confirm it and are replaced.
    """

    def __init__(
        self, gate: Gate, state: StateFile, registry: Registry | None, subject: str
    ) -> None:
        self._gate = gate
        self._state = state
        self._registry = registry
        self._subject = subject
        self._first = {token.name: token for token in gate.tokens()}
        self._lock = asyncio.Lock()
        self.followed: Callable[[int], Awaitable[tuple[int, ...]]] = _alone

    def grants(self) -> list[Grant]:
        """Returns what each token allows."""
        return [token.grant for token in self._gate.tokens()]

    async def add(self, grant: Grant, *, by: Asker) -> tuple[str, Change]:
        """Makes a token.

        Returns:
            Its text, which is kept nowhere, and what came of the change.

        Raises:
            InputError: The name is taken.
        """
        clear = new_token()
        token = with_digest(clear, grant)

        def change(state: State) -> State:
            if grant.name in self._first or any(t.name == grant.name for t in state.tokens):
                raise InputError(f"The token name '{grant.name}' is taken.", hint="Choose another.")
            return state.model_copy(update={"tokens": (*state.tokens, token)})

        late = await self._change(change)
        return clear, Change(late, await self._note("token_added", grant.to_json(), by))

    async def revoke(self, name: str, *, by: Asker) -> Change:
        """Shuts a token out from the next request on, also in the other workers.

        Also on a full disk, where the audit log cannot tell of it.

        Raises:
            NotFoundError: No such token.
        """

        def change(state: State) -> State:
            first = self._first.get(name)
            if first is not None and first.digest not in state.revoked:
                return state.model_copy(update={"revoked": (*state.revoked, first.digest)})
            kept = tuple(token for token in state.tokens if token.name != name)
            if len(kept) == len(state.tokens):
                raise unknown_name("token", name, [token.name for token in self._gate.tokens()])
            return state.model_copy(update={"tokens": kept})

        try:
            late = await self._change(change)
        except NotFoundError:  # by a worker that was lost before it could tell the others?
            await self.followed(await self.take_up())
            raise
        return Change(late, await self._note("token_revoked", {"name": name}, by))

    def adopt(self, state: State) -> None:
        """Lets in and shuts out what the state says."""
        wanted: dict[str, Token] = {
            **{n: t for n, t in self._first.items() if t.digest not in state.revoked},
            **{token.name: token for token in state.tokens},
        }
        for token in self._gate.tokens():
            if wanted.get(token.name) != token:
                self._gate.revoke(token.name)
        known = {token.name for token in self._gate.tokens()}
        for name, token in wanted.items():
            if name not in known:
                self._gate.add(token)

    async def take_up(self) -> int:
        """Takes up the tokens as they are kept now, and returns the revision they are of.

        Waits for nothing that is being loaded.
        """
        state = await asyncio.to_thread(self._state.peek)
        if state.revision >= self._state.revision:
            self.adopt(state)
        return state.revision

    async def _change(self, change: Callable[[State], State]) -> tuple[int, ...]:
        async with self._lock:
            state = await asyncio.to_thread(self._state.update, change)
            self.adopt(state)
        return await self.followed(state.revision)

    async def _note(self, action: str, data: dict[str, Any], by: Asker) -> bool:
        """Writes what is in force already to the audit log; returns whether that went well."""
        if self._registry is None:
            return True
        try:
            told = by.told(data)
            await asyncio.to_thread(self._registry.note, action, self._subject, told, by.who)
        except Exception:
            _LOGGER.exception("%s of %s is not in the audit log", action, data.get("name"))
            return False
        return True


async def _alone(revision: int) -> tuple[int, ...]:
    """There are no other workers."""
    return ()
