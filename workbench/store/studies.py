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

    def __init__(self, db: Database) -> None:
        self._db = db

    def open(
        self, model: str, dataset: str, config: Mapping[str, Any], *, loss: str | None = None
    ) -> StudyRecord:
        """Returns the study of this model on this dataset, making it if it is new.

        Args:
            model: Digest of the model's artifact.
            dataset: Digest of the dataset's artifact.
            config: What belongs to the study.
            loss: Digest of the user's own loss, which makes it another study.
        """
        own_loss = {} if loss is None else {"loss": loss}
        content = digest_json({"model": model, "dataset": dataset, **own_loss})
        self._db.execute(
            "INSERT INTO studies VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(content) DO NOTHING",
            new_id(),
            content,
            model,
            dataset,
            json.dumps(dict(config), ensure_ascii=False),
            now(),
        )
        row = self._db.one("SELECT * FROM studies WHERE content = ?", content)
        if row is None:
            raise NotFoundError("The study was not stored.")
        return _study(row)

    def get(self, study_id: str) -> StudyRecord:
        """Returns a study.

        Raises:
            NotFoundError: There is none with this id.
        """
        row = self._db.one("SELECT * FROM studies WHERE id = ?", study_id)
        if row is None:
            raise NotFoundError(f"No study '{study_id}'.", hint="wb.study(run, data) makes one.")
        return _study(row)

    def all(self) -> list[StudyRecord]:
        """Returns all studies, newest first."""
        return [_study(row) for row in self._db.query("SELECT * FROM studies ORDER BY rowid DESC")]

    def add_variant(
        self, study_id: str, digest: str, recipe: str, measured: Mapping[str, Any]
    ) -> None:
        """Records what was measured; a later measurement of the same recipe replaces it."""
        self._db.execute(
            "INSERT INTO variants VALUES (?, ?, ?, ?, ?) ON CONFLICT(study, recipe) DO UPDATE "
            "SET digest = excluded.digest, measured = excluded.measured",
            study_id,
            digest,
            recipe,
            json.dumps(dict(measured), ensure_ascii=False),
            now(),
        )

    def variants(self, study_id: str) -> list[VariantRecord]:
        """Returns the measured variants of a study, oldest first."""
        rows = self._db.query("SELECT * FROM variants WHERE study = ? ORDER BY rowid", study_id)
        return [_variant(row) for row in rows]

    def version(self) -> tuple[int, int]:
        """Returns what differs, within one thread, as soon as anything may have been recorded."""
        return self._db.version()

    def find_variant(self, prefix: str) -> VariantRecord:
        """Returns the variant whose digest starts with `prefix`.

        Raises:
            InputError: The prefix is too short.
            NotFoundError: There is none.
        """
        if len(prefix) < _SHORTEST_PREFIX or not all(c in "0123456789abcdef" for c in prefix):
            raise InputError(f"'{prefix}' is not a digest.", hint="Give at least 6 digits.")
        row = self._db.one(
            "SELECT * FROM variants WHERE digest GLOB ? ORDER BY rowid LIMIT 1", prefix + "*"
        )
        if row is None:
            raise NotFoundError(f"No variant '{prefix}'.", hint="study.variants lists a study's.")
        return _variant(row)


def _study(row: Any) -> StudyRecord:
    config = json.loads(row["config"])
    return StudyRecord(row["id"], row["model"], row["dataset"], config, row["created"])


def _variant(row: Any) -> VariantRecord:
    measured = json.loads(row["measured"])
    return VariantRecord(row["study"], row["digest"], row["recipe"], measured, row["created"])
