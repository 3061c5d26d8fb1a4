"""What the next trial will cost, from what those before it cost: in seconds, whoever counts them.

A trial of a network that is there costs about as much as the last few did. One that trains a new
network first costs a fixed part (export, table) and a part that grows with its epochs; until two
efforts are known, each is taken for half. The load of the machine is in what was measured.
"""

from __future__ import annotations

import numpy as np

from workbench.compression.recipe import Step

_RECENT = 5
_FIXED = 0.5
_EPOCHS = "epochs"


class TrialCosts:
    """See the module's docstring.

    Args:
        plain_s: A trial of the network that is there, until one is known.
        network_s: A trial that trains a new network by the method's default, likewise.
    """

    def __init__(self, plain_s: float = 1.0, network_s: float = 1.0) -> None:
        self._plain = [plain_s]
        self._network_s = network_s
        self._networks: list[tuple[float, float]] = []
        self._built: set[str] = set()

    def note(self, step: Step | None, seconds: float) -> None:
        """Remembers what a trial cost.

        Args:
            step: The structural step that it begins with.
            seconds: What it took in all.
        """
        if step is None or str(step) in self._built:
            self._plain = [*self._plain, seconds][-_RECENT:]
        else:
            self._networks.append((_epochs(step), seconds))
            self._built.add(str(step))

    def note_built(self, step: Step) -> None:
        """Remembers that a network is there already."""
        self._built.add(str(step))

    def of(self, step: Step | None) -> float:
        """Returns the seconds that a trial is expected to take."""
        plain = float(np.mean(self._plain))
        if step is None or str(step) in self._built:
            return plain
        return max(plain, self._of_network(_epochs(step), _usual_epochs(step)))

    def _of_network(self, epochs: float, usual: float) -> float:
        if not self._networks:
            return self._network_s * _growth(epochs / usual)
        known = np.array(self._networks[-_RECENT:])
        if np.ptp(known[:, 0]) > 0:
            slope, start = np.polyfit(known[:, 0], known[:, 1], 1)
            if slope > 0 and start > 0:
                return float(start + slope * epochs)
        return float(known[:, 1].mean()) * _growth(epochs / max(float(known[:, 0].mean()), 1.0))


def _growth(ratio: float) -> float:
    return _FIXED + (1 - _FIXED) * ratio


def _epochs(step: Step) -> float:
    return float(getattr(step.config, _EPOCHS, 1))


def _usual_epochs(step: Step) -> float:
    field = type(step.config).model_fields.get(_EPOCHS)
    return float(field.default) if field is not None and field.default else 1.0
