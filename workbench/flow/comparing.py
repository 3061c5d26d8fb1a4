"""A comparison as the user holds it: the record, its samples, and what it says in text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.compression.blame import blame_of
from workbench.compression.comparison import Blame, Change, ClassHarm, Comparison, Flip
from workbench.compression.recipe import parse
from workbench.core.records import Sample
from workbench.data.dataset import Dataset
from workbench.flow.measuring import EventSink
from workbench.flow.variant import Variant
from workbench.tasks import is_share

if TYPE_CHECKING:
    from workbench.flow.study import Study

_SHOWN = 5


class VariantComparison:
    """A variant beside its baseline: what it changes, whom it harms, what it saves.

    Args:
        record: The figures.
        variant: The variant.
        data: The dataset, for the samples.
    """

    def __init__(self, record: Comparison, variant: Variant, data: Dataset) -> None:
        self.record = record
        self.variant = variant
        self._data = data

    @property
    def flips(self) -> tuple[Flip, ...]:
        """Samples answered differently, lost ones first; empty for regression."""
        return self.record.flips

    @property
    def classes(self) -> tuple[ClassHarm, ...]:
        """Classes, the most harmed first."""
        return self.record.classes

    @property
    def harmed(self) -> tuple[ClassHarm, ...]:
        """Classes that lose more than twice the average."""
        return self.record.harmed

    @property
    def changes(self) -> tuple[Change, ...]:
        """Regression: samples whose value changed most."""
        return self.record.changes

    @property
    def blame(self) -> tuple[Blame, ...]:
        """Layers by their share of the change."""
        return self.record.blame

    def sample(self, row: Flip | Change) -> Sample:
        """Returns the validation sample behind a flip or a change: raw input and target."""
        return self._data.val[row.index]

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON-able values."""
        return {"variant": self.variant.ref, **self.record.to_json()}

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Returns the comparison as lines of text."""
        record = self.record
        head = f"{record.recipe} beside the baseline, {record.samples} validation samples"
        parts = [head, f"  {record.metric}: {_interval(record.metric, record)}"]
        parts += _harm_lines(record) + _flip_lines(record) + _change_lines(record)
        if record.calibration_before is not None and record.calibration_after is not None:
            parts.append(
                f"  calibration error: {100 * record.calibration_before:.1f} % → "
                f"{100 * record.calibration_after:.1f} %"
            )
        return [*parts, *_blame_lines(record), f"  saves: {self._saves()}"]

    def _saves(self) -> str:
        saves = dict(self.record.saves or {})
        return str(saves.get("reason") or "nothing")


def compare(study: Study, variant: Variant, tell: EventSink) -> VariantComparison:
    """Returns a variant of a study beside its baseline.

    Args:
        study: The study.
        variant: One of its variants.
        tell: Called with each event.
    """
    recipe = variant.measured.recipe_json
    answer = study.ask({"task": "compare", "recipe": recipe}, tell)
    record = Comparison.from_json(answer["compared"])
    if not variant.is_baseline:
        shares, words = blame_of(parse(recipe), study.estimator)
        record = record.with_blame(shares, words)
    return VariantComparison(record.with_savings(variant.measured), variant, study.data)


def _interval(metric: str, record: Comparison) -> str:
    scale, unit = (100, " points") if is_share(metric) else (1, "")
    change = record.difference
    text = (
        f"{scale * change.value:+.3g}{unit} [{scale * change.low:+.3g}, {scale * change.high:+.3g}]"
    )
    return text.replace("-", "−")


def _harm_lines(record: Comparison) -> list[str]:
    if not record.classes:
        return []
    if not record.harmed:
        return ["  no class loses more than twice the average"]
    rows = [
        f"    {item.label}: {100 * item.before:.1f} % → {100 * item.after:.1f} % of {item.samples}"
        for item in record.harmed[:_SHOWN]
    ]
    return ["  classes that lose more than twice the average:", *rows]


def _flip_lines(record: Comparison) -> list[str]:
    counts = record.flip_counts
    if counts is None:
        return []
    total = sum(counts.values())
    if not total:
        return ["  no sample is answered differently"]
    rows = [
        f"    sample {flip.index}: is {flip.target}, was {flip.before}, is now {flip.after}"
        for flip in record.flips[:_SHOWN]
    ]
    head = (
        f"  {total} answered differently: {counts['lost']} lost, {counts['won']} won, "
        f"{counts['other']} wrong both times"
    )
    return [head, *rows]


def _change_lines(record: Comparison) -> list[str]:
    if not record.changes:
        return []
    rows = [f"    sample {row.index}: {_change_words(row)}" for row in record.changes[:_SHOWN]]
    return ["  largest changes:", *rows]


def _change_words(row: Change) -> str:
    if row.of == "share":
        return f"{100 * row.before:.0f} % was right, {100 * row.after:.0f} % is now"
    if row.of == "error":
        return f"its error was {row.before:.3g}, is now {row.after:.3g}"
    return f"is {row.target:.4g}, was {row.before:.4g}, is now {row.after:.4g}"


def _blame_lines(record: Comparison) -> list[str]:
    if not record.blame:
        return [f"  per layer: {record.blame_words}"] if record.blame_words else []
    top = ", ".join(f"{b.layer} {100 * b.share:.0f} %" for b in record.blame[:_SHOWN])
    return [f"  per layer: {top} ({record.blame_words})"]
