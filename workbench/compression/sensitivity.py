"""The sensitivity table: how the answers move when one layer is treated, as a Gram matrix.

A cell (layer, treatment) has a vector of output changes on held-out samples, weighted by the
softmax at temperature 2, so that half its squared length is the second-order change of the
loss. Only the products of these vectors are needed: a recipe's score is half the sum over all
pairs of its cells, cross-layer terms included. NumPy only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

TEMPERATURE = 2.0
COMMON = ("", "re-estimated")
_TINY = 1e-30
Cell = tuple[str, str]


@dataclass(frozen=True)
class Fact:
    """What a cell adds to the file's bytes and to the multiply-accumulates."""

    bytes: float = 0.0
    macs: float = 0.0


class SensitivityTable:
    """See the module's docstring. Cells are only added, never changed."""

    def __init__(self) -> None:
        self.rows: dict[Cell, int] = {}
        self.facts: list[Fact] = []
        self.shared_bytes: dict[str, int] = {}
        self._features = np.zeros((0, 0), np.float32)
        self.gram = np.zeros((0, 0), np.float32)

    def __contains__(self, cell: object) -> bool:
        return cell in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, cells: Sequence[Cell], features: np.ndarray, facts: Sequence[Fact]) -> None:
        """Adds cells with their vectors float32 [cells, D]; those already there are left out."""
        fresh = [i for i, cell in enumerate(cells) if cell not in self.rows]
        if not fresh:
            return
        for i in fresh:
            self.rows[cells[i]] = len(self.rows)
            self.facts.append(facts[i])
        new = np.asarray(features[fresh], np.float32)
        old = self._features
        self._features = new if not len(old) else np.concatenate([old, new])
        cross, own = old @ new.T if len(old) else np.zeros((0, len(new))), new @ new.T
        self.gram = np.block([[self.gram, cross], [cross.T, own]]).astype(np.float32)

    def score(self, rows: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns the score of the cells in `rows` [n], each taken `weights` [n] times."""
        part = self.gram[rows[:, None], rows]
        total = part.sum() if weights is None else weights @ part @ weights
        return max(0.5 * float(total), _TINY)

    def to_bytes(self, *, with_features: bool = True) -> tuple[bytes, bytes]:
        """Returns (JSON head, little-endian float32 numbers): the vectors, or the Gram matrix.

        The Gram matrix is all that a page needs; with the vectors the table can still grow.
        """
        numbers = self._features if with_features else self.gram
        head = {
            "cells": [list(cell) for cell in self.rows],
            "facts": [list(asdict(fact).values()) for fact in self.facts],
            "shared_bytes": self.shared_bytes,
            "shape": list(numbers.shape),
        }
        return json.dumps(head).encode(), numbers.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, head: bytes, numbers: bytes) -> SensitivityTable:
        """Rebuilds a table from `to_bytes` (with vectors)."""
        data = json.loads(head)
        table = cls()
        table.shared_bytes = dict(data["shared_bytes"])
        features = np.frombuffer(numbers, "<f4").reshape(data["shape"])
        cells = [(str(layer), str(key)) for layer, key in data["cells"]]
        table.add(cells, features, [Fact(*fact) for fact in data["facts"]])
        return table


def answer_weights(outputs: np.ndarray, kind: str) -> np.ndarray:
    """Returns the probabilities [N, C] that weight changes of logits; ones for values."""
    if kind == "value":
        return np.ones_like(outputs.reshape(len(outputs), -1))
    scaled = _logits(outputs, kind) / TEMPERATURE
    scaled -= scaled.max(axis=1, keepdims=True)
    shares = np.exp(scaled)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def change_vector(before: np.ndarray, after: np.ndarray, kind: str) -> np.ndarray:
    """Returns the weighted change of the outputs [N, C] as one vector [N·C]."""
    weights = answer_weights(before, kind)
    if kind == "value":
        spread = max(float(before.std()), _TINY)
        change = (after - before).reshape(len(before), -1) / spread
    else:
        change = (_logits(after, kind) - _logits(before, kind)) / TEMPERATURE
        change = change - (weights * change).sum(axis=1, keepdims=True)
    vector = np.sqrt(weights) * change / np.sqrt(len(before))
    return np.asarray(np.nan_to_num(vector.astype(np.float32).ravel(), posinf=1e6, neginf=-1e6))


def _logits(outputs: np.ndarray, kind: str) -> np.ndarray:
    flat = outputs.reshape(len(outputs), -1).astype(np.float64)
    return np.log(np.maximum(flat, 1e-9)) if kind == "probabilities" else flat
