"""A folder of files of any modality: one folder for each class, if wanted below train/ val/ test/.

The files' suffixes tell the modality.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from workbench.core.config import Config
from workbench.data.folder_reader import FolderConfig, FolderSource
from workbench.data.modality_options import ModalityOptions, parsed_options


class AnyFolderConfig(ModalityOptions, FolderConfig):
    """A folder, and how its files are looked at."""

    modality: str | None = Field(
        default=None,
        description="What the files are: image, audio, …; by default what most suffixes say.",
    )


class AnyFolder(FolderSource):
    """Files on disk."""

    summary = "A folder of files, as clips of sound, one folder for each class"
    Config: ClassVar[type[Config]] = AnyFolderConfig

    def chosen(self, config: AnyFolderConfig, modality: str) -> dict[str, Any]:
        """The options of whatever modality it is."""
        return parsed_options(modality, config.options)


PLUGIN = AnyFolder()
