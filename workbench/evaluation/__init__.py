"""Evaluation: scores of a model on a split, and paired comparison of two. No torch."""

from workbench.evaluation.compare import paired_difference
from workbench.evaluation.step import Evaluation, checked_metrics, evaluate

__all__ = ["Evaluation", "checked_metrics", "evaluate", "paired_difference"]
