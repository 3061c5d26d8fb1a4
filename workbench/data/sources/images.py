"""A folder of pictures: one folder for each class, if wanted below train/ val/ test/."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError
from workbench.core.records import Finding
from workbench.data import pictures
from workbench.data.collected import Collected, Progress, Reader
from workbench.data.image_folder import Folder, list_folder
from workbench.data.names import dataset_name
from workbench.data.picture_file import PictureLimits, open_picture
from workbench.data.problems import Problems
from workbench.data.source import Source, SourceConfig
from workbench.store import Store

_EVERY = 256
_SHOWN = 50
_REMEDY = (
    "Mend or remove these places and load again; with skip_broken=True pictures that cannot be "
    "read are left out."
)


class ImagesConfig(SourceConfig):
    """A folder and what its pictures become."""

    path: Path = Field(exclude=True, description="A folder with one folder for each class.")
    size: tuple[int, int] | None = Field(
        default=None,
        description="Height and width; by default kept if all are one size, else 64×64.",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 gray, 3 color; by default gray if all are gray."
    )
    resize: Literal["stretch", "crop"] = Field(
        default="stretch", description="How a picture of another shape is made to fit."
    )
    skip_broken: bool = Field(
        default=False,
        description="Leave out pictures that cannot be read, and list them, instead of refusing "
        "the data.",
    )
    max_pixels: int = Field(
        default=PictureLimits.pixels,
        ge=1,
        le=PictureLimits.pixels,
        exclude=True,
        description="Most pixels of one picture; its header tells, and more is not opened.",
    )
    groups: str | None = Field(
        default=None,
        description="A regular expression found in each file's path, as in '(patient[0-9]+)_'; "
        "pictures in which it finds the same stay in one split.",
    )

    @field_validator("groups")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"'{value}' is no regular expression: {error}") from error
        return value

    @field_validator("size", mode="before")
    @classmethod
    def _square(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @field_validator("size")
    @classmethod
    def _positive(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not all(1 <= side <= 4096 for side in value):
            raise ValueError("height and width must be 1 to 4096 pixels")
        return value


class Images(Source):
    """Pictures on disk. Read one by one: memory does not grow with their number."""

    summary = "A folder of pictures, one folder for each class"
    requires = ("PIL",)
    Config: ClassVar[type[Config]] = ImagesConfig

    def open(self, config: ImagesConfig, store: Store) -> Reader:
        """Returns a reader of the folder."""
        root = config.path.expanduser()
        if not root.is_dir():
            raise NotFoundError(
                f"There is no folder '{config.path}'.",
                hint="Give a folder with one folder of pictures for each class.",
            )
        return _ImagesReader(root, config, store)


PLUGIN = Images()


class _ImagesReader(Reader):
    def __init__(self, root: Path, config: ImagesConfig, store: Store) -> None:
        self.name = dataset_name(root.absolute().name)
        self._root = root
        self._config = config
        self._cache = store.cache
        self._shapes: np.ndarray | None = None
        self._unreadable: dict[int, str] = {}
        self._listed: Folder | None = None

    def fingerprint(self, progress: Progress) -> str:
        """Hashes all files by name and bytes; files that did not change since are not read again.

        "Did not change" means: same names, sizes, inodes and times of change, none of them of the
        last seconds.
        """
        folder = self._folder()
        key = f"images:{folder.state}"
        known = self._cache.get(key)
        if known is None:
            known = {"content": self._read_all(folder, progress)}
            if folder.is_settled:
                self._cache.put(key, known)
        return str(known["content"])

    def collect(self, progress: Progress) -> Collected:
        """Gathers sizes and classes, and every file that is no picture."""
        folder = self._folder()
        if self._shapes is None:
            self._read_all(folder, progress)
        shapes = self._shapes if self._shapes is not None else np.zeros((0, 3), np.int64)
        kept = np.flatnonzero(shapes[:, 0] > 0)
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
            findings = (*findings, _broken(unreadable))
        return Collected(
            modality="image",
            task="classification",
            labels=folder.labels,
            samples=_Paths(self._root, [folder.files[i] for i in kept]),
            targets=folder.targets[kept],
            place=lambda index: folder.files[kept[index]],
            given=None if folder.parts is None else folder.parts[kept],
            groups=groups,
            shapes=shapes[kept],
            problems=tuple(problems),
            findings=findings,
            options={
                "size": self._config.size,
                "channels": self._config.channels,
                "resize": self._config.resize,
            },
            remedy="" if self._config.skip_broken else _REMEDY,
        )

    def _folder(self) -> Folder:
        if self._listed is None:
            self._listed = list_folder(self._root)
        return self._listed

    def _read_all(self, folder: Folder, progress: Progress) -> str:
        sha = hashlib.sha256()
        total = len(folder.files)
        shapes = np.zeros((total, 3), np.int64)
        limits = PictureLimits(self._config.max_pixels)
        for index, name in enumerate(folder.files):
            try:
                data = (self._root / name).read_bytes()
                sha.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
                picture = open_picture(data, limits)
                size, channels = pictures.upright_size(picture), pictures.channels_of(picture)
                if self._config.skip_broken:  # the end of a file may be missing, too
                    pictures.picture_array(picture, channels, size, "stretch")
                shapes[index] = (*size, channels)
            except OSError as error:
                self._unreadable[index] = f"cannot be read ({error.strerror})"
            except InputError as error:
                self._unreadable[index] = error.message
            if index % _EVERY == 0 or index + 1 == total:
                progress(index + 1, total, "reading")
        self._shapes = shapes
        return sha.hexdigest()


def _broken(unreadable: list[str]) -> Finding:
    count = len(unreadable)
    noun, verb = ("picture", "is") if count == 1 else ("pictures", "are")
    message = f"{count} {noun} that cannot be read {verb} left out."
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
