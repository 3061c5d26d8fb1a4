"""Augmentation: transforms in order, as text or JSON, applied to training batches only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.config import Config, saved_config
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.records import Finding
from workbench.data.transforms import TRANSFORMS
from workbench.tasks import TASKS


@dataclass(frozen=True)
class AugmentStep:
    """One transform with its options."""

    kind: str
    config: Config

    def to_json(self) -> dict[str, Any]:
        """Returns the step in its saved form."""
        return saved_config(self.kind, self.config)


def parse_augment(value: Any) -> tuple[AugmentStep, ...]:
    """Returns the steps of an augmentation.

    Args:
        value: None, text as in "shift:1 + rotate:10,fill=zero" (after the colon the first option,
            then named ones), a mapping with "kind", a list of such mappings, or steps.

    Raises:
        InputError: It is none of these, or an option is wrong.
        NotFoundError: No such transform.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(_from_text(part.strip()) for part in value.split("+"))
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence):
        raise InputError(f"An augmentation cannot be a {type(value).__name__}.", hint=_HINT)
    return tuple(_from_item(item) for item in value)


def check_augment(
    steps: Sequence[AugmentStep], modality: str, task: str, labels: Sequence[str]
) -> tuple[Finding, ...]:
    """Returns what will be left out, as findings.

    Raises:
        UnsupportedError: A transform cannot change this modality, or the task's targets, which lie
            at places that it would move.
    """
    findings = []
    if steps and TASKS.get(task).form == "places":
        raise UnsupportedError(
            f"A transform moves what the targets of '{task}' lie on, but not the targets.",
            hint="Leave augment= out.",
        )
    for step in steps:
        transform = TRANSFORMS.get(step.kind)
        if modality not in transform.modalities:
            raise UnsupportedError(
                f"The transform '{step.kind}' changes {' and '.join(transform.modalities)}, "
                f"not {modality}.",
                hint="Leave augment= out.",
            )
        left_out = sorted(set(labels) - set(transform.allowed(labels, step.config)))
        if left_out:
            findings.append(_left_out(step.kind, left_out))
    return tuple(findings)


class Augment:
    """The steps, ready to be applied.

    Args:
        steps: Transforms in order.
        labels: Class names; a transform may leave some classes alone.
    """

    def __init__(self, steps: Sequence[AugmentStep], labels: Sequence[str]) -> None:
        self._steps = [
            (TRANSFORMS.get(step.kind), step.config, self._allowed(step, labels)) for step in steps
        ]

    def __call__(
        self, inputs: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Returns a changed copy of a batch, float32 (n, *sample_shape)."""
        for transform, config, allowed in self._steps:
            if allowed is None:
                inputs = transform.apply(inputs, rng, config)
            elif (rows := np.flatnonzero(_may_change(targets, allowed))).size:
                inputs = inputs.copy()
                inputs[rows] = transform.apply(inputs[rows], rng, config)
        return inputs

    @staticmethod
    def _allowed(step: AugmentStep, labels: Sequence[str]) -> np.ndarray | None:
        allowed = set(TRANSFORMS.get(step.kind).allowed(labels, step.config))
        mask = np.array([label in allowed for label in labels], bool)
        return None if mask.all() else mask


def _may_change(targets: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Returns which samples [N] show no label that must be left alone."""
    if targets.ndim == 1:
        return np.asarray(allowed[targets])
    return np.asarray(~(targets[:, ~allowed] > 0).any(axis=1))


_HINT = "Give text, as in 'shift:1 + rotate:10', or a list of mappings with 'kind'."


def _from_item(item: Any) -> AugmentStep:
    if isinstance(item, AugmentStep):
        return item
    if isinstance(item, str):
        return _from_text(item)
    if not isinstance(item, Mapping) or "kind" not in item:
        raise InputError(f"{item!r} is not a step of an augmentation.", hint=_HINT)
    options = {key: value for key, value in item.items() if key not in ("kind", "version")}
    return AugmentStep(item["kind"], TRANSFORMS.parse(item["kind"], options))


def _from_text(text: str) -> AugmentStep:
    kind, _, rest = text.partition(":")
    kind = kind.strip()
    fields = list(TRANSFORMS.get(kind).Config.model_fields)
    options: dict[str, Any] = {}
    for number, part in enumerate(filter(None, (part.strip() for part in rest.split(",")))):
        name, equals, value = part.partition("=")
        if not equals and number:
            raise InputError(f"'{part}' in '{text}' has no name.", hint=_HINT)
        key = name.strip() if equals else (fields or [kind])[0]
        options[key] = value.strip() if equals else name
    return AugmentStep(kind, TRANSFORMS.parse(kind, options))


def _left_out(kind: str, labels: Sequence[str]) -> Finding:
    shown = ", ".join(labels[:20]) + (" …" if len(labels) > 20 else "")
    return Finding(
        "augment",
        f"The transform '{kind}' leaves {len(labels)} labels alone, since a changed sample would "
        f"mean something else: {shown}. To change them too: '{kind}:labels=all'.",
        "info",
        tuple(labels),
    )
