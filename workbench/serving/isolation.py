"""Many callbacks, each in a scope of its own: what one of them raises reaches no other.

Every loop over connections, answers, jobs, workers or models goes through here: whoever fails is
logged and given up, and the others go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)


def each(
    items: Iterable[T], work: Callable[[T], Any], give_up: Callable[[T], Any] | None = None
) -> None:
    """Does `work` for each item.

    Args:
        items: Not changed meanwhile.
        work: May fail.
        give_up: Called with an item whose work failed; it may fail, too.
    """
    for item in items:
        try:
            work(item)
        except Exception:
            _LOGGER.exception("%s failed; the others go on", type(item).__name__)
            if give_up is not None:
                alone(give_up, item)


def alone(work: Callable[P, Any], *args: P.args, **options: P.kwargs) -> None:
    """Does one thing; what it raises is logged and goes no further."""
    try:
        work(*args, **options)
    except Exception:
        _LOGGER.exception("a step failed; the others go on")


async def together(works: Iterable[Awaitable[T]]) -> list[T | None]:
    """Waits for all; returns what each gave, None for one that failed."""
    found = await asyncio.gather(*works, return_exceptions=True)
    return [_result(item) for item in found]


def _result(item: T | BaseException) -> T | None:
    if isinstance(item, Exception):
        _LOGGER.error("a step failed; the others go on", exc_info=item)
        return None
    if isinstance(item, BaseException):
        raise item
    return item
