"""What changed between two models that answered the same samples: flips, harm, calibration, blame.

NumPy only; nothing is run here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from workbench.compression.measured import Measured
from workbench.core.records import Description, Interval, OutputKind
from workbench.evaluation import paired_difference
from workbench.evaluation.compare import bonett_price
from workbench.tasks import TASKS, Task

_BINS = 15
_MOST_ROWS = 500
_TWICE = 2.0
_FEWEST = 2


@dataclass(frozen=True)
class Flip:
    """A sample that is answered differently.

    Attributes:
        index: Of the sample in the validation split.
        target: Its class.
        before: The baseline's answer.
        after: The variant's answer.
        kind: "lost" (right before), "won" (right now) or "other" (wrong both times).
        confidence_before: Of the baseline in its answer.
        confidence_after: Of the variant in its own.
    """

    index: int
    target: str
    before: str
    after: str
    kind: str
    confidence_before: float
    confidence_after: float


@dataclass(frozen=True)
class ClassHarm:
    """What one class loses.

    Attributes:
        label: The class.
        samples: Of it.
        before: Share of them the baseline has right.
        after: Share of them the variant has right.
        difference: After minus before, paired, with its 90 % interval.
        is_harmed: Whether it loses more than twice the average, and by more than one sample.
    """

    label: str
    samples: int
    before: float
    after: float
    difference: Interval
    is_harmed: bool


@dataclass(frozen=True)
class Change:
    """A sample whose figure changed much: a value, an error, or the share that is right.

    `of` says which; `target` is what it is at best.
    """

    index: int
    target: float
    before: float
    after: float
    of: Literal["value", "error", "share"] = "value"


@dataclass(frozen=True)
class Blame:
    """A layer's share of the change, from the sensitivity table."""

    layer: str
    treatment: str
    share: float


@dataclass(frozen=True)
class Comparison:
    """A variant beside its baseline, on the validation split.

    Attributes:
        recipe: The variant's.
        metric: What the scores are.
        difference: Variant minus baseline, paired, with its 90 % interval.
        samples: Compared.
        flips: Answers that differ; those that were lost come first. At most 500 are listed.
        flip_counts: All of them: "lost", "won", "other".
        classes: The most harmed first.
        changes: Without classes: the samples whose figure changed most, at most 500.
        calibration_before: Expected calibration error of the baseline; None without classes.
        calibration_after: Of the variant.
        blame: Layers by their share of the change, if it can be told.
        blame_words: How blame was found, or why not.
        saves: What is gained: ratios of size, stored size and latency, and the reason in words.
    """

    recipe: str
    metric: str
    difference: Interval
    samples: int
    flips: tuple[Flip, ...] = ()
    flip_counts: Mapping[str, int] | None = None
    classes: tuple[ClassHarm, ...] = ()
    changes: tuple[Change, ...] = ()
    calibration_before: float | None = None
    calibration_after: float | None = None
    blame: tuple[Blame, ...] = ()
    blame_words: str = ""
    saves: Mapping[str, Any] | None = None

    @property
    def harmed(self) -> tuple[ClassHarm, ...]:
        """The classes that lose more than twice the average."""
        return tuple(item for item in self.classes if item.is_harmed)

    def with_blame(self, blame: Sequence[Blame], words: str) -> Comparison:
        """Returns the comparison with the layers' shares."""
        return replace(self, blame=tuple(blame), blame_words=words)

    def with_savings(self, measured: Measured) -> Comparison:
        """Returns the comparison with what the variant saves, as it was measured."""
        figures = {
            "size_bytes": measured.size_bytes,
            "stored_bytes": measured.stored_bytes,
            "latency_ms": measured.latency_ms,
            "latency_ratio": asdict(measured.latency_ratio),
            "reason": measured.reason,
        }
        return replace(self, saves=figures)

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """Rebuilds a record from `to_json`."""
        rows: dict[str, Any] = {
            "difference": Interval(**data["difference"]),
            "flips": tuple(Flip(**row) for row in data["flips"]),
            "changes": tuple(Change(**row) for row in data["changes"]),
            "blame": tuple(Blame(**row) for row in data["blame"]),
            "classes": tuple(
                ClassHarm(**{**row, "difference": Interval(**row["difference"])})
                for row in data["classes"]
            ),
        }
        return cls(**{**data, **rows})


