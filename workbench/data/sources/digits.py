"""Handwritten digits: 1,797 pictures of 8×8 pixels, values 0 to 16, inside scikit-learn."""

from __future__ import annotations

from typing import ClassVar

from workbench.core.config import Config
from workbench.core.optional import require
from workbench.data.collected import Reader
from workbench.data.source import Source, SourceConfig
from workbench.data.sources.arrays import ArraysConfig, ArraysReader
from workbench.store import Store


class Digits(Source):
    """The embedded default, from E. Alpaydin and C. Kaynak (UCI, 1998)."""

    summary = "Handwritten digits: 1,797 pictures of 8×8, 10 labels (scikit-learn)"
    requires = ("sklearn",)
    Config: ClassVar[type[Config]] = SourceConfig

    def open(self, config: SourceConfig, store: Store) -> Reader:
        """Returns a reader of the pictures; no download."""
        found = require("sklearn.datasets", for_="the digits dataset").load_digits()
        arrays = ArraysConfig(
            inputs=found.images,
            targets=found.target,
            modality="image",
            labels=tuple(str(name) for name in found.target_names),
        )
        return ArraysReader(arrays, "digits", lambda index: f"digit {index}")


PLUGIN = Digits()
