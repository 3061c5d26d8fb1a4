"""Who trains, who validates, who tests. Given splits are kept; else classes are spread evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.core.errors import InputError
from workbench.core.records import Finding
from workbench.data.collected import Collected
from workbench.tasks import TASKS

PARTS = ("train", "val", "test")
FRACTIONS = (0.7, 0.15, 0.15)
_WORDS = {
    0: ("train", "training", "训练", "训练集"),
    1: ("val", "valid", "validation", "dev", "eval", "验证", "验证集"),
    2: ("test", "testing", "holdout", "测试", "测试集"),
}
_CODES = {word: code for code, words in _WORDS.items() for word in words}


def part_code(word: object) -> int | None:
    """Returns 0, 1 or 2 for a word that means train, val or test; None for any other."""
    return _CODES.get(str(word).strip().lower())


def check_fractions(fractions: Sequence[float] | None) -> tuple[float, float, float]:
    """Returns the fractions of train, val and test; the usual ones for None.

    Raises:
        InputError: They do not sum to 1, or train or val would be empty.
    """
    if fractions is None:
        return FRACTIONS
    train, val, test = fractions
    if min(train, val) <= 0 or test < 0 or abs(train + val + test - 1) > 1e-6:
        raise InputError(
            f"The split {tuple(fractions)} cannot be made.",
            hint="Give three fractions that sum to 1, as in split=(0.7, 0.15, 0.15); "
            "train and val cannot be 0.",
        )
    return train, val, test


def assign(
    collected: Collected, fractions: Sequence[float] | None, seed: int
) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Returns the part of each sample, int8 (N,): 0 train, 1 val, 2 test, and what was noticed.

    Raises:
        InputError: The split asked for cannot be made.
    """
    shares = check_fractions(fractions)
    rng = np.random.default_rng(seed)
    strata = _strata(collected)
    if collected.given is not None and fractions is None:
        codes, findings = _complete(collected.given, strata, rng)
    elif collected.groups is not None:
        codes, findings = by_group(collected.groups, shares, rng), ()
    elif collected.time is not None:
        codes, findings = by_time(collected.time, shares), ()
    else:
        codes, findings = stratified(strata, shares, rng), ()
    _check_parts(codes, shares)
    return codes, (*findings, *_absent(collected, codes))


def stratified(
    strata: np.ndarray, fractions: tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """Returns parts so that each stratum is spread by `fractions`, off by less than one sample.

    Systematic sampling along the shuffled strata: the totals are exact too. A stratum of two or
    more always has a training sample.
    """
    total = len(strata)
    codes = np.zeros(total, np.int8)
    shuffled = rng.permutation(total)
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    held = order[_every(total, fractions[1] + fractions[2])]
    codes[held] = 1
    codes[held[_every(len(held), fractions[2] / (fractions[1] + fractions[2]))]] = 2
    for stratum in np.setdiff1d(strata, strata[codes == 0]):
        codes[np.flatnonzero(strata == stratum)[0]] = 0
    return codes


def by_group(
    groups: np.ndarray, fractions: tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """Returns parts such that no group lies in two, as near to `fractions` as whole groups allow.

    Raises:
        InputError: There are fewer groups than parts.
    """
    _, member, counts = np.unique(groups, return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    if len(counts) < sum(share > 0 for share in fractions):
        raise InputError(
            f"{len(counts)} groups cannot fill train, val and test.",
            hint="Give more groups, or leave groups= out.",
        )
    shuffled = rng.permutation(len(counts))
    wanted = np.array(fractions) * len(groups)
    part_of = np.zeros(len(counts), np.int8)
    for group in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        part = int(np.argmax(wanted))
        part_of[group] = part
        wanted[part] -= counts[group]
    return part_of[member]


def by_time(time: np.ndarray, fractions: tuple[float, float, float]) -> np.ndarray:
    """Returns parts: train is older than val, val than test; equal times stay together.

    Raises:
        InputError: There are fewer different times than parts.
    """
    _, rank, counts = np.unique(time, return_inverse=True, return_counts=True)
    rank = rank.reshape(-1)
    ends = np.cumsum(counts)
    last = len(ends) - (1 if fractions[2] > 0 else 0)
    if last < 2:
        raise InputError(
            f"{len(ends)} different times cannot fill train, val and test.",
            hint="Give finer times, or leave time= out.",
        )
    first = 1 + int(np.argmin(np.abs(ends[: last - 1] - fractions[0] * len(time))))
    wanted = (fractions[0] + fractions[1]) * len(time)
    second = first + 1 + int(np.argmin(np.abs(ends[first:last] - wanted)))
    return np.where(rank < first, 0, np.where(rank < second, 1, 2)).astype(np.int8)


def order_of(
    codes: np.ndarray, part: int, *, collected: Collected, fractions: object, seed: int
) -> np.ndarray:
    """Returns the indices of the samples of a part in the order in which they are stored.

    Shuffled, so that the first few hundred are like the rest; samples in time, and val and test
    that were given, keep their order.
    """
    indices = np.flatnonzero(codes == part)
    in_time = collected.time is not None
    given = collected.given is not None and fractions is None
    if in_time or (given and part > 0):
        return indices
    return np.random.default_rng([seed, part]).permutation(indices)


def _every(total: int, share: float) -> np.ndarray:
    steps = np.floor(np.arange(total + 1) * share + 0.5 + 1e-9)
    return np.flatnonzero(np.diff(steps) > 0)


def _strata(collected: Collected) -> np.ndarray:
    return TASKS.get(collected.task).strata(collected.targets)


def _complete(
    given: np.ndarray, strata: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[Finding, ...]]:
    codes, findings = given.copy(), []
    for part in (1, 2):
        if (codes == part).any() or not (codes == 0).any():
            continue
        rows = np.flatnonzero(codes == 0)
        share = FRACTIONS[part] / (FRACTIONS[0] + FRACTIONS[part])
        picked = stratified(strata[rows], (1 - share, share, 0.0), rng) == 1
        codes[rows[picked]] = part
        findings.append(
            Finding(
                "split",
                f"The given split has no {PARTS[part]}; {int(picked.sum())} samples of train "
                f"became {PARTS[part]}.",
                "info",
            )
        )
    return codes, tuple(findings)


def _check_parts(codes: np.ndarray, fractions: Sequence[float]) -> None:
    counts = {name: int((codes == part).sum()) for part, name in enumerate(PARTS)}
    needed = [n for n, share in zip(PARTS, fractions, strict=True) if share > 0]
    empty = [name for name in needed if not counts[name]]
    if empty:
        raise InputError(
            f"{len(codes)} samples leave {' and '.join(empty)} empty.",
            hint="Give more samples, or other fractions, as in split=(0.5, 0.25, 0.25).",
            context=counts,
        )


def _absent(collected: Collected, codes: np.ndarray) -> tuple[Finding, ...]:
    task, findings = TASKS.get(collected.task), []
    for part, name in enumerate(PARTS):
        own = codes == part
        counts = task.counts(collected.targets[own], collected.labels)
        missing = tuple(collected.labels[i] for i in np.flatnonzero(counts == 0))
        if missing and own.any():
            text = f"{name} has no sample of {len(missing)} labels."
            findings.append(Finding("split", text, places=missing))
    return tuple(findings)
