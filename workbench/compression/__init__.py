"""Compression: recipes, methods, and the study that measures variants. Listing imports no torch."""

from workbench.compression.method import GraphMethod, Method, StructureMethod, WeightMethod
from workbench.compression.methods import METHODS
from workbench.compression.recipe import Recipe, parse

__all__ = [
    "METHODS",
    "GraphMethod",
    "Method",
    "Recipe",
    "StructureMethod",
    "WeightMethod",
    "parse",
]
