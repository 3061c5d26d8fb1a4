"""Losses of tasks, and distances of a student's answers to its teacher's. Imports torch."""

from workbench.tasks.losses.labels import (
    BinaryCrossEntropy,
    CrossEntropy,
    soft_binary_cross_entropy,
    soft_cross_entropy,
)
from workbench.tasks.losses.places import AtPlaces
from workbench.tasks.losses.values import SquaredError

__all__ = [
    "AtPlaces",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "SquaredError",
    "soft_binary_cross_entropy",
    "soft_cross_entropy",
]
