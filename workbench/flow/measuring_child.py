"""Entry point of a measuring worker: `python -m workbench.flow.measuring_child ROOT STUDY BYTES`.

Reads a cloudpickled module and loss of BYTES bytes (often 0), then a task a line (see
`measuring_tasks`); writes events and the answer as JSON lines. Ends when its input ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from workbench.compression.study import StudyEngine
from workbench.core.errors import RunFailedError, WorkbenchError
from workbench.core.optional import require
from workbench.data.dataset import open_dataset
from workbench.flow.measuring_tasks import perform
from workbench.store import NullContext, open_store

_ALIVE_S = 0.2


def main(root: str, study_id: str, payload_bytes: str) -> int:
    """Serves measurements until the input ends; returns the exit code."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    module, loss = _live(int(payload_bytes))
    store = open_store(Path(root))
    record = store.studies.get(study_id)

    def tell(kind: str, data: Mapping[str, Any]) -> None:
        _write(answers, {"kind": kind, "data": dict(data)})

    engine = StudyEngine(
        store,
        store.artifacts.get(record.model),
        open_dataset(store, record.dataset),
        module,
        loss=loss,
    )
    context = _Telling(store.home.scratch, store.artifacts, tell)
    for line in sys.stdin.buffer:
        _write(answers, _answered(engine, json.loads(line), context))
    return 0


def _answered(engine: StudyEngine, task: Any, context: NullContext) -> dict[str, Any]:
    try:
        return {"answer": perform(engine, task, context)}
    except WorkbenchError as error:
        if isinstance(error, RunFailedError):
            traceback.print_exc()
        return {"error": error.to_dict()}


class _Telling(NullContext):
    """Tells now and then that it works, so that whoever waits can stop it."""

    _told = 0.0

    def check(self) -> None:
        """Says that work goes on, a few times a second."""
        moment = time.monotonic()
        if moment - self._told > _ALIVE_S:
            self._told = moment
            self.event("alive")
            self.events.clear()


def _live(size: int) -> tuple[Any, Any]:
    if not size:
        return None, None
    # From our own parent through a pipe, made a moment ago: never read from a file.
    pair = require("cloudpickle", for_="code from a cell").loads(sys.stdin.buffer.read(size))
    return pair[0], pair[1]


def _write(stream: IO[str], message: Mapping[str, Any]) -> None:
    stream.write(json.dumps(message, ensure_ascii=False) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
