"""What is shown of a dataset: samples, balance, findings, and what augmentation does."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.core.optional import require
from workbench.data.augment import Augment, parse_augment
from workbench.data.dataset import Dataset
from workbench.data.modalities import MODALITIES
from workbench.data.modality import Modality
from workbench.data.transforms import TRANSFORMS
from workbench.tasks import TASKS

PARTS = ("train", "val", "test")
TILES, _SIDE, _ROWS, _BINS = 40, 64, 8, 16
_MOST_COLUMNS, _MOST_SAMPLED = 12, 1000


def state(dataset: Dataset) -> dict[str, Any]:
    """Returns the facts of a dataset, for card and panel."""
    facts = dataset.to_json()
    return {
        "ref": dataset.ref,
        "reattach": f'wb.load("{dataset.ref}")',
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "modality": dataset.modality,
        "what": _modality(dataset).what,
        "shape_words": _modality(dataset).shape_words(dataset.preprocessing),
        "has_tiles": has_tiles(dataset),
        "plays": _modality(dataset).plays,
        "has_classes": has_classes(dataset),
        "task": dataset.task,
        "shape": facts["sample_shape"],
        "samples": facts["samples"],
        "labels": list(dataset.labels),
        "balance": balance(dataset),
        "findings": facts["findings"],
        "augments": _augments(dataset),
        "augment": " + ".join(_step(step) for step in facts["augment"] or ()),
        "size_bytes": facts["size_bytes"],
    }


def balance(dataset: Dataset) -> dict[str, list[float]]:
    """Returns samples of each label by part; for values, a histogram over their range."""
    parts = {name: np.asarray(getattr(dataset, name).targets) for name in PARTS}
    if dataset.labels:
        task = TASKS.get(dataset.task)
        counts = {n: task.counts(t, dataset.labels) for n, t in parts.items() if len(t)}
    else:
        every = np.concatenate([part.ravel() for part in parts.values()])
        edges = np.histogram_bin_edges(every, _BINS)
        counts = {n: np.histogram(t, edges)[0] for n, t in parts.items() if len(t)}
    return {name: [int(c) for c in found] for name, found in counts.items()}


def has_classes(dataset: Dataset) -> bool:
    """Returns whether each sample is of one class."""
    return bool(dataset.labels) and np.ndim(dataset.train.targets) == 1


def has_tiles(dataset: Dataset) -> bool:
    """Returns whether samples can be looked at as small pictures."""
    return _tiles(dataset, dataset.train.glimpse[:1]) is not None


def gallery(dataset: Dataset, part: str, label: int | None = None) -> dict[str, Any]:
    """Returns samples of a part as one picture of tiles, spread over the classes.

    Args:
        dataset: Of images.
        part: "train", "val" or "test".
        label: Only this class.
    """
    return tiles_of(dataset, part, spread(dataset, part, TILES, label)) | {"label": label}


def tiles_of(dataset: Dataset, part: str, chosen: np.ndarray) -> dict[str, Any]:
    """Returns these samples of a part with their names, as one picture of tiles."""
    split = getattr(dataset, part)
    return {
        "part": part,
        "indices": [int(i) for i in chosen],
        "names": [name_of(dataset, split.targets[i]) for i in chosen],
        **sheet(*_pictures(dataset, split.glimpse[chosen])),
    }


def gallery_of(dataset: Dataset, part: str, indices: list[int]) -> dict[str, Any]:
    """Returns these samples as tiles."""
    return sheet(*_pictures(dataset, getattr(dataset, part).glimpse[indices]))


def contact_sheet(dataset: Dataset, columns: int = 10) -> dict[str, Any]:
    """Returns samples of train as one picture, in rows."""
    tiles, top = _pictures(dataset, dataset.train.glimpse[spread(dataset, "train", TILES, None)])
    edge = ((0, 0), (0, 0), (0, 1), (0, 1))
    return sheet(np.pad(tiles, edge, constant_values=top), top, columns)


def augmented(
    dataset: Dataset, part: str, index: int, text: str, copies: int = 6
) -> dict[str, Any]:
    """Returns one sample before and after augmentation, as tiles; the first is the sample itself.

    Raises:
        InputError: The augmentation asked for is not valid.
    """
    split = getattr(dataset, part)
    if not 0 <= index < len(split):
        raise InputError(f"{part} has {len(split)} samples, no number {index}.")
    inputs, targets = split.batch([index])
    steps = parse_augment(text) if text.strip() else ()
    tiles = [inputs]
    if steps:
        change = Augment(steps, dataset.labels)
        for i in range(copies):
            tiles.append(change(inputs.copy(), targets, np.random.default_rng([7, i])))
    shown = sheet(*_pictures(dataset, np.concatenate(tiles)))
    return {
        "index": index,
        "part": part,
        "name": name_of(dataset, targets[0]),
        "text": text,
        **shown,
    }


def media(dataset: Dataset, part: str, index: int) -> dict[str, Any]:
    """Returns one sample as a file that a page plays, in a data URI, with its name.

    Raises:
        InputError: There is no such sample, or it cannot be played.
    """
    split = getattr(dataset, part)
    if not 0 <= index < len(split):
        raise InputError(f"{part} has {len(split)} samples, no number {index}.")
    sample = split[index]
    return {
        "part": part,
        "index": index,
        "name": name_of(dataset, sample.target),
        **playable(dataset, sample.input),
    }


def playable(dataset: Dataset, value: Any) -> dict[str, str]:
    """Returns a raw sample as a data URI with its media type; nothing where none is played."""
    modality = _modality(dataset)
    if not modality.plays:
        return {}
    content = base64.b64encode(modality.media(value, dataset.preprocessing)).decode()
    return {"type": modality.plays, "media": f"data:{modality.plays};base64,{content}"}


def table_rows(dataset: Dataset, part: str) -> dict[str, Any]:
    """Returns the first rows of a part as they came, and a histogram of each numeric column."""
    split = getattr(dataset, part)
    sampled = [_row(split[i].input) for i in range(min(len(split), _MOST_SAMPLED))]
    columns = list(sampled[0]) if sampled else []
    rows = [[_words(row.get(c)) for c in columns] for row in sampled[:_ROWS]]
    targets = [name_of(dataset, t) for t in split.targets[:_ROWS]]
    found = {c: _histogram([row.get(c) for row in sampled]) for c in columns[:_MOST_COLUMNS]}
    return {"part": part, "columns": columns, "rows": rows, "targets": targets, "histograms": found}


def sheet(tiles: np.ndarray, top: float, columns: int | None = None) -> dict[str, Any]:
    """Returns tiles (n, channels, height, width) as one PNG in a data URI.

    Args:
        tiles: The pictures.
        top: The value that is white.
        columns: Tiles in a row; by default all side by side.
    """
    image = require("PIL.Image", for_="the gallery")
    step = max(1, -(-max(tiles.shape[2:]) // _SIDE))
    small = np.clip(tiles[:, :, ::step, ::step] * (255.0 / top), 0, 255).astype(np.uint8)
    count, channels, height, width = small.shape
    wide = columns or count
    rows = -(-count // wide)
    grid = np.zeros((rows * wide, channels, height, width), np.uint8)
    grid[:count] = small
    cells = grid.reshape(rows, wide, channels, height, width).transpose(0, 3, 1, 4, 2)
    across = cells.reshape(rows * height, wide * width, channels)
    made = image.fromarray(across[:, :, 0] if channels == 1 else across[:, :, :3])
    stream = io.BytesIO()
    made.save(stream, "PNG", optimize=True)
    text = base64.b64encode(stream.getvalue()).decode()
    return {
        "png": f"data:image/png;base64,{text}",
        "count": count,
        "width": width,
        "height": height,
    }


def spread(dataset: Dataset, part: str, count: int, label: int | None) -> np.ndarray:
    """Returns up to `count` row numbers: of one class, or spread over all there is."""
    targets = np.asarray(getattr(dataset, part).targets)
    if label is not None:
        return np.asarray(np.flatnonzero(targets == label)[:count])
    flat = targets if targets.ndim == 1 else TASKS.get(dataset.task).strata(targets)
    order = np.argsort(flat, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order)))
    return np.asarray(order[np.unique(places.astype(int))])


def name_of(dataset: Dataset, target: Any) -> str:
    """Returns a target in words."""
    return TASKS.get(dataset.task).target_words(target, dataset.labels)


def _modality(dataset: Dataset) -> Modality:
    return MODALITIES.get(dataset.modality)


def _tiles(dataset: Dataset, prepared: Any) -> tuple[np.ndarray, float] | None:
    """Returns prepared samples, an array or a list, as pictures; None where there are none."""
    if isinstance(prepared, np.ndarray):
        prepared = np.asarray(prepared, np.float32)
    return _modality(dataset).tiles(prepared, dataset.preprocessing)


def _pictures(dataset: Dataset, prepared: Any) -> tuple[np.ndarray, float]:
    found = _tiles(dataset, prepared)
    if found is None:
        raise InputError(f"There are no pictures of {dataset.ref}.")
    return found


def _row(sample: Any) -> Mapping[str, Any]:
    """Returns a sample as a row of a table; plain numbers are numbered."""
    if isinstance(sample, Mapping):
        return {name: _cell(value) for name, value in sample.items()}
    if np.size(sample) > _MOST_SAMPLED:
        return {"sample": _cell(sample)}
    return {f"x{i}": value for i, value in enumerate(np.ravel(sample).tolist())}


def _cell(value: Any) -> Any:
    """Returns an array as what a cell can hold: its only value, or its size and first values."""
    if not isinstance(value, np.ndarray):
        return value
    if not value.ndim:
        return value.item()
    first = ", ".join(_words(v) for v in value.ravel()[:4].tolist())
    return f"{'×'.join(map(str, value.shape))}: {first}{', …' if value.size > 4 else ''}"


def _histogram(values: Sequence[Any]) -> list[int] | None:
    numbers = [
        v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and v == v
    ]
    if len(numbers) < 2:
        return None
    return [int(c) for c in np.histogram(numbers, _BINS)[0]]


def _words(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:40]


def _augments(dataset: Dataset) -> list[list[str]]:
    """Returns each transform that fits, as text to try, and what it does."""
    found: list[list[str]] = []
    if TASKS.get(dataset.task).form == "places":
        return found  # it would move the samples, and not what the targets lie on
    for key in TRANSFORMS:
        transform = TRANSFORMS.get(key)
        if dataset.modality in transform.modalities:
            first = next(iter(transform.Config.model_fields.items()), None)
            value = None if first is None or first[1].is_required() else first[1].default
            found.append([key if value is None else f"{key}:{value}", transform.summary])
    return found


def _step(step: Any) -> str:
    values = [str(v) for k, v in step.items() if k not in ("kind", "version")]
    return f"{step['kind']}:{values[0]}" if values else str(step["kind"])
