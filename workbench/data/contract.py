"""What a modality must give, checked when it is first run: plug-ins are written by others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.core.batch import Batch
from workbench.core.errors import UnsupportedError
from workbench.core.signature import TensorSpec, misfits
from workbench.data.modality import Modality


class ContractError(UnsupportedError):
    """A plug-in does not keep to what its kind must do."""

    code = "contract"


def check_samples(modality: Modality, samples: Sequence[Batch], config: Any) -> None:
    """Checks decoded samples: one array (n, …), or a list of samples.

    Raises:
        ContractError: They are not what `decoded(config)` says.
    """
    specs = modality.decoded(config)
    if isinstance(samples, np.ndarray):
        _check(modality, samples, specs, "decode")
        return
    for sample in samples:
        one = {name: tensor[np.newaxis] for name, tensor in _named(sample, specs).items()}
        _check(modality, one, specs, "decode")


def check_batch(modality: Modality, batch: Batch, config: Any) -> None:
    """Checks a collated batch.

    Raises:
        ContractError: It is not what `signature(config)` says.
    """
    _check(modality, batch, modality.signature(config), "collate")


def _named(sample: Batch, specs: Sequence[TensorSpec]) -> dict[str, Any]:
    is_mapping = hasattr(sample, "items")
    return dict(sample) if is_mapping else {specs[0].name: np.asarray(sample)}


def _check(modality: Modality, batch: Batch, specs: Sequence[TensorSpec], verb: str) -> None:
    problems = misfits(_named(batch, specs), specs)
    if problems:
        raise ContractError(
            f"The modality '{modality.key}' breaks its contract: what `{verb}` gives is not what "
            f"its signature says.",
            problems=problems,
            hint="Mend the plug-in: names, dtypes and sizes must be those of `signature`, and a "
            "free dimension has one size in all tensors.",
        )
