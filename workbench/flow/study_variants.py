"""The variants of a study, read anew only after something was written to the workspace."""

from __future__ import annotations

import threading

from workbench.flow.variant import Variant
from workbench.store import Store
from workbench.store.studies import StudyRecord, VariantRecord


class StudyVariants:
    """See the module's docstring. Safe to share between threads.

    Args:
        store: The workspace.
        record: The study.
    """

    def __init__(self, store: Store, record: StudyRecord) -> None:
        self._store = store
        self._record = record
        self._local = threading.local()

    def all(self) -> tuple[Variant, ...]:
        """Returns all variants, oldest first; the same object as before if none has changed."""
        version = self._store.studies.version()
        known: tuple[Variant, ...] = getattr(self._local, "variants", ())
        if getattr(self._local, "version", None) != version:
            known = self._read(known)
            self._local.variants, self._local.version = known, version
        return known

    def find(self, recipe: str) -> Variant | None:
        """Returns the variant of a recipe (its canonical text); None if there is none."""
        return next((v for v in self.all() if v.recipe == recipe), None)

    def _read(self, known: tuple[Variant, ...]) -> tuple[Variant, ...]:
        before = [variant.record for variant in known]
        records = self._store.studies.variants(self._record.id)
        if records == before:
            return known
        kept = {variant.recipe: variant for variant in known}
        return tuple(self._variant(record, kept.get(record.recipe)) for record in records)

    def _variant(self, record: VariantRecord, known: Variant | None) -> Variant:
        if known is not None and known.record == record:
            return known
        return Variant(self._store, self._record, record)
