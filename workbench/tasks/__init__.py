"""Tasks: what is predicted, how it is scored and said; one file each. No torch but in `losses`."""

from collections.abc import Sequence

from workbench.core.plugins import Registry
from workbench.tasks._infer import infer_task
from workbench.tasks._labels import sorted_names
from workbench.tasks._metric import Metric
from workbench.tasks._task import LossOptions, Targets, Task
from workbench.tasks.metrics import METRICS

TASKS: Registry[Task] = Registry("tasks", __name__, Task)  # type: ignore[type-abstract]

__all__ = [
    "METRICS",
    "TASKS",
    "LossOptions",
    "Metric",
    "Targets",
    "Task",
    "higher_is_better",
    "infer_task",
    "is_share",
    "primary_metric",
    "sorted_names",
]


def primary_metric(task: str, labels: Sequence[str]) -> str:
    """Returns the key of the metric by which models of a task are chosen.

    Args:
        task: Key of the task.
        labels: What its targets tell apart; empty for values.
    """
    return TASKS.get(task).metrics(labeled=bool(labels))[0]


def is_share(metric: str) -> bool:
    """Returns whether a metric is shown in percent and points; one of nobody's is not."""
    return metric in METRICS and METRICS.get(metric).is_share


def higher_is_better(metric: str) -> bool:
    """Returns whether more of a metric is better; of a loss, or one of nobody's, less is."""
    return metric in METRICS and METRICS.get(metric).higher_is_better
