"""What steps that rank all layers together take from each, for any amount without sorting again.

Shares are found at even amounts when first needed and are linear between them, in the kernel as in
the page. NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workbench.compression.recipe import Step
from workbench.compression.subject import Subject
from workbench.compression.treatments import axis_of, global_shares, with_amount

AMOUNTS = tuple(round(0.02 * step, 2) for step in range(1, 50))
_SAME = 1e-9


class Ranking:
    """See the module's docstring.

    Args:
        subject: The model.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._known: dict[tuple[Step, int, tuple[str, ...]], np.ndarray] = {}

    def shares(self, step: Step, subject: Subject, names: tuple[str, ...]) -> Mapping[str, float]:
        """Returns the share of each layer's weights that a step takes which ranks them together.

        Args:
            step: With `scope=global`.
            subject: The model, as everywhere.
            names: Of the layers that it ranks.
        """
        axis = axis_of((step,))
        if axis is None:
            return global_shares(step, subject, names)
        amount = axis[2]
        above = int(np.searchsorted(AMOUNTS, amount - _SAME))
        low, high = (_amount(index) for index in (above - 1, above))
        part = (amount - low) / (high - low)
        found = self.at(step, above, names)
        if part < 1 - _SAME:
            found = part * found + (1 - part) * self.at(step, above - 1, names)
        return dict(zip(names, found.tolist(), strict=True))

    def at(self, step: Step, index: int, names: tuple[str, ...]) -> np.ndarray:
        """Returns the share of each layer [layers] at `AMOUNTS[index]`: 0 before, 1 after them."""
        if not 0 <= index < len(AMOUNTS):
            return np.full(len(names), float(index >= 0))
        known = with_amount(step, AMOUNTS[0])
        key = (known, index, names)
        if key not in self._known:
            found = global_shares(with_amount(step, AMOUNTS[index]), self._subject, names)
            self._known[key] = np.array([found[name] for name in names])
        return self._known[key]


def _amount(index: int) -> float:
    return AMOUNTS[index] if 0 <= index < len(AMOUNTS) else float(index >= 0)
