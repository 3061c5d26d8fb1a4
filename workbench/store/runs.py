"""Runs: one execution of a step each, with its config, inputs, metrics and outputs."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.core.clock import now
from workbench.core.errors import (
    IntegrityError,
    NotFoundError,
    StateError,
    StorageError,
    WorkbenchError,
)
from workbench.core.files import write_private
from workbench.core.host import FileLock, is_locked, process_start
from workbench.core.ids import new_id
from workbench.core.storage import storage_border
from workbench.store.checkpoints import forget_checkpoint
from workbench.store.database import Database
from workbench.store.end_note import EndNote, Status
from workbench.store.home import Home
from workbench.store.reading import LARGEST, UNREADABLE, mapping, readable, reading, text
from workbench.store.reserve import Reserve
from workbench.store.seals import KINDS, Seals

Control = Literal["run", "pause", "stop"]
FINISHED: tuple[Status, ...] = ("succeeded", "failed", "cancelled", "interrupted")
_LIVE = ("running", "paused")


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run at one moment.

    `inputs` and `outputs` map a role to a ref or artifact digest. An unfinished run whose process
    has ended has the status "interrupted".
    """

    id: str
    kind: str
    status: Status
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    metrics: Mapping[str, float]
    error: Mapping[str, Any] | None
    created: str
    started: str | None
    finished: str | None

    @property
    def ref(self) -> str:
        """The run's ref."""
        return f"run:{self.id}"

    @property
    def is_finished(self) -> bool:
        """Whether nothing works on it any more."""
        return self.status in FINISHED


