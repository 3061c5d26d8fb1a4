"""How many bytes of bodies may be in memory at once, over all connections of a process."""

from __future__ import annotations

from workbench.core.errors import OverloadedError

_STRANGERS_SHARE = 4  # callers without a valid token get one part in so many


class BodyRoom:
    """Counts bytes that came and are not answered yet.

    Args:
        most: Of them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        self._by_strangers = 0

    @property
    def taken(self) -> int:
        """Bytes that are in memory."""
        return self._taken + self._by_strangers

    def take(self, size: int, *, is_known: bool) -> None:
        """Takes room for bytes that came.

        Args:
            size: How many.
            is_known: Whether a valid token came with them.

        Raises:
            OverloadedError: There is none.
        """
        if self.taken + size > self.most:
            raise self._is_full()
        if is_known:
            self._taken += size
        elif self._by_strangers + size > self.most // _STRANGERS_SHARE:
            raise self._is_full()
        else:
            self._by_strangers += size

    def give(self, size: int, *, is_known: bool) -> None:
        """Gives room back."""
        if is_known:
            self._taken -= size
        else:
            self._by_strangers -= size

    def _is_full(self) -> OverloadedError:
        return OverloadedError(
            f"The bodies of requests under way fill the {self.most} bytes that are kept for them.",
            hint="Try again later, send fewer large bodies at once, or raise --max-buffered.",
            context={"retry_after_s": 1},
        )
