"""First floor: one workspace's database, files, runs and registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.store.artifacts import MODEL_FILE, Artifact, Artifacts
from workbench.store.audit import Audit
from workbench.store.blobs import Blob, Blobs
from workbench.store.cache import Cache
from workbench.store.checkpoints import Checkpoints
from workbench.store.database import Database, check_not_lost
from workbench.store.datasets import DatasetRecord, Datasets
from workbench.store.home import Home, find_home
from workbench.store.layout import model_path
from workbench.store.models import Models, Version
from workbench.store.reserve import Reserve
from workbench.store.run_context import Context, NullContext, RunContext
from workbench.store.runs import RunRecord, Runs
from workbench.store.sealing import begin
from workbench.store.seals import Seals
from workbench.store.signing import Signer
from workbench.store.studies import Studies

__all__ = [
    "MODEL_FILE",
    "Artifact",
    "Blob",
    "Context",
    "DatasetRecord",
    "Home",
    "NullContext",
    "RunContext",
    "RunRecord",
    "Store",
    "Version",
    "open_store",
]


@dataclass(frozen=True)
class Store:
    """All that one workspace holds."""

    home: Home
    db: Database
    blobs: Blobs
    artifacts: Artifacts
    runs: Runs
    models: Models
    audit: Audit
    seals: Seals
    signer: Signer
    cache: Cache
    checkpoints: Checkpoints
    datasets: Datasets
    studies: Studies

    def model_path(self, files: Mapping[str, Blob]) -> Path:
        """Returns the path of a model's graph, with its other files beside it under their names.

        Each file is re-hashed when this process first asks for it.

        Args:
            files: Of an artifact or a version.

        Raises:
            NotFoundError: There is no graph among them.
            IntegrityError: One is missing, or not what was stored.
        """
        return model_path(self.home, {name: self.blobs.proven(b) for name, b in files.items()})


def open_store(root: Path | None = None) -> Store:
    """Opens a workspace, making it if it is new.

    Args:
        root: Its folder; by default the one that the current folder belongs to.

    Raises:
        StorageError: It cannot be made, or not even read.
    """
    home = (find_home() if root is None else Home(Path(root).absolute())).create()
    check_not_lost(home)
    db = Database(home.database)
    Reserve(home.root).keep()
    blobs, signer = Blobs(home, db), Signer(home)
    seals = Seals(db, signer)
    audit = Audit(db, signer, seals)
    models = Models(db, blobs, signer, audit)
    begin(home, db, signer, seals, audit, models.trail)
    return Store(
        home=home,
        db=db,
        blobs=blobs,
        artifacts=Artifacts(db, blobs, seals, audit),
        runs=Runs(home, db, seals),
        models=models,
        audit=audit,
        seals=seals,
        signer=signer,
        cache=Cache(db, seals),
        checkpoints=Checkpoints(home, db, seals),
        datasets=Datasets(db, seals),
        studies=Studies(db, seals),
    )
