"""Flip: mirrors half of the pictures, where a mirrored one still means the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from workbench.core.config import Config
from workbench.core.errors import InputError, did_you_mean
from workbench.data.transform import Transform


class FlipConfig(Config):
    """Which way, and which labels allow it."""

    direction: Literal["horizontal", "vertical", "both"] = Field(
        default="horizontal",
        description="Left with right, top with bottom, or each by its own draw.",
    )
    labels: Literal["auto", "all"] | tuple[str, ...] = Field(
        default="auto",
        description="Labels whose pictures may be mirrored. auto leaves out single characters and "
        "numbers, since a mirrored character is another one; all; or names ('cat/dog').",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in ("auto", "all"):
            return tuple(name.strip() for name in value.split("/"))
        return value


class Flip(Transform):
    """A fair coin for each picture and axis."""

    summary = "Mirrors half of the pictures, where their labels allow it"
    Config = FlipConfig

    def apply(self, inputs: np.ndarray, rng: np.random.Generator, config: FlipConfig) -> np.ndarray:
        """Returns the pictures, about half of them mirrored."""
        result = inputs.copy()
        if config.direction in ("horizontal", "both"):
            chosen = rng.random(len(result)) < 0.5
            result[chosen] = result[chosen][..., ::-1]
        if config.direction in ("vertical", "both"):
            chosen = rng.random(len(result)) < 0.5
            result[chosen] = result[chosen][..., ::-1, :]
        return result

    def allowed(self, labels: Sequence[str], config: FlipConfig) -> tuple[str, ...]:
        """Returns the labels that `config` lets be mirrored."""
        if config.labels == "all":
            return tuple(labels)
        if config.labels == "auto":
            return tuple(label for label in labels if not _is_character(label))
        unknown = [label for label in config.labels if label not in labels]
        if unknown and labels:
            raise InputError(
                f"The transform 'flip' names labels that the data does not have: "
                f"{', '.join(unknown)}{did_you_mean(unknown[0], labels)}",
                hint=f"Labels: {', '.join(labels[:40])}.",
            )
        return tuple(label for label in labels if label in config.labels)


PLUGIN = Flip()


def _is_character(label: str) -> bool:
    return label.isnumeric() or (len(label) == 1 and label.isascii())
