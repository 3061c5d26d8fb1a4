"""Metrics, one a file."""

from workbench.core.plugins import Registry
from workbench.tasks._metric import Metric

METRICS: Registry[Metric] = Registry("metrics", __name__, Metric)  # type: ignore[type-abstract]

__all__ = ["METRICS"]
