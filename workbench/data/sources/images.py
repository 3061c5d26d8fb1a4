"""A folder of pictures: one folder for each class, if wanted below train/ val/ test/."""

from __future__ import annotations

from typing import Any, ClassVar

from workbench.core.config import Config
from workbench.data.folder_reader import FolderConfig, FolderSource
from workbench.data.modalities.image import ImageOptions


class ImagesConfig(FolderConfig, ImageOptions):
    """A folder and what its pictures become."""


class Images(FolderSource):
    """Pictures on disk."""

    summary = "A folder of pictures, one folder for each class"
    requires = ("PIL",)
    Config: ClassVar[type[Config]] = ImagesConfig
    modality = "image"

    def chosen(self, config: ImagesConfig, modality: str) -> dict[str, Any]:
        """The options that are fields here."""
        return {name: getattr(config, name) for name in ImageOptions.model_fields}


PLUGIN = Images()
