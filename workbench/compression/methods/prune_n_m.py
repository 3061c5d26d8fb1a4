"""N:M pruning: of each M weights along the input channels, the N largest stay.

The 2:4 pattern is what sparse matrix units run twice as fast (Mishra et al. 2021,
arXiv:2104.08378; other N and M: Zhou et al. 2021, arXiv:2102.04010). The ONNX file stores the
zeros, and no CPU operator of ONNX Runtime skips them: it saves stored bytes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from workbench.compression.method import WeightMethod, Weights
from workbench.core.config import Config
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_LARGEST_GROUP = 64


class PruneNMConfig(Config):
    """Options of `prune_n_m`."""

    pattern: str = Field("2:4", description="N:M, as in 2:4: N weights stay of each M")

    @field_validator("pattern", mode="before")
    @classmethod
    def _is_n_of_m(cls, pattern: object) -> str:
        kept, _, group = str(pattern).replace(" ", "").partition(":")
        if not (kept.isdecimal() and group.isdecimal() and 0 < int(kept) < int(group)):
            raise ValueError("should be N:M with 0 < N < M, as in 2:4")
        if int(group) > _LARGEST_GROUP:
            raise ValueError(f"should have groups of at most {_LARGEST_GROUP}, as in 2:4")
        return f"{int(kept)}:{int(group)}"

    @property
    def kept(self) -> int:
        """N: weights that stay of each group."""
        return int(self.pattern.split(":")[0])

    @property
    def group(self) -> int:
        """M: neighbouring input channels that make a group."""
        return int(self.pattern.split(":")[1])


class PruneNM(WeightMethod):
    """See the module's docstring."""

    summary = "keeps N of each M weights (2:4); saves stored bytes, and time on sparse hardware"
    Config = PruneNMConfig

    def change_weights(self, weights: Weights, config: PruneNMConfig) -> Weights:
        """Zeroes all but the N largest magnitudes of each group along axis 1; ties by position."""
        return {name: _pruned(value, config.kept, config.group) for name, value in weights.items()}

    def notes(self, weights: Weights, config: PruneNMConfig) -> tuple[str, ...]:
        """Names the layers that have too few input channels for the pattern."""
        names = [name for name, value in weights.items() if value.shape[1] <= config.kept]
        if not names:
            return ()
        return (f"{config.pattern} leaves {', '.join(names)}: at most {config.kept} inputs each",)


def _pruned(value: np.ndarray, kept: int, group: int) -> np.ndarray:
    """Returns `value` [outputs, inputs, …] pruned; a last group that is short counts as padded."""
    moved = np.moveaxis(value, 1, -1)
    missing = -moved.shape[-1] % group
    padded = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(0, missing)])
    groups = padded.reshape(*moved.shape[:-1], -1, group).copy()
    order = np.argsort(-np.abs(groups), axis=-1, kind="stable")
    np.put_along_axis(groups, order[..., kept:], 0.0, axis=-1)
    pruned = groups.reshape(padded.shape)[..., : moved.shape[-1]]
    return np.ascontiguousarray(np.moveaxis(pruned, -1, 1))


PLUGIN = PruneNM()
