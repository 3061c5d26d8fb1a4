"""Evaluation: metrics, scores of a model on a split, and paired comparison of two. No torch."""

from workbench.evaluation.compare import paired_difference
from workbench.evaluation.metric import Metric
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.step import Evaluation, evaluate, primary_metric

__all__ = ["METRICS", "Evaluation", "Metric", "evaluate", "paired_difference", "primary_metric"]
