"""A dataset in the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from workbench.data.dataset import Dataset
from workbench.flow.workspace import Workspace
from workbench.screens.dataset import DatasetScreen
from workbench.widgets.live.binding import LivePanel, script, sheet
from workbench.widgets.live.shelf import shelf


class DatasetWidget(LivePanel):
    """See `DatasetScreen`; the pieces of files come as bytes beside the message."""

    _esm = script("dataset_form", "dataset")
    _css = sheet()
    gallery = traitlets.Dict().tag(sync=True)
    sample = traitlets.Dict().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)
    uploading = traitlets.Dict().tag(sync=True)

    def arguments(self, given: Mapping[str, Any], buffers: Any) -> Mapping[str, Any]:
        """Returns arguments whose parts have their bytes."""
        parts = given.get("parts")
        if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
            return given
        pieces = zip(parts, buffers, strict=False)
        return {**given, "parts": [{**part, "data": bytes(piece)} for part, piece in pieces]}


def show_dataset(dataset: Dataset) -> DatasetWidget:
    """Returns the panel of a dataset."""
    root = dataset.store.home.root

    def make() -> DatasetWidget:
        return DatasetWidget(DatasetScreen(Workspace(root), dataset))

    shown: Any = shelf().get((str(root), dataset.ref), make)
    panel: DatasetWidget = shown
    return panel
