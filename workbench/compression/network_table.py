"""A network that a structural step left: the sensitivity table of its own layers.

It answers otherwise than the network it came from: fewer channels stand in for each other, so a
treatment that the whole network bears may cost it points. Its table takes a fraction of the time
that its training took.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.compression.candidates import Candidates, Place
from workbench.compression.estimator import Estimator
from workbench.compression.locate import Located, Locator
from workbench.compression.probing import Prober
from workbench.compression.recipe import Recipe
from workbench.compression.restructuring import Structure
from workbench.compression.sensitivity import SensitivityTable
from workbench.compression.treatments import Treatment
from workbench.core.errors import WorkbenchError
from workbench.store import NullContext


class NetworkTable:
    """See the module's docstring.

    Args:
        estimator: The study's; its engine finds the network in the store.
        structure: The step that was taken.
        treatments: For its layers.
        minimize: "size_bytes" or "latency_ms".
        seed: For jitter and swaps.
    """

    def __init__(
        self,
        estimator: Estimator,
        structure: Structure,
        treatments: Sequence[Treatment],
        minimize: str,
        seed: int,
    ) -> None:
        engine = estimator.engine
        subject = engine.build(Recipe(steps=(structure.step,)))
        self._locator = Locator(
            Prober(subject, engine.tools(NullContext(Path()))), SensitivityTable()
        )
        possible = [treatment for treatment in treatments if self._has_added(treatment)]
        self._locator.prober.forget()
        self.candidates = Candidates(
            Place.of(self._locator), estimator.latency, minimize, seed, possible
        )

    def locate(self, rest: Recipe) -> Located:
        """Returns what the table holds of what follows the structural step."""
        return self._locator.locate(rest)

    def _has_added(self, treatment: Treatment) -> bool:
        try:
            self._locator.add(dict.fromkeys(self._locator.names, treatment))
        except WorkbenchError:
            return False  # it cannot work on this network, as the method's own words would say
        return True
