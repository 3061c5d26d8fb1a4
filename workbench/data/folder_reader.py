"""Reading a folder of files by class, for every modality whose samples are files."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError
from workbench.core.records import Finding
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.file_kinds import file_kind, known_suffixes, modality_of
from workbench.data.folder import Folder, list_folder
from workbench.data.modalities import MODALITIES
from workbench.data.modality import FileKind
from workbench.data.names import dataset_name
from workbench.data.problems import Problems
from workbench.data.source import Source, SourceConfig
from workbench.store import Store

_EVERY = 256
_SHOWN = 50
_REMEDY = (
    "Mend or remove these places and load again; with skip_broken=True {}s that cannot be "
    "read are left out."
)


class FolderConfig(SourceConfig):
    """A folder and what is done with it."""

    path: Path = Field(exclude=True, description="A folder with one folder for each class.")
    skip_broken: bool = Field(
        default=False,
        description="Leave out files that cannot be read, and list them, instead of refusing the "
        "data.",
    )
    groups: str | None = Field(
        default=None,
        description="A regular expression found in each file's path, as in '(patient[0-9]+)_'; "
        "files in which it finds the same stay in one split.",
    )

    @field_validator("groups")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"'{value}' is no regular expression: {error}") from error
        return value


class FolderSource(Source):
    """Files on disk. Read one by one: memory does not grow with their number.

    Attributes:
        modality: Whose files it reads, if it is a source of one modality.
    """

    Config: ClassVar[type[Config]] = FolderConfig
    modality: ClassVar[str | None] = None

    @abstractmethod
    def chosen(self, config: Any, modality: str) -> dict[str, Any]:
        """Returns the options of the modality, checked, as the config has them."""

    def open(self, config: Any, store: Store) -> Reader:
        """Returns a reader of the folder."""
        root = config.path.expanduser()
        if not root.is_dir():
            raise NotFoundError(
                f"There is no folder '{config.path}'.",
                hint="Give a folder with one folder of files for each class.",
            )
        modality = self.modality or config.modality or modality_of(root)
        if modality is None:
            raise InputError(
                f"The folder '{root}' has no files of a known kind.",
                hint=f"Known are {known_suffixes()}.",
            )
        options = self.chosen(config, modality)
        return FolderReader(root, config, modality, options, store)


class FolderReader(Reader):
    """Reads the files of one modality.

    Args:
        root: The folder.
        config: How to read it.
        modality: Key of the modality.
        options: Of the modality, checked.
        store: For the fingerprints of files that did not change.
    """

    def __init__(
        self,
        root: Path,
        config: FolderConfig,
        modality: str,
        options: Mapping[str, Any],
        store: Store,
    ) -> None:
        self.name = dataset_name(root.absolute().name)
        self._root = root
        self._config = config
        self._key = modality
        self._kind: FileKind = file_kind(modality)
        self._options = options
        self._cache = store.cache
        self._sizes: dict[int, tuple[int, ...]] | None = None
        self._unreadable: dict[int, str] = {}
        self._listed: Folder | None = None

    def fingerprint(self, progress: Progress) -> str:
        """Hashes all files by name and bytes; files that did not change since are not read again.

        "Did not change" means: same names, sizes, inodes and times of change, none of them of the
        last seconds.
        """
        folder = self._folder()
        key = f"{self._kind.noun}s:{folder.state}"
        known = self._cache.get(key)
        if known is None:
            known = {"content": self._read_all(folder, progress)}
            if folder.is_settled:
                self._cache.put(key, known)
        return str(known["content"])

    def collect(self, progress: Progress) -> Collected:
        """Gathers sizes and classes, and every file that cannot be read."""
        folder = self._folder()
        if self._sizes is None:
            self._read_all(folder, progress)
        sizes = self._sizes or {}
        kept = np.array(sorted(sizes), np.int64)
        problems = Problems(folder.problems)
        unreadable = [f"{folder.files[i]}: {why}" for i, why in self._unreadable.items()]
        if not self._config.skip_broken:
            problems.extend(unreadable)
        groups, missed = _groups([folder.files[i] for i in kept], self._config.groups)
        problems.extend(missed)
        if groups is not None and folder.parts is not None:
            problems.add("groups= and folders train/ val/ test/ both say how to split; give one")
        if not len(kept):
            problems.extend(unreadable)
            problems.raise_if_any(f"The folder '{self._root}'")
        findings = folder.findings
        if self._config.skip_broken and unreadable:
            findings = (*findings, _broken(unreadable, self._kind.noun))
        return Collected(
            modality=self._key,
            task="classification",
            labels=folder.labels,
            samples=_Paths(self._root, [folder.files[i] for i in kept]),
            targets=folder.targets[kept],
            place=lambda index: folder.files[kept[index]],
            given=None if folder.parts is None else folder.parts[kept],
            groups=groups,
            shapes=np.array([sizes[int(i)] for i in kept], np.int64),
            problems=tuple(problems),
            findings=findings,
            options=self._options,
            remedy="" if self._config.skip_broken else _REMEDY.format(self._kind.noun),
        )

    def _folder(self) -> Folder:
        if self._listed is None:
            self._listed = list_folder(self._root, self._kind)
        return self._listed

    def _read_all(self, folder: Folder, progress: Progress) -> str:
        sha = hashlib.sha256()
        total = len(folder.files)
        sizes: dict[int, tuple[int, ...]] = {}
        modality, is_read = MODALITIES.get(self._key), self._config.skip_broken
        for index, name in enumerate(folder.files):
            try:
                data = (self._root / name).read_bytes()
                sha.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
                sizes[index] = modality.measure(data, self._options, is_read=is_read)
            except OSError as error:
                self._unreadable[index] = f"cannot be read ({error.strerror})"
            except InputError as error:
                self._unreadable[index] = error.message
            if index % _EVERY == 0 or index + 1 == total:
                progress(index + 1, total, "reading")
        self._sizes = sizes
        return sha.hexdigest()


def _broken(unreadable: list[str], noun: str) -> Finding:
    count = len(unreadable)
    nouns, verb = (noun, "is") if count == 1 else (f"{noun}s", "are")
    message = f"{count} {nouns} that cannot be read {verb} left out."
    return Finding("broken_left_out", message, places=tuple(unreadable[:_SHOWN]))


def _groups(files: Sequence[str], expression: str | None) -> tuple[np.ndarray | None, list[str]]:
    """Returns what the expression finds in each path, shape (N,), and the paths without it."""
    if expression is None:
        return None, []
    found = [re.search(expression, name) for name in files]
    missed = [
        f"{name}: '{expression}' is not found in the path"
        for name, match in zip(files, found, strict=True)
        if match is None
    ]
    return np.array(["" if m is None else m[m.re.groups > 0] for m in found]), missed


class _Paths(Sequence[Path]):
    def __init__(self, root: Path, names: list[str]) -> None:
        self._root = root
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        return self._root / self._names[index]

    def take(self, indices: np.ndarray) -> _Paths:
        return _Paths(self._root, [self._names[int(index)] for index in indices])