def compared(
    recipe: str,
    metric: str,
    before: np.ndarray,
    after: np.ndarray,
    targets: np.ndarray,
    about: Description,
) -> Comparison:
    """Returns what changed.

    Args:
        recipe: The variant's.
        metric: Key of the metric.
        before: The baseline's outputs [N, …].
        after: The variant's outputs [N, …].
        targets: Stored targets [N, …].
        about: Task and labels of the model.

    Raises:
        InputError: The outputs are no answers of the task.
    """
    task, output = TASKS.get(about.task), about.output
    task.check(before, about.labels)
    difference = paired_difference(metric, before, after, targets)
    plain = Comparison(recipe, metric, difference, len(targets))
    decided = [task.decisions(outputs) for outputs in (before, after)]
    hits = [answers == targets for answers in decided if answers is not None]
    if not hits:
        return replace(plain, changes=_changes(task, before, after, targets))
    names = [str(label) for label in about.labels]
    flips = _flips(before, after, targets, names, output)
    counts = {kind: sum(f.kind == kind for f in flips) for kind in ("lost", "won", "other")}
    return replace(
        plain,
        flips=tuple(flips[:_MOST_ROWS]),
        flip_counts=counts,
        classes=_classes(hits, targets, names),
        calibration_before=calibration_error(before, targets, output),
        calibration_after=calibration_error(after, targets, output),
    )


def calibration_error(
    outputs: np.ndarray, targets: np.ndarray, output: OutputKind, bins: int = _BINS
) -> float:
    """Returns the expected calibration error (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Args:
        outputs: Logits or probabilities [N, classes].
        targets: Class indices [N].
        output: Which of the two.
        bins: Of equal width in the confidence.
    """
    shares = _probabilities(outputs, output)
    confidence = shares.max(axis=1)
    hits = shares.argmax(axis=1) == targets
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for number in np.unique(place):
        own = place == number
        total += own.mean() * abs(hits[own].mean() - confidence[own].mean())
    return float(total)


def _flips(
    before: np.ndarray,
    after: np.ndarray,
    targets: np.ndarray,
    names: Sequence[str],
    output: OutputKind,
) -> list[Flip]:
    old, new = _probabilities(before, output), _probabilities(after, output)
    first, second = old.argmax(axis=1), new.argmax(axis=1)
    found = []
    for index in np.flatnonzero(first != second):
        right = int(targets[index])
        kind = "lost" if first[index] == right else "won" if second[index] == right else "other"
        found.append(
            Flip(
                index=int(index),
                target=names[right],
                before=names[int(first[index])],
                after=names[int(second[index])],
                kind=kind,
                confidence_before=float(old[index].max()),
                confidence_after=float(new[index].max()),
            )
        )
    order = {"lost": 0, "won": 1, "other": 2}
    return sorted(found, key=lambda f: (order[f.kind], -f.confidence_before))


def _classes(
    hits: Sequence[np.ndarray], targets: np.ndarray, names: Sequence[str]
) -> tuple[ClassHarm, ...]:
    average = max(float(hits[0].mean() - hits[1].mean()), 0.0)
    found = []
    for number, name in enumerate(names):
        own = targets == number
        if not own.any():
            continue
        change = bonett_price(hits[0][own], hits[1][own])
        lost = int(hits[0][own].sum()) - int(hits[1][own].sum())
        found.append(
            ClassHarm(
                label=name,
                samples=int(own.sum()),
                before=float(hits[0][own].mean()),
                after=float(hits[1][own].mean()),
                difference=change,
                is_harmed=-change.value > _TWICE * average and lost >= _FEWEST,
            )
        )
    return tuple(sorted(found, key=lambda c: (not c.is_harmed, c.difference.value)))


def _changes(
    task: Task, before: np.ndarray, after: np.ndarray, targets: np.ndarray
) -> tuple[Change, ...]:
    old, best, of = task.figures(before, targets)
    new = task.figures(after, targets).values
    order = np.argsort(-np.abs(new - old), kind="stable")[:_MOST_ROWS]
    return tuple(
        Change(int(i), float(best[i]), float(old[i]), float(new[i]), of)
        for i in order
        if old[i] != new[i]
    )


def _probabilities(outputs: np.ndarray, output: OutputKind) -> np.ndarray:
    flat = np.nan_to_num(np.asarray(outputs, np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
    if output == "probabilities":
        return flat
    shifted = np.exp(flat - flat.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
