"""A little space kept aside in each workspace, so that a full disk can be tidied and told of.

Without it neither `gc` nor the note that a run failed could be written to the database.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from workbench.core.files import open_private

_BYTES = 256 * 1024
_PLENTY = 64 * _BYTES  # with less than that left, nothing is taken from the disk


class Reserve:
    """The space kept aside in one workspace.

    Args:
        root: The workspace's folder.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "reserve"

    def keep(self) -> None:
        """Takes the space, if it is not taken and the disk is far from full."""
        with suppress(OSError):
            if self._path.exists() or shutil.disk_usage(self._path.parent).free < _PLENTY:
                return
            with open_private(self._path, "xb") as file:
                file.write(os.urandom(_BYTES))  # zeros take no space on some file systems

    def release(self) -> bool:
        """Gives the space back; returns whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
