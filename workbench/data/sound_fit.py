"""What clips have in common: the rate and length at which they are looked at, and what was odd."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.records import Finding

_MOST_RATE, _LEAST_RATE = 16_000, 2000
_MOST_SECONDS, _LEAST_SECONDS = 10.0, 0.1
_SHARE = 95  # of 100 clips are looked at whole


def fitted(
    sizes: np.ndarray, rate: int | None, seconds: float | None
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Returns `sample_rate` and `seconds`, and what was noticed.

    Args:
        sizes: int64 (n, 3): frames, channels and rate of each clip.
        rate: Frames a second, if they are chosen.
        seconds: Length, if it is chosen.
    """
    rates = sizes[:, 2]
    if rate is None:
        rate = int(np.clip(_most_common(rates), _LEAST_RATE, _MOST_RATE))
    durations = sizes[:, 0] / rates
    if seconds is None:
        usual = float(np.percentile(durations, _SHARE, method="higher"))
        seconds = round(float(np.clip(usual, _LEAST_SECONDS, _MOST_SECONDS)), 3)
    noticed = (
        *_lengths(durations, seconds, 0.5 / rate),
        *_rates(rates, rate),
        *_channels(sizes[:, 1]),
    )
    return {"sample_rate": rate, "seconds": seconds}, noticed


def _most_common(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _lengths(durations: np.ndarray, seconds: float, slack: float) -> tuple[Finding, ...]:
    """Tells of clips that are not as long as the window."""
    shorter = int((durations < seconds - slack - 0.0005).sum())
    longer = int((durations > seconds + slack + 0.0005).sum())
    parts = [
        *([f"{shorter} are shorter and followed by silence"] if shorter else []),
        *([f"of {longer} only the middle is looked at"] if longer else []),
    ]
    if not parts:
        return ()
    message = (
        f"{len(durations)} clips in train last {durations.min():.3g} to {durations.max():.3g} s; "
        f"{seconds:g} s are looked at: {', '.join(parts)}. Another length: seconds=."
    )
    return (Finding("clip_length", message, "info"),)


def _rates(rates: np.ndarray, wanted: int) -> tuple[Finding, ...]:
    others = rates != wanted
    if not others.any():
        return ()
    found, counts = np.unique(rates, return_counts=True)
    words = ", ".join(f"{rate:,} Hz ({count})" for rate, count in zip(found, counts, strict=True))
    message = f"Clips in train have {words}; all are resampled to {wanted:,} Hz."
    lower = int((rates < wanted).sum())
    if lower:
        message += f" {lower} of lower rate have nothing in the highest bands."
    return (Finding("clip_rate", message, "info"),)


def _channels(channels: np.ndarray) -> tuple[Finding, ...]:
    several = int((channels > 1).sum())
    if not several:
        return ()
    message = (
        f"{several} of {len(channels)} clips in train have several channels, as stereo; all are "
        "mixed to mono."
    )
    return (Finding("clip_channels", message, "info"),)
