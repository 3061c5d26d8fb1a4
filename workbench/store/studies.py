"""Studies and their variants: which model on which data, and what was measured of each recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import InputError, NotFoundError
from workbench.core.ids import digest_json, new_id
from workbench.store.database import Database
from workbench.store.reading import mapping, readable, reading
from workbench.store.seals import KINDS, Seals

_SHORTEST_PREFIX = 6


@dataclass(frozen=True)
class StudyRecord:
    """A study: digests of the model's and the dataset's artifacts, and where the model came from.

    `config` holds the ref of the model as the user named it, and what else belongs to the study.
    """

    id: str
    model: str
    dataset: str
    config: Mapping[str, Any]
    created: str

    @property
    def ref(self) -> str:
        """The study's ref."""
        return f"study:{self.id}"


@dataclass(frozen=True)
class VariantRecord:
    """What was measured of one recipe in one study. `digest` is that of its ONNX artifact."""

    study: str
    digest: str
    recipe: str
    measured: Mapping[str, Any]
    created: str

    @property
    def ref(self) -> str:
        """The variant's ref."""
        return f"variant:{self.digest[:12]}"


class Studies:
    """All studies of one workspace."""

    def __init__(self, db: Database, seals: Seals) -> None:
        self._db = db
        self._seals = seals

    def open(
        self,
        model: str,
        dataset: str,
        config: Mapping[str, Any],
        *,
        loss: str | None = None,
        metric: str | None = None,
    ) -> StudyRecord:
        """Returns the study of this model on this dataset, making it if it is new.

        Args:
            model: Digest of the model's artifact.
            dataset: Digest of the dataset's artifact.
            config: What belongs to the study.
            loss: Digest of the user's own loss, which makes it another study.
            metric: Key of what scores are, likewise; None for the task's first.
        """
        own = {k: v for k, v in (("loss", loss), ("metric", metric)) if v is not None}
        content = digest_json({"model": model, "dataset": dataset, **own})
        study_id, text = new_id(), json.dumps(dict(config), ensure_ascii=False)
        with self._db.transaction() as connection:
            is_new = connection.execute(
                "INSERT INTO studies VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(content) DO NOTHING",
                (study_id, content, model, dataset, text, now()),
            ).rowcount
            if is_new:
                self._seals.seal(connection, "study", study_id)
        return self._study(self._seals.query("study", "WHERE content = ?", content)[0])

    def get(self, study_id: str) -> StudyRecord:
        """Returns a study.

        Raises:
            NotFoundError: There is none with this id.
            IntegrityError: Its record was changed behind the workspace's back.
        """
        rows = self._seals.query("study", "WHERE id = ?", study_id)
        if not rows:
            raise NotFoundError(f"No study '{study_id}'.", hint="wb.study(run, data) makes one.")
        return self._study(rows[0])

    def all(self) -> list[StudyRecord]:
        """Returns all studies, newest first; for showing, unchecked."""
        return list(readable(_study, self._db.query("SELECT * FROM studies ORDER BY rowid DESC")))

    def add_variant(
        self, study_id: str, digest: str, recipe: str, measured: Mapping[str, Any]
    ) -> None:
        """Records what was measured; a later measurement of the same recipe replaces it."""
        text = json.dumps(dict(measured), ensure_ascii=False)
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO variants VALUES (?, ?, ?, ?, ?) ON CONFLICT(study, recipe) DO UPDATE "
                "SET digest = excluded.digest, measured = excluded.measured",
                (study_id, digest, recipe, text, now()),
            )
            self._seals.seal(connection, "variant", study_id, recipe)

    def variants(self, study_id: str) -> list[VariantRecord]:
        """Returns the measured variants of a study, oldest first.

        Raises:
            IntegrityError: One was changed behind the workspace's back.
        """
        rows = self._seals.query("variant", "WHERE study = ? ORDER BY variants.rowid", study_id)
        return [self._variant(row) for row in rows]

    def version(self) -> tuple[int, int]:
        """Returns what differs, within one thread, as soon as anything may have been recorded."""
        return self._db.version()

    def find_variant(self, prefix: str) -> VariantRecord:
        """Returns the variant whose digest starts with `prefix`.

        Raises:
            InputError: The prefix is too short.
            NotFoundError: There is none.
            IntegrityError: It was changed behind the workspace's back.
        """
        if len(prefix) < _SHORTEST_PREFIX or not all(c in "0123456789abcdef" for c in prefix):
            raise InputError(f"'{prefix}' is not a digest.", hint="Give at least 6 digits.")
        rows = self._seals.query(
            "variant", "WHERE digest GLOB ? ORDER BY variants.rowid LIMIT 1", prefix + "*"
        )
        if not rows:
            raise NotFoundError(f"No variant '{prefix}'.", hint="study.variants lists a study's.")
        return self._variant(rows[0])

    def _study(self, row: Any) -> StudyRecord:
        return _study(self._seals.checked("study", row))

    def _variant(self, row: Any) -> VariantRecord:
        return _variant(self._seals.checked("variant", row))


def _study(row: Any) -> StudyRecord:
    with reading(f"study:{row['id']}", KINDS["study"].remedy):
        config = mapping(row["config"])
    return StudyRecord(row["id"], row["model"], row["dataset"], config, row["created"])


def _variant(row: Any) -> VariantRecord:
    with reading(f"A variant of study:{row['study']}", KINDS["variant"].remedy):
        measured = mapping(row["measured"])
    return VariantRecord(row["study"], row["digest"], row["recipe"], measured, row["created"])
