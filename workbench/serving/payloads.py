"""Kept payloads: only when switched on, redacted, beside the request log and never in the way.

One JSON line an answered request in `<folder>/<date>.jsonl`: the samples as a person gave them, and
what was answered. `wb.load("request_log", …)` makes a dataset of them.
"""

from __future__ import annotations

import base64
import logging
import random
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from pydantic import Field

from workbench.core.clock import now
from workbench.core.config import Config
from workbench.core.errors import WorkbenchError
from workbench.core.ids import new_id
from workbench.core.jsonl import append, parts
from workbench.serving.batching import Job
from workbench.serving.content import is_json, json_value
from workbench.serving.jsonbody import is_heavy
from workbench.serving.log_folder import LogFolder
from workbench.serving.predictions import answered, predictions_of

if TYPE_CHECKING:
    from workbench.serving.answer import Answer
    from workbench.serving.messages import Request
    from workbench.serving.served import Served

_LOGGER = logging.getLogger(__name__)
PAYLOADS = "payloads"
REDACTED = "[redacted]"
_MOST_WAITING_BYTES = 64_000_000
_OVERHEAD_BYTES = 10_000
_PERSONAL_NAMES = re.compile(
    r"(^|[_\W])(e?mail|phone|tel|mobile|password|passwd|secret|token|ssn|iban|address|"
    r"(first|last|full|sur)_?name|birth(day|date)?|dob)([_\W]|$)",
    re.IGNORECASE,
)
_PERSONAL_TEXT = re.compile(
    r"[\w.+-]+@[\w-]+(\.[\w-]+)+"  # e-mail
    r"|(?<![\w.])\+?\d(?:[ ()./-]?\d){8,}(?![\w.])"  # telephone, card, account
    r"|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"  # IPv4
)


class Keeping(Config):
    """Whether the samples of requests are kept."""

    share: float = Field(1.0, gt=0, le=1, description="Share of the requests that are kept")
    redact: tuple[str, ...] = Field((), description="Further columns whose values are not kept")
    day_bytes: int = Field(
        256_000_000, ge=1, description="Most bytes a day; what comes then is not kept"
    )
    total_bytes: int = Field(
        10_000_000_000, ge=1, description="Most bytes in all; what comes then is not kept"
    )


class PayloadLog:
    """Keeps samples and answers, written by a thread of its own.

    Args:
        folder: Made when the first line is written; readable by its owner only.
        keeping: How much, and what not.
    """

    def __init__(self, folder: Path, keeping: Keeping) -> None:
        self._parent, self._folder = LogFolder(folder.parent), folder
        self._keeping = keeping
        self._queue: SimpleQueue[tuple[str, Request, Served, Job] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="payloads", daemon=True)
        self._random = random.Random()
        self._taken_bytes = 0  # changed on the event loop only
        self._done_bytes = 0  # changed in the thread only
        self.written = 0
        self.lost = 0

    def start(self) -> None:
        """Starts the writing thread."""
        self._parent.hold()
        self._thread.start()

    def offer(self, answer: Answer) -> str | None:
        """Keeps an answered request, if it is of those that are kept and there is room.

        Returns:
            The id of the line it will be; None if it is not kept.
        """
        job, served = answer.job, answer.served
        if job is None or job.outputs is None or served is None or answer.status != 200:
            return None
        if self._random.random() >= self._keeping.share:
            return None
        size = len(answer.request.body) + _OVERHEAD_BYTES
        if self._taken_bytes - self._done_bytes + size > _MOST_WAITING_BYTES:
            self.lost += 1
            return None
        self._taken_bytes += size
        id_ = new_id()
        self._queue.put((id_, answer.request, served, job))
        return id_

    def close(self, timeout_s: float = 2.0) -> None:
        """Writes what is left, but waits no longer than `timeout_s`."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._write(*item)
            except Exception as error:  # noqa: BLE001 (a request is answered whatever its log does)
                self.lost += 1
                _LOGGER.warning("a payload was not kept: %s", type(error).__name__)
            self._done_bytes += len(item[1].body) + _OVERHEAD_BYTES

    def _write(self, id_: str, request: Request, served: Served, job: Job) -> None:
        samples = served.decoder.raw(dict(job.inputs), _value(request))
        if samples is None or job.outputs is None:
            self.lost += 1
            return
        answers = predictions_of(job.outputs, served.signature, served.description)
        description = served.description
        line = orjson.dumps(
            {
                "time": now(),
                "id": id_,
                "model": served.name,
                "version": served.version,
                "modality": description.modality if description else None,
                "task": description.task if description else None,
                "labels": list(description.labels) if description else [],
                **self._samples(samples),
                "answers": [answered(answer) for answer in answers],
                "scores": [_score(answer) for answer in answers],
            }
        )
        self._append(line)

    def _samples(self, samples: Any) -> dict[str, Any]:
        if isinstance(samples, np.ndarray):
            data = base64.b64encode(np.ascontiguousarray(samples).tobytes()).decode()
            return {"array": {"shape": samples.shape, "dtype": samples.dtype.name, "b64": data}}
        return {"rows": [redacted(row, self._keeping.redact) for row in samples]}

    def _append(self, line: bytes) -> None:
        path = self._folder / f"{now()[:10]}.jsonl"
        self._parent.make()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        sizes = {one.name: one.stat().st_size for one in parts(self._folder)}
        is_full = sizes.get(path.name, 0) + len(line) > self._keeping.day_bytes
        if is_full or sum(sizes.values()) + len(line) > self._keeping.total_bytes:
            self.lost += 1
            return
        append(path, [line])
        self.written += 1


def redacted(row: Mapping[str, Any], columns: Sequence[str] = ()) -> dict[str, Any]:
    """Returns a row without what may tell a person.

    Columns named so, or named as persons' data usually are, lose their values; in texts, e-mail
    addresses, long numbers and IP addresses are replaced.
    """
    return {
        name: None
        if name in columns or _PERSONAL_NAMES.search(name)
        else _PERSONAL_TEXT.sub(REDACTED, value)
        if isinstance(value, str)
        else value
        for name, value in row.items()
    }


def _value(request: Request) -> Any:
    """Returns the JSON value that the request carried; None if it was another form, or heavy."""
    if not is_json(request.header(b"content-type"), request.body) or is_heavy(request.body):
        return None
    try:
        return json_value(request.body, ("inputs", "data", "body"))
    except WorkbenchError:
        return None


def _score(answer: Mapping[str, Any]) -> float | None:
    scores = answer.get("scores")
    return None if scores is None or "label" not in answer else scores.get(answer["label"])
