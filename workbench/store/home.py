"""Where a workspace lies and which folders it has. Lab, batch and shell find the same one."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import StorageError
from workbench.core.files import private_folder, write_private
from workbench.core.storage import storage_error

FOLDER = ".workbench"
VARIABLE = "WORKBENCH_HOME"
_PROJECT_MARKS = ("pyproject.toml", ".git")


@dataclass(frozen=True)
class Home:
    """The folders of one workspace. It can be moved: nothing inside holds an absolute path."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "workbench.db"

    @property
    def blobs(self) -> Path:
        """Content-addressed files."""
        return self.root / "blobs" / "sha256"

    @property
    def runs(self) -> Path:
        """A folder for each run."""
        return self.root / "runs"

    @property
    def requests(self) -> Path:
        """Request logs of the endpoints."""
        return self.root / "requests"

    @property
    def keys(self) -> Path:
        """The signing key; readable by its owner only."""
        return self.root / "keys"

    @property
    def scratch(self) -> Path:
        """Half-written files; on the same file system as the blobs, so that a rename publishes."""
        return self.root / "scratch"

    @property
    def endpoints(self) -> Path:
        """A folder for each endpoint: its log and state."""
        return self.root / "endpoints"

    def create(self) -> Home:
        """Makes the folders that are missing, for their owner only, and returns itself.

        A workspace that can only be read stays as it is.

        Raises:
            StorageError: There is none, and it cannot be made.
        """
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)  # as the user's other folders
            is_new = not self.database.exists()
            keys = (self.keys,) if is_new else ()  # an empty one would be in a backup's way
            for folder in (self.blobs, self.runs, self.requests, self.scratch, *keys):
                private_folder(folder)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                write_private(ignore, "*\n")
        except OSError as error:
            if not os.path.isfile(self.database):  # noqa: PTH113 (Path's raises if not allowed)
                raise _cannot_be_made(self.root, error) from error
        return self

    def folder(self, path: Path) -> Path:
        """Makes a folder in here, and those above it, for their owner only; returns it.

        Raises:
            StorageError: The workspace was moved or removed; it is not made again.
        """
        if path.is_dir():
            return path
        if path == self.root:
            raise moved(self.root)
        self.folder(path.parent)
        with suppress(FileExistsError):
            try:
                path.mkdir(mode=0o700)
            except FileNotFoundError:
                raise moved(self.root) from None
            path.chmod(0o700)  # whatever the umask
        return path

    def check(self) -> None:
        """Checks that the workspace is still where it was opened.

        Raises:
            StorageError: It is not.
        """
        if not self.database.exists():
            raise moved(self.root)

    def has_files(self) -> bool:
        """Returns whether anything was ever stored here."""
        return any(self.blobs.glob("??/*"))


def moved(root: Path) -> StorageError:
    """Returns the error for a workspace that is not where it was when it was opened."""
    return StorageError(
        f"The workspace {root} was moved or removed while it was open.",
        hint=f"Open it where it is now: Workspace('path'), or set {VARIABLE} and start anew.",
        context={"reason": "moved", "path": str(root)},
    )


def _cannot_be_made(root: Path, error: OSError) -> StorageError:
    what = f"The workspace folder {root}"
    return storage_error(error, root=root, what=what) or StorageError(
        f"{what} cannot be written: {error.strerror}.", hint=f"Set {VARIABLE} to a folder of yours."
    )


def find_home(start: Path | None = None) -> Home:
    """Returns the workspace that `start` (default: the current folder) belongs to.

    `WORKBENCH_HOME` wins; else the nearest `.workbench/` upward; else beside the nearest
    `pyproject.toml` or `.git`; else in the folder itself.
    """
    if chosen := os.environ.get(VARIABLE):
        return Home(Path(chosen).expanduser().absolute())
    here = (start or Path.cwd()).absolute()
    line = [here, *here.parents]
    for folder in line:
        if (folder / FOLDER).is_dir():
            return Home(folder / FOLDER)
    for folder in line:
        if any((folder / mark).exists() for mark in _PROJECT_MARKS):
            return Home(folder / FOLDER)
    return Home(here / FOLDER)
