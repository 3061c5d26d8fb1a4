"""How many threads training takes: all cores but one, and given back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from workbench.core.host import usable_cores


def default_threads() -> int:
    """Returns all usable cores but one: two threads on a busy two-core machine ran 10× slower."""
    return max(1, usable_cores() - 1)


@contextmanager
def torch_threads(count: int | None) -> Iterator[int]:
    """Lets torch compute with `count` threads inside the block; None means `default_threads`."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or default_threads())
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
