"""What a search does with a study: trials and confirmation by the worker, stored at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.compression.confirmation import Confirmed, confirm
from workbench.compression.goal import checked_goal
from workbench.compression.growing import Refused
from workbench.compression.measured import Measured
from workbench.compression.recipe import Recipe
from workbench.flow.searching import Searching
from workbench.flow.timed_context import TimedContext

if TYPE_CHECKING:
    from workbench.flow.study import Study


class StudyBench:
    """See the module's docstring.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def is_aside(self) -> bool:
        """Whether trials run in another process than the estimator."""
        return not self._study.is_inline

    def get_ready(self) -> None:
        """Starts the measuring process, so that it is there at the first trial."""
        self._study.get_ready()

    def known(self) -> list[Measured]:
        """Returns what was measured so far and is still there, the baseline among it."""
        self._study.measure("")
        return [v.measured for v in self._study.variants if v.is_baseline or v.path.exists()]

    def trial(self, recipe: Recipe, max_drop: float, context: TimedContext) -> Measured | Refused:
        """Measures a recipe and stores it, or gives it up early.

        Args:
            recipe: What to measure.
            max_drop: In the metric's units.
            context: Stop and deadline.
        """
        task = {"task": "trial", "recipe": recipe.to_json(), "max_drop": max_drop}
        answer = self._study.ask({**task, "within_s": context.left()}, context.tell, context)
        if "refused" in answer:
            return Refused.from_json(answer["refused"])
        return self._study.keep(Measured.from_json(answer["measured"])).measured

    def confirm(self, chosen: Measured, context: TimedContext, budget_s: float) -> Confirmed | None:
        """Scores the chosen one on unseen samples and stores that; None if there are none.

        Args:
            chosen: The variant.
            context: Stop.
            budget_s: Wall time.
        """
        known = self._study.confirmation_of(chosen.artifact)
        if known is not None and known.samples == len(self._study.data.test):
            return known
        own = next(v for v in self._study.variants if v.measured.artifact == chosen.artifact)
        confirmed = confirm(  # here, not by the worker, which may still be busy with a late trial
            self._study.baseline.path,
            own.path,
            self._study.data.test,
            chosen.metric,
            context,
            threads=chosen.threads,
            budget_s=budget_s,
        )
        if confirmed is None:
            return None
        self._study.keep_confirmed(chosen.artifact, confirmed)
        return confirmed

    def estimator(self) -> Any:
        """Returns the study's estimator."""
        return self._study.estimator


def searching_of(study: Study, limits: Mapping[str, Any]) -> Searching:
    """Returns a search of a study, not yet begun.

    Args:
        study: The study.
        limits: `max_drop`, `max_size`, `max_latency_ms`, `minimize` and `budget` as given.

    Raises:
        InputError: With everything that is wrong with them.
    """
    began = time.monotonic()  # the baseline's measurement is in the budget, too
    goal = checked_goal(**limits, metric=study.baseline.metric)
    inputs = {"model": study.record.model, "data": study.record.dataset}
    config = {"study": study.ref}
    return Searching(study.store, StudyBench(study), goal, config, inputs, began=began)
