"""The static twin of a dataset."""

from __future__ import annotations

import base64

from workbench.data.dataset import Dataset
from workbench.screens.views import dataset as view
from workbench.widgets import pictures
from workbench.widgets.cards import Card

_MOST_BARS = 12


def dataset_card(dataset: Dataset) -> Card:
    """Returns a dataset: some samples, the balance of train, findings."""
    state = view.state(dataset)
    parts = ", ".join(f"{name} {count:,}" for name, count in state["samples"].items())
    rows = [
        ("task", f"{state['task']}, {state['what']} {state['shape_words']}"),
        ("samples", parts),
        ("fingerprint", state["fingerprint"][:12]),
        ("findings", str(len(state["findings"])) if state["findings"] else "none"),
    ]
    blocks: list[pictures.Picture] = [_balance(dataset, state)]
    if state["has_tiles"]:
        blocks.insert(0, _samples(dataset))
    words = " · ".join(f"▲ {f['message']}" for f in state["findings"][:4])
    return Card(f"Dataset {dataset.name}", dataset.ref, blocks, rows, words)


def _samples(dataset: Dataset) -> pictures.Photo:
    png = base64.b64decode(view.contact_sheet(dataset)["png"].partition(",")[2])
    return pictures.Photo(png, f"samples of {dataset.name}")


def _balance(dataset: Dataset, state: dict[str, object]) -> pictures.Drawing:
    counts = view.balance(dataset)["train"]
    top = max(counts) or 1
    names = list(dataset.labels) or [f"bin {i + 1}" for i in range(len(counts))]
    rows = [(n, c / top, f"{c:,}") for n, c in list(zip(names, counts, strict=True))[:_MOST_BARS]]
    return pictures.bars(rows, "samples of train by class")
