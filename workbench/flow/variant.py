"""A variant as the user holds it: a recipe and what was measured of its ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.compression.confirmation import Confirmed
from workbench.compression.measured import Measured
from workbench.core.records import Interval
from workbench.core.shown import Shown
from workbench.core.storage import bordered
from workbench.flow.resolve import Model
from workbench.store import Store
from workbench.store.studies import StudyRecord, VariantRecord

if TYPE_CHECKING:
    from workbench.flow.search_report import SearchReport

_KB = 1000


def confirmed_key(study_id: str, artifact: str) -> str:
    """Returns where the store remembers how a variant did on unseen samples."""
    return f"confirmed:{study_id}:{artifact}"


@bordered(root=lambda variant: variant._store.home.root)
class Variant(Shown):
    """One measured point of a study. It never changes.

    Args:
        store: The workspace.
        study: The study it belongs to.
        record: What is stored of it.
    """

    shown_as = "variant"

    def __init__(
        self,
        store: Store,
        study: StudyRecord,
        record: VariantRecord,
        found: SearchReport | None = None,
    ) -> None:
        self._store: Store = store
        self._study = study
        self._record = record
        self._found = found
        self.measured = Measured.from_json(record.measured)

    def __repr__(self) -> str:
        m, confirmed = self.measured, self.confirmation
        beside = "" if confirmed is None else f" (confirmed {confirmed.score:.4f})"
        return (
            f"Variant({self.recipe!r}, {m.metric} {m.score:.4f}{beside}, "
            f"{m.size_bytes / _KB:.1f} kB, {m.latency_ms:.3f} ms)"
        )

    def with_report(self, found: SearchReport) -> Variant:
        """Returns the variant as the choice of a search."""
        return Variant(self._store, self._study, self._record, found)

    @property
    def found(self) -> SearchReport | None:
        """What the search that returned it has to say, `.words` first; None without a search."""
        return self._found

    @property
    def confirmation(self) -> Confirmed | None:
        """How it did on samples no choice was made by, beside the baseline; None if unknown."""
        stored = self._store.cache.get(confirmed_key(self._study.id, self.digest))
        return None if stored is None else Confirmed.from_json(stored)

    @property
    def confirmed(self) -> float | None:
        """Its score on samples that no choice was made by; None if it was not confirmed."""
        confirmation = self.confirmation
        return None if confirmation is None else confirmation.score

    @property
    def record(self) -> VariantRecord:
        """What is stored of it."""
        return self._record

    @property
    def ref(self) -> str:
        """The variant's ref."""
        return self._record.ref

    @property
    def study_id(self) -> str:
        """Id of the study it belongs to."""
        return self._study.id

    @property
    def digest(self) -> str:
        """Digest of its ONNX artifact."""
        return self._record.digest

    @property
    def recipe(self) -> str:
        """How it was made, as text; "baseline" for the model itself."""
        return self._record.recipe

    @property
    def is_baseline(self) -> bool:
        """Whether nothing was done to the model."""
        return self.measured.is_baseline

    @property
    def metric(self) -> str:
        """What `score` is, as in "accuracy"."""
        return self.measured.metric

    @property
    def score(self) -> float:
        """On the whole validation split, by ONNX Runtime."""
        return self.measured.score

    @property
    def accuracy(self) -> float | None:
        """The score if it is the accuracy, else None."""
        return self.measured.accuracy

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score is better."""
        return self.measured.higher_is_better

    @property
    def difference(self) -> Interval:
        """Score minus the baseline's, paired, with its 90 % interval."""
        return self.measured.difference

    @property
    def drop(self) -> float:
        """How much worse than the baseline the score is; negative if it is better."""
        change = self.measured.difference.value
        return -change if self.higher_is_better else change

    @property
    def size_bytes(self) -> int:
        """Of the file at `path`."""
        return self.measured.size_bytes

    @property
    def stored_bytes(self) -> int:
        """The same after zstd."""
        return self.measured.stored_bytes

    @property
    def latency_ms(self) -> float:
        """Median of a call."""
        return self.measured.latency_ms

    @property
    def latency_ratio(self) -> Interval:
        """Latency to the baseline's, measured in turns with it."""
        return self.measured.latency_ratio

    @property
    def reason(self) -> str:
        """What it gains and loses, and why, in words."""
        return self.measured.reason

    @property
    def path(self) -> Path:
        """Its ONNX file; read-only."""
        return self._store.model_path(self._store.artifacts.get(self.digest).files)

    def as_model(self) -> Model:
        """Returns it as every verb takes it."""
        m = self.measured
        return Model(
            ref=self.ref,
            artifact=self._store.artifacts.get(self.digest),
            data=self._study.dataset,
            parent=self._study.config.get("model_ref") or self._study.ref,
            recipe=self.recipe,
            metrics={
                f"val_{m.metric}": m.score,
                "size_bytes": m.size_bytes,
                "stored_bytes": m.stored_bytes,
                "latency_ms": m.latency_ms,
                "latency_p95_ms": m.latency_p95_ms,
                "threads": m.threads,
                "batch": m.batch,
                "cpu": str(m.cpu.get("name") or m.cpu.get("machine") or ""),
            },
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the variant as JSON-able values."""
        confirmation, found = self.confirmation, self._found
        return {
            "ref": self.ref,
            "drop": self.drop,
            **self.measured.to_json(),
            "confirmed": None if confirmation is None else confirmation.to_json(),
            **({} if found is None else {"found": found.to_json()}),
        }
