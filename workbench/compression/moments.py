"""How a layer's output moves when its weights change, and the repair that the product makes.

After a change of weights BatchNorm is re-estimated (or, in files from elsewhere, outputs are
corrected): each output channel gets its mean and spread back. From the mean and covariance of the
patches a layer reads, that repair is a product of small matrices instead of a pass over data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_PATCHES = 1024
_SMALL = 1e-12


@dataclass(frozen=True)
class Moments:
    """Mean [groups, K] and covariance [groups, K, K] of what a layer's outputs are products of."""

    mean: np.ndarray
    covariance: np.ndarray

    def outputs(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation [out] of the products with `weight` [out, …]."""
        rows = weight.reshape(len(self.mean), -1, self.mean.shape[1]).astype(np.float64)
        mean = np.einsum("gok,gk->go", rows, self.mean)
        variance = ((rows @ self.covariance) * rows).sum(axis=2)
        return mean.ravel(), np.sqrt(np.maximum(variance, 0.0)).ravel()


def moments_of(node: Any, values: np.ndarray, weight: np.ndarray) -> Moments:
    """Returns the moments of a Conv's patches (1–3 dimensions) or a matrix product's rows.

    Args:
        node: The ONNX node.
        values: Its input.
        weight: Its weight, output channels first.
    """
    if node.op_type == "Conv":
        return _of_rows(_patches(node, values, weight))
    return _of_rows(values.reshape(1, -1, values.shape[-1]))


def repaired(
    weight: np.ndarray,
    bias: np.ndarray | None,
    before: np.ndarray,
    moments: Moments,
    max_gain: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weight and bias that give each output channel the moments it had.

    Args:
        weight: Changed, [out, …].
        bias: Of the layer, [out].
        before: The weight as it was.
        moments: Of the layer's input.
        max_gain: No channel is scaled by more.
    """
    old_mean, old_spread = moments.outputs(before)
    new_mean, new_spread = moments.outputs(weight)
    gain = np.where(new_spread > _SMALL, old_spread / np.maximum(new_spread, _SMALL), 1.0)
    gain = np.clip(gain, 1 / max_gain, max_gain)
    shift = old_mean - gain * new_mean
    start = 0.0 if bias is None else bias.ravel()
    scaled = weight * gain.reshape(-1, *[1] * (weight.ndim - 1))
    return scaled.astype(np.float32), (start + shift).astype(np.float32)


def _of_rows(rows: np.ndarray) -> Moments:
    mean = rows.mean(axis=1, dtype=np.float64)
    centered = rows - mean[:, None, :].astype(np.float32)
    covariance = np.matmul(centered.transpose(0, 2, 1), centered) / rows.shape[1]
    return Moments(mean, covariance.astype(np.float64))


def _patches(node: Any, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns some patches [groups, M, channels of a group · kernel], spread over the data."""
    options: dict[str, Any] = {i.name: list(i.ints) or i.i for i in node.attribute}
    kernel = weight.shape[2:]
    count = len(kernel)
    pads = options.get("pads") or [0] * (2 * count)
    steps = options.get("dilations") or [1] * count
    strides = options.get("strides") or [1] * count
    padded = np.pad(values, [(0, 0), (0, 0), *zip(pads[:count], pads[count:], strict=True)])
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, steps, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(2, 2 + count)))
    places = windows.shape[2 : 2 + count]
    picks = [np.arange(0, size, stride) for size, stride in zip(places, strides, strict=True)]
    grid = np.stack(np.meshgrid(np.arange(len(values)), *picks, indexing="ij")).reshape(
        count + 1, -1
    )
    chosen = grid[:, np.linspace(0, grid.shape[1] - 1, min(_PATCHES, grid.shape[1])).astype(int)]
    inner = tuple(slice(None, None, step) for step in steps)
    taken = windows[(chosen[0], slice(None), *chosen[1:])][(slice(None), slice(None), *inner)]
    groups = int(str(options.get("group") or 1))
    return np.ascontiguousarray(taken.reshape(len(taken), groups, -1).transpose(1, 0, 2))
