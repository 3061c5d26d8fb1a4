"""How many bytes of bodies may be in memory at once, over all connections of a process."""

from __future__ import annotations

from workbench.core.errors import OverloadedError

_STRANGERS_SHARE = 4  # callers without a valid token get one part in so many


class BodyRoom:
    """Counts bytes that came and are not answered yet.

    Args:
        most: Of them.

    Attributes:
        taken: Bytes that are in memory.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._by_strangers = 0

    def take(self, size: int, is_known: bool) -> None:
        """Takes room for bytes that came.

        Args:
            size: How many.
            is_known: Whether a valid token came with them.

        Raises:
            OverloadedError: There is none.
        """
        taken = self.taken + size
        if taken > self.most:
            raise self._is_full()
        if not is_known:
            by_strangers = self._by_strangers + size
            if by_strangers > self.most // _STRANGERS_SHARE:
                raise self._is_full()
            self._by_strangers = by_strangers
        self.taken = taken

    def give(self, size: int, is_known: bool) -> None:
        """Gives room back."""
        self.taken -= size
        if not is_known:
            self._by_strangers -= size

    def _is_full(self) -> OverloadedError:
        return OverloadedError(
            f"The bodies of requests under way fill the {self.most} bytes that are kept for them.",
            hint="Try again later, send fewer large bodies at once, or raise --max-buffered.",
            context={"retry_after_s": 1},
        )
