"""Entry point of a measuring worker: `python -m workbench.flow.measuring_child ROOT STUDY BYTES`.

Reads the user's own code of BYTES bytes (often 0), then a task a line (see
`measuring_tasks`); writes events and the answer as JSON lines. Ends when its input ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Any

from workbench.compression.study import StudyEngine
from workbench.core.errors import CancelledError, RunFailedError, WorkbenchError
from workbench.core.storage import storage_border
from workbench.data.dataset import open_dataset
from workbench.flow import own_code
from workbench.flow.measuring_tasks import perform
from workbench.store import NullContext, Store, open_store

_ALIVE_S = 0.2


class _Work(NullContext):
    """The context of measurements; SIGUSR1 cancels the one under way.

    It tells now and then that it works, so that whoever waits has an occasion to stop it.
    """

    is_cancelled = False
    _told = 0.0

    def cancel(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_cancelled = True

    def progress(self, done: int, total: int, note: str = "") -> None:
        self.check()
        super().progress(done, total, note)

    def check(self) -> None:
        if self.is_cancelled:
            raise CancelledError("The measurement was cancelled; what was measured is kept.")
        moment = time.monotonic()
        if moment - self._told > _ALIVE_S:
            self._told = moment
            self.event("alive")
            self.events.clear()


def main(root: str, study_id: str, payload_bytes: str) -> int:
    """Serves measurements until the input ends; returns the exit code."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    live = _live(int(payload_bytes))
    try:
        with storage_border(Path(root)):
            store = open_store(Path(root))
            engine = _engine(store, study_id, *live)
    except WorkbenchError as error:
        _write(answers, {"error": error.to_dict()})
        return 1

    def tell(kind: str, data: Mapping[str, Any]) -> None:
        _write(answers, {"kind": kind, "data": dict(data)})

    context = _Work(store.home.scratch, store.artifacts, tell)
    signal.signal(signal.SIGUSR1, context.cancel)
    for line in sys.stdin.buffer:
        context.is_cancelled = False
        _write(answers, _answered(engine, json.loads(line), context))
    return 0


def _engine(store: Store, study_id: str, module: Any, loss: Any) -> StudyEngine:
    record = store.studies.get(study_id)
    model, data = store.artifacts.get(record.model), open_dataset(store, record.dataset)
    return StudyEngine(store, model, data, module, loss=loss, metric=record.config.get("metric"))


def _answered(engine: StudyEngine, task: Any, context: _Work) -> dict[str, Any]:
    try:
        return {"answer": perform(engine, task, context)}
    except WorkbenchError as error:
        if isinstance(error, RunFailedError):
            traceback.print_exc()
        return {"error": error.to_dict()}


def _live(size: int) -> tuple[Any, Any]:
    live = own_code.unpacked(sys.stdin.buffer.read(size))
    return (None, None) if live is None else (live[0], live[1])


def _write(stream: IO[str], message: Mapping[str, Any]) -> None:
    stream.write(json.dumps(message, ensure_ascii=False) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