class Runs:
    """All runs of one workspace."""

    def __init__(self, home: Home, db: Database, seals: Seals) -> None:
        self._home = home
        self._db = db
        self._seals = seals

    def create(self, kind: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> RunRecord:
        """Adds a run that has not started.

        Raises:
            StorageError: It cannot be written here.
        """
        with storage_border(self._home.root, "The run"):
            return self._create(kind, config, inputs)

    def _create(self, kind: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> RunRecord:
        run_id = new_id()
        texts = [json.dumps(dict(values), ensure_ascii=False) for values in (config, inputs)]
        try:
            self._home.folder(self.directory(run_id))
            self._note(run_id).prepare()
            with self._db.transaction() as connection:
                connection.execute(
                    "INSERT INTO runs (id, kind, status, config, inputs, created) "
                    "VALUES (?, ?, 'created', ?, ?, ?)",
                    (run_id, kind, *texts, now()),
                )
                self._seals.seal(connection, "run", run_id)
        except BaseException:
            shutil.rmtree(self.directory(run_id), ignore_errors=True)
            raise
        return self.get(run_id)

    def get(self, run_id: str) -> RunRecord:
        """Returns a run.

        Raises:
            NotFoundError: There is none with this id.
        """
        row = self._db.one("SELECT * FROM runs WHERE id = ?", run_id)
        if row is None:
            raise NotFoundError(f"No run '{run_id}'.", hint="`workbench runs` lists them.")
        return self._record(row)

    def proven(self, run_id: str) -> RunRecord:
        """Returns a run whose config, inputs, outputs and metrics will be believed.

        Raises:
            NotFoundError: There is none with this id.
            IntegrityError: They were changed behind the workspace's back.
        """
        for row in self._seals.query("run", "WHERE id = ?", run_id):
            return self._record(self._seals.checked("run", row))
        return self.get(run_id)

    def delete(self, run_id: str) -> None:
        """Deletes an ended run and its folder."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            self._seals.drop(connection, "run", run_id)
            forget_checkpoint(connection, self._seals, run_id)
        shutil.rmtree(self.directory(run_id), ignore_errors=True)

    def made_something(self, run_id: str) -> bool:
        """Returns whether a run has outputs, as far as they are what the workspace wrote."""
        rows = self._seals.query("run", "WHERE id = ?", run_id)
        try:
            return any(mapping(self._seals.checked("run", row)["outputs"]) for row in rows)
        except IntegrityError:
            return False

    def has(self, run_id: str) -> bool:
        """Returns whether there is a run with this id; it may have been deleted."""
        return self._db.one("SELECT 1 FROM runs WHERE id = ?", run_id) is not None

    def list(self, kind: str | None = None, limit: int = 200) -> list[RunRecord]:
        """Returns the newest runs first, of one kind or of all."""
        rows = self._db.query(
            "SELECT * FROM runs WHERE ?1 IS NULL OR kind = ?1 ORDER BY rowid DESC LIMIT ?2",
            kind,
            min(limit, LARGEST),
        )
        return list(readable(self._record, rows))

    def directory(self, run_id: str) -> Path:
        """Returns the folder of a run."""
        return self._home.runs / run_id

    def lock_path(self, run_id: str) -> Path:
        """Returns the file that the process working on a run keeps locked."""
        return self.directory(run_id) / "lock"

    def lock(self, run_id: str) -> FileLock:
        """Returns the lock of a run, for the process that works on it.

        Raises:
            StorageError: The workspace was moved or removed.
        """
        self._home.folder(self.directory(run_id))
        return FileLock(self.lock_path(run_id))

    def events_path(self, run_id: str) -> Path:
        """Returns the event log of a run."""
        return self.directory(run_id) / "events.jsonl"

    def worked_on_by(self, run_id: str, pid: int) -> None:
        """Notes the process that will take a run's lock, so that its early death is seen."""
        process = {"pid": pid, "start": process_start(pid), "host": platform.node()}
        write_private(self._process_path(run_id), json.dumps(process))

    def start(self, run_id: str) -> None:
        """Marks a run as running; for the process that holds its lock."""
        self._note(run_id).prepare()
        self._db.execute(
            "UPDATE runs SET status = 'running', error = NULL, finished = NULL, "
            "started = COALESCE(started, ?) WHERE id = ?",
            now(),
            run_id,
        )

    def set_status(self, run_id: str, status: Status) -> None:
        """Marks a live run as running or paused."""
        self._db.execute("UPDATE runs SET status = ? WHERE id = ?", status, run_id)

    def finish(self, run_id: str, status: Status, error: WorkbenchError | None = None) -> None:
        """Marks a run as ended, also where the disk has become full or read-only meanwhile.

        The database comes first, then the database with the space kept aside for this, then a note
        in the run's folder whose space was taken when the run began.
        """
        try:
            self._finish(run_id, status, error)
        except StorageError:
            Reserve(self._home.root).release()
            try:
                self._finish(run_id, status, error)
            except StorageError:
                self._note(run_id).write(status, error)

    def _finish(self, run_id: str, status: Status, error: WorkbenchError | None) -> None:
        self._db.execute(
            "UPDATE runs SET status = ?, error = ?, finished = ? WHERE id = ?",
            status,
            None if error is None else json.dumps(error.to_dict(), ensure_ascii=False),
            now(),
            run_id,
        )

    def add_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Merges final metrics into a run."""
        self._merge(run_id, "metrics", metrics)

    def add_output(self, run_id: str, name: str, digest: str) -> None:
        """Records an artifact that a run made."""
        self._merge(run_id, "outputs", {name: digest})

    def control(self, run_id: str) -> Control:
        """Returns what the run was last asked to do."""
        row = self._db.one("SELECT control FROM runs WHERE id = ?", run_id)
        return "stop" if row is None else row["control"]

    def set_control(self, run_id: str, control: Control) -> None:
        """Asks a run to go on, pause or stop; it obeys at its next batch.

        Raises:
            StateError: The run has ended.
        """
        record = self.get(run_id)
        if record.is_finished:
            raise StateError(f"The run {run_id} has ended ({record.status}).")
        self._db.execute("UPDATE runs SET control = ? WHERE id = ?", control, run_id)

    def restart(self, run_id: str) -> None:
        """Puts an ended run back to where it had not started; its outputs and folder stay."""
        self._process_path(run_id).unlink(missing_ok=True)
        self._note(run_id).prepare()
        self._db.execute(
            "UPDATE runs SET status = 'created', control = 'run', error = NULL, finished = NULL "
            "WHERE id = ?",
            run_id,
        )

    def _merge(self, run_id: str, column: str, values: Mapping[str, Any]) -> None:
        with self._db.transaction() as connection:
            row = self._seals.checked("run", self._seals.query("run", "WHERE id = ?", run_id)[0])
            merged = {**mapping(row[column]), **values}
            connection.execute(
                f"UPDATE runs SET {column} = ? WHERE id = ?",  # column is one of two constants
                (json.dumps(merged, ensure_ascii=False), run_id),
            )
            self._seals.seal(connection, "run", run_id)

    def _process_path(self, run_id: str) -> Path:
        return self.directory(run_id) / "process.json"

    def _died_before_it_began(self, run_id: str) -> bool:
        try:
            process = mapping(self._process_path(run_id).read_text(encoding="utf-8"))
            is_here = process["host"] == platform.node()
            if not is_here or process_start(int(process["pid"])) == process["start"]:
                return False
        except (OSError, *UNREADABLE):
            return False  # nothing is known of it
        row = self._db.one("SELECT status FROM runs WHERE id = ?", run_id)
        return row is not None and row["status"] == "created"  # it had not just ended its work

    def _note(self, run_id: str) -> EndNote:
        return EndNote(self.directory(run_id))

    def _record(self, row: Any) -> RunRecord:
        with reading(f"run:{row['id']}", KINDS["run"].remedy):
            return self._read(row)

    def _read(self, row: Any) -> RunRecord:
        status: Status = row["status"]
        error = None if row["error"] is None else mapping(row["error"])
        is_lost = status in _LIVE and not is_locked(self.lock_path(row["id"]))
        if is_lost or (status == "created" and self._died_before_it_began(row["id"])):
            status, error = self._note(row["id"]).read() or ("interrupted", None)
        return RunRecord(
            id=row["id"],
            kind=row["kind"],
            status=status,
            config=mapping(row["config"]),
            inputs=mapping(row["inputs"]),
            outputs=mapping(row["outputs"]),
            metrics=mapping(row["metrics"]),
            error=error,
            created=text(row["created"]),
            started=row["started"],
            finished=row["finished"],
        )
