"""From a source to a stored dataset: split, fit on train, decode, save - or leave no trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.batch import Batch
from workbench.core.config import saved_config
from workbench.core.errors import InputError
from workbench.core.ids import digest_json
from workbench.core.records import Finding
from workbench.data.augment import check_augment, parse_augment
from workbench.data.chunks import StoredArray, chunks, rows_per_chunk
from workbench.data.collected import Collected, Progress, Reader, take
from workbench.data.contract import check_batch, check_samples
from workbench.data.dataset import KIND, Dataset
from workbench.data.findings.duplicates import find_duplicates
from workbench.data.modalities import MODALITIES
from workbench.data.modality import Modality, Normalizing, Sketch
from workbench.data.part_files import PartFiles, npy
from workbench.data.problems import Problems
from workbench.data.raw_files import keep
from workbench.data.source import SourceConfig
from workbench.data.split import PARTS, assign, order_of
from workbench.data.stored import Samples, is_one_array
from workbench.store import Blob, Store
from workbench.tasks import TASKS

_FORMAT = 1
_CHUNK = 256


def prepare(store: Store, source: str, config: Any, reader: Reader, progress: Progress) -> Dataset:
    """Returns the dataset of a source; the same bytes and options are prepared once.

    Args:
        store: The workspace.
        source: Key of the source.
        config: Its options, a `SourceConfig`.
        reader: The opened source.
        progress: Called while files are read and samples decoded.

    Raises:
        InputError: Every bad place at once; nothing was stored.
    """
    name = config.name or reader.name
    identity = {
        "format": _FORMAT,
        "source": source,
        "options": {k: v for k, v in config.to_json().items() if k != "name"},
        "content": reader.fingerprint(progress),
    }
    fingerprint = digest_json(identity)
    known = _known(store, fingerprint, name)
    if known is not None:
        return known
    collected = reader.collect(progress)
    plan = _plan(collected, config, f"The data of '{name}'")
    dataset = Dataset(store, _write(store, plan, name, fingerprint, progress))
    store.datasets.put(fingerprint, name, dataset.artifact.digest)
    return dataset


@dataclass
class _Plan:
    """What is to be written: samples, who is where, and the fitted preprocessing."""

    collected: Collected
    samples: Any
    modality: Modality
    preprocessing: Any
    codes: np.ndarray
    orders: list[np.ndarray]
    augment: Any
    findings: list[Finding]
    problems: Problems
    what: str


def _known(store: Store, fingerprint: str, name: str) -> Dataset | None:
    record = store.datasets.find(fingerprint)
    if record is None:
        return None
    artifact = store.artifacts.adopt(record.artifact)
    if artifact is None:
        return None
    if record.name != name:
        artifact = store.artifacts.save(KIND, artifact.files, {**artifact.meta, "name": name})
        store.datasets.put(fingerprint, name, artifact.digest)
    return Dataset(store, artifact)


def _plan(collected: Collected, config: SourceConfig, what: str) -> _Plan:
    problems = Problems(collected.problems)
    problems.extend(_single_classes(collected))
    try:
        left_out = check_augment(
            parse_augment(config.augment), collected.modality, collected.task, collected.labels
        )
        codes, noticed = assign(collected, config.fractions, config.seed)
        modality = MODALITIES.get(collected.modality)
        train = np.flatnonzero(codes == 0)
        shapes = None if collected.shapes is None else collected.shapes[train]
        preprocessing, fitted = modality.fit(
            take(collected.samples, train), shapes, collected.options
        )
        samples, cleaned = modality.clean(collected.samples, preprocessing, collected.place)
    except InputError as error:
        if not problems:
            raise
        problems.extend(error.problems or [error.message])
        problems.raise_if_any(what, hint=collected.remedy)
        raise
    if collected.shapes is None:  # only files show more of them when decoded
        problems.raise_if_any(what, hint=collected.remedy)
    orders = [
        order_of(codes, part, collected=collected, fractions=config.fractions, seed=config.seed)
        for part in range(len(PARTS))
    ]
    findings = [*collected.findings, *noticed, *left_out, *fitted, *cleaned]
    return _Plan(
        collected, samples, modality, preprocessing, codes, orders, config.augment,
        findings, problems, what,
    )  # fmt: skip


def _single_classes(collected: Collected) -> Iterator[str]:
    task = TASKS.get(collected.task)
    for label in np.flatnonzero(task.counts(collected.targets, collected.labels) == 1):
        where = collected.place(task.first_with(collected.targets, int(label)))
        yield (
            f"label '{collected.labels[label]}' has one sample ({where}); "
            "at least 2 are needed to train and to validate"
        )


def _write(store: Store, plan: _Plan, name: str, fingerprint: str, progress: Progress) -> Any:
    dtype = plan.modality.storage_dtype(plan.preprocessing)
    specs = plan.modality.decoded(plan.preprocessing)
    with ExitStack() as stack:

        def pending() -> Any:
            return stack.enter_context(store.blobs.writer(".npy"))

        parts = []
        done = 0
        for order in plan.orders:
            part = PartFiles(specs, dtype, pending)
            parts.append(part)
            stack.callback(part.close)
            done = _write_part(part, plan, order, done, progress)
            part.finish()
        plan.problems.raise_if_any(plan.what, hint=plan.collected.remedy)
        meta = _measure(plan, [part.samples() for part in parts])
    files: dict[str, bytes | Blob] = {}
    for part_name, part, order in zip(PARTS, parts, plan.orders, strict=True):
        own = {**part.files(), **_beside(store, plan, order)}
        files.update({f"{part_name}.{suffix}": content for suffix, content in own.items()})
    meta = {"name": name, "fingerprint": fingerprint, **meta}
    return store.artifacts.save(KIND, files, meta)


def _beside(store: Store, plan: _Plan, order: np.ndarray) -> dict[str, bytes | Blob]:
    """Returns what is stored beside the inputs of a part."""
    files: dict[str, bytes | Blob] = {
        "targets.npy": npy(plan.collected.targets[order]),
        "indices.npy": npy(order.astype(np.int64)),
    }
    if plan.modality.keeps_raw(plan.preprocessing):
        raw = take(plan.samples, order)
        files.update(keep(store, plan.modality, plan.preprocessing, raw))
    return files


def _write_part(
    part: PartFiles, plan: _Plan, order: np.ndarray, done: int, progress: Progress
) -> int:
    step = _rows_at_once(plan)
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        decoded = _decoded(plan, rows)
        if decoded is not None and not plan.problems:
            _check_contract(plan, decoded, is_first=not done)
            part.add(decoded)
        done += len(rows)
        progress(done, len(plan.codes), "decoding")
    return done


def _rows_at_once(plan: _Plan) -> int:
    specs = plan.modality.decoded(plan.preprocessing)
    if not is_one_array(specs):
        return _CHUNK
    shape = [int(size) for size in specs[0].sample_shape]
    return min(rows_per_chunk(4 * int(np.prod(shape))), _CHUNK)


def _decoded(plan: _Plan, rows: np.ndarray) -> Sequence[Batch] | None:
    """Returns samples as one array (n, …) where they are one, else as a list; None if not all."""
    try:
        return _decode(plan, take(plan.samples, rows))
    except InputError:
        for row in rows:
            _note_problem(plan, int(row))
        return None


def _decode(plan: _Plan, values: Any) -> Sequence[Batch]:
    modality, config = plan.modality, plan.preprocessing
    is_one = is_one_array(modality.decoded(config))
    decode: Any = modality.decode_batch if is_one else modality.decode_each
    decoded: Sequence[Batch] = decode(values, config)
    return decoded


def _check_contract(plan: _Plan, decoded: Sequence[Batch], *, is_first: bool) -> None:
    modality, config = plan.modality, plan.preprocessing
    check_samples(modality, decoded, config)
    if is_first:
        is_padded = modality.padding(config) is not None
        several = list(decoded) if is_padded else list(decoded[:1])
        check_batch(modality, modality.collate(several, config), config)


def _note_problem(plan: _Plan, row: int) -> None:
    value = take(plan.samples, np.array([row]))
    try:
        _decode(plan, value)
    except InputError as error:
        text = "; ".join(error.problems) or error.message
        plan.problems.add(f"{plan.collected.place(row)}: {text}")


def _measure(plan: _Plan, parts: Sequence[StoredArray | Samples]) -> dict[str, Any]:
    specs = plan.modality.decoded(plan.preprocessing)
    codes = np.concatenate([np.full(len(part), code) for code, part in enumerate(parts)])
    sources = np.concatenate(plan.orders)
    copies = find_duplicates(
        _sketch(plan, parts), codes, lambda i: plan.collected.place(int(sources[i]))
    )
    return {
        "modality": plan.collected.modality,
        "task": plan.collected.task,
        "labels": list(plan.collected.labels),
        "sample_shape": list(specs[0].sample_shape) if is_one_array(specs) else None,
        "preprocessing": saved_config(plan.collected.modality, plan.preprocessing),
        "normalization": _normalization(plan, parts[0]),
        "augment": plan.augment,
        "findings": [finding.to_json() for finding in (*plan.findings, *copies)],
    }


def _normalization(plan: _Plan, train: StoredArray | Samples) -> dict[str, Any] | None:
    if not isinstance(plan.modality, Normalizing) or isinstance(train, Samples):
        return None
    mean, std = plan.modality.normalization(train, plan.preprocessing)
    return {"mean": mean.tolist(), "std": std.tolist()}


def _pieces(part: StoredArray | Samples) -> Iterator[slice]:
    if isinstance(part, StoredArray):
        return chunks(part)
    return (slice(start, start + _CHUNK) for start in range(0, len(part), _CHUNK))


def _sketch(plan: _Plan, parts: Sequence[StoredArray | Samples]) -> Sketch:
    pieces = [
        plan.modality.sketch(part[rows], plan.preprocessing)
        for part in parts
        for rows in _pieces(part)
    ]
    thumbs = [piece.thumbs for piece in pieces if piece.thumbs is not None]
    return Sketch(
        np.concatenate([piece.exact for piece in pieces]),
        np.concatenate([piece.near for piece in pieces]),
        np.concatenate(thumbs) if thumbs else None,
    )
