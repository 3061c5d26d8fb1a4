"""The sensitivity table: how the answers move when one layer is treated, as a Gram matrix.

A cell (layer, treatment) has a vector of output changes on held-out samples, weighted by what they
matter to the task (at temperature 2), so that half its squared length is the second-order change of
the loss. Only the products of these vectors are needed: a recipe's score is half the sum over all
pairs of its cells, cross-layer terms included. NumPy only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from workbench.core.records import OutputKind
from workbench.tasks import TASKS

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


def change_vector(task: str, before: np.ndarray, after: np.ndarray, kind: OutputKind) -> np.ndarray:
    """Returns the change of outputs [N, …], weighted by what it matters to the task, as [D].

    Args:
        task: Key of the task.
        before: The outputs of the model as it is.
        after: The outputs after a change.
        kind: What they hold.
    """
    change = TASKS.get(task).whitened(before, after, kind, TEMPERATURE) / np.sqrt(len(before))
    return np.asarray(np.nan_to_num(change.astype(np.float32).ravel(), posinf=1e6, neginf=-1e6))
