"""How a run ended, in a file of its own: for when the database cannot be written any more.

Its space is taken before the run begins, and it is written in place, also on a full disk.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from workbench.core.errors import WorkbenchError
from workbench.core.files import open_private

Status = Literal["created", "running", "paused", "succeeded", "failed", "cancelled", "interrupted"]
_BYTES = 4096
_LONGEST_TEXT = 400


class EndNote:
    """The note of one run.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ended.json"

    def prepare(self) -> None:
        """Takes the space, and forgets an earlier end.

        Raises:
            OSError: There is no space for it, hence none for the run.
        """
        with open_private(self._path, "r+b" if self._path.exists() else "xb") as file:
            file.write(b" " * _BYTES)

    def write(self, status: Status, error: WorkbenchError | None) -> None:
        """Notes how the run ended, as far as the disk lets it."""
        told = None if error is None else error.to_dict()
        text = json.dumps({"status": status, "error": told}).encode()
        if len(text) > _BYTES:
            text = json.dumps({"status": status, "error": _shortened(error)}).encode()
        with suppress(OSError), open_private(self._path, "r+b", buffering=0) as file:
            file.write(text.ljust(_BYTES))
            os.fsync(file.fileno())

    def read(self) -> tuple[Status, dict[str, Any] | None] | None:
        """Returns status and error; None if nothing was noted."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return found["status"], found["error"]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _shortened(error: WorkbenchError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    message, hint = error.message[:_LONGEST_TEXT], error.hint[:_LONGEST_TEXT]
    return {"code": error.code, "message": message, "hint": hint, "problems": [], "context": {}}
