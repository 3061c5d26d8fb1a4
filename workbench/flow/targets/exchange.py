"""Writes a folder that another machine can measure, and takes back what it found."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.batch import Batch
from workbench.core.errors import InputError
from workbench.core.files import writing
from workbench.flow.targets.target import Target
from workbench.flow.variant import Variant
from workbench.runtime.session import open_session

if TYPE_CHECKING:
    from workbench.flow.study import Study

_SAMPLES = 64
_FORMAT = 1
_SCRIPT = Path(__file__).parent / "measure_here.py"
_FIGURES = ("p50_ms", "p95_ms", "runs", "agreement", "max_error")
_READ_ME = """\
Needs Python 3.9 or newer with numpy and onnxruntime, nothing else:

  python measure_here.py --name my-board

writes result.json. Back on the machine of the study:

  workbench bench import {study} result.json
"""


def export(study: str, variants: Sequence[Variant], inputs: Batch, folder: Path) -> Path:
    """Writes script, ONNX files, inputs and expected answers; returns the folder.

    Args:
        study: Ref of the study.
        variants: The baseline first.
        inputs: Prepared samples [n, …].
        folder: Where to; made if it is not there.

    Raises:
        InputError: It holds other files, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "study.json").exists():
        raise InputError(
            f"'{folder}' is not empty and is no earlier export.",
            hint="Give a new folder, or an empty one.",
        )
    with writing(folder):
        (folder / "models").mkdir(parents=True, exist_ok=True)
        rows = [_written(variant, inputs, folder) for variant in variants]
        batch = variants[0].measured.batch
        index = {"format": _FORMAT, "study": study, "batch": batch, "variants": rows}
        feeds: dict[str, Any] = open_session(variants[0].path).feeds(inputs)
        np.savez(folder / "inputs.npz", **feeds)
        (folder / "study.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
        (folder / "README.txt").write_text(_READ_ME.format(study=study), encoding="utf-8")
        shutil.copyfile(_SCRIPT, folder / _SCRIPT.name)
    return folder


def export_study(study: Study, folder: Path) -> Path:
    """Writes the folder of a study, with its variants that are still there; returns it."""
    own = [v for v in study.variants if not v.is_baseline and v.path.exists()]
    samples = study.data.val
    inputs = samples.batch(range(min(_SAMPLES, len(samples))))[0]
    return export(study.ref, [study.baseline, *own], inputs, folder)


def read_result(path: Path, study: str, digests: Sequence[str]) -> dict[str, Any]:
    """Returns a result file's content, checked.

    Args:
        path: The file.
        study: Ref of the study it must belong to.
        digests: Of the study's variants.

    Raises:
        InputError: With everything that is wrong with it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read as the result of measure_here.py: {error}",
            hint="Give the result.json that the script wrote.",
        ) from error
    problems = _problems(data, study, digests)
    if problems:
        raise InputError(f"'{path.name}' cannot be imported.", problems=problems)
    return dict(data)


def _problems(data: Any, study: str, digests: Sequence[str]) -> list[str]:
    if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
        return [f"it is not a result of format {_FORMAT}"]
    found = []
    if data.get("study") != study:
        found.append(f"it belongs to {data.get('study')!r}, not to {study}")
    try:
        target = Target.from_json(data)
    except (KeyError, TypeError, AttributeError) as error:
        return [*found, f"a figure is missing or unknown: {error}"]
    unknown = sorted(set(target.figures) - set(digests))
    if unknown:
        found.append(f"{len(unknown)} of its files are no variants of the study")
    for digest, row in target.figures.items():
        values = [getattr(row, name) for name in _FIGURES] + [row.ratio.value]
        if not all(isinstance(v, int | float) and math.isfinite(v) and v >= 0 for v in values):
            found.append(f"{digest[:12]}: a figure is no number of 0 or more")
    return found


def _written(variant: Variant, inputs: Batch, folder: Path) -> dict[str, str]:
    name = variant.digest[:12]
    file, expected = f"models/{name}.onnx", f"models/{name}.npy"
    shutil.copyfile(variant.path, folder / file)
    np.save(folder / expected, open_session(variant.path).run(inputs), allow_pickle=False)
    row = {"file": file, "expected": expected, "digest": variant.digest}
    return {**row, "recipe": variant.recipe}
