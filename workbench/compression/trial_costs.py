"""What the next trial will cost, from what those before it cost: in seconds, whoever counts them.

A trial of a network that is there costs about as much as the last few did. One that trains a new
network first costs a fixed part (export, table) and a part that grows with its epochs; how much
that is on this machine, and under its load, the first networks tell.
"""

from __future__ import annotations

import numpy as np

from workbench.compression.recipe import Step

_RECENT = 5
_EPOCHS = "epochs"
_BACK_TOO = 3.0
_MACS_A_SECOND, _LEAST_EPOCH_S = 2e10, 0.05


class TrialCosts:
    """See the module's docstring.

    Args:
        plain_s: A trial of the network that is there, until one is known.
        network_s: The fixed part of a trial that trains a new network, likewise.
        epoch_s: An epoch of its training, likewise.
    """

    def __init__(
        self, plain_s: float = 1.0, network_s: float = 3.0, epoch_s: float = _LEAST_EPOCH_S
    ) -> None:
        self._plain = [plain_s]
        self._network_s, self._epoch_s = network_s, epoch_s
        self._networks: list[tuple[float, float]] = []
        self._built: set[str] = set()

    def expect(self, network_s: float, epoch_s: float) -> None:
        """Replaces what is expected of networks while none is known."""
        self._network_s, self._epoch_s = network_s, epoch_s

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
        plain = float(np.median(self._plain))
        if step is None or str(step) in self._built:
            return plain
        return max(plain, self._of_network(_epochs(step)))

    def _of_network(self, epochs: float) -> float:
        if not self._networks:
            return self._guess(epochs)
        known = np.array(self._networks[-_RECENT:])
        if np.ptp(known[:, 0]) > 0:
            slope, start = np.polyfit(known[:, 0], known[:, 1], 1)
            if slope > 0 and start > 0:
                return float(start + slope * epochs)
        factor = float(np.mean([paid / self._guess(own) for own, paid in known]))
        return factor * self._guess(epochs)

    def _guess(self, epochs: float) -> float:
        return self._network_s + self._epoch_s * epochs


def epoch_seconds(macs: float, samples: int) -> float:
    """Returns about how long an epoch of training takes on one thread.

    Args:
        macs: Multiply-accumulates of a sample's forward pass.
        samples: Of the training split.
    """
    return _LEAST_EPOCH_S + _BACK_TOO * macs * samples / _MACS_A_SECOND


def _epochs(step: Step) -> float:
    return float(getattr(step.config, _EPOCHS, 1))
